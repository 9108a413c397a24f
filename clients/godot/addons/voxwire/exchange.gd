# Says utterances to the server and takes what it says of them: opens, writes, acknowledges, cancels them, and has them
# spoken anew where a session is gone. Knows nothing of playing but what it is told.
extends Reference

signal opened(ready)
signal reopened(resumed)
signal dropped(reason)
signal warned(code, message)
signal failed(map)  # {code, message, retryable, hint}
signal interrupted(utterance, report)  # It was cancelled, and this was heard of it.

const Connection = preload("connection.gd")
const Utterance = preload("utterance.gd")
const Phase = Utterance.Phase
const ACK_MS = 200
const ADMITTED_MAX = 2  # Contexts open at the server: the one that is heard, and the next.
const RETRY_MS = 1000
const CROSSED = ["client.unknown_context", "client.context_ended"]

var connection = Connection.new()
var queue = []  # Utterances to be heard, in order.
var held = false
var _known = false  # There was a session before.
var _leaving = {}  # By context: those cancelled, until the report has come.
var _open = {}  # By context: all of which the server may still say something.
var _numbers = {}
var _now_ms = 0
var _ack_at_ms = 0
var _retry_at_ms = 0


func _init():
	for name in ["opened", "dropped", "message", "audio", "notice", "ended"]:
		connection.connect(name, self, "_on_" + name)


func open(now_ms: int) -> void:
	_known = false
	connection.open(now_ms)


func close() -> void:
	queue.clear()
	_leaving.clear()
	_open.clear()
	_numbers.clear()
	connection.close()


# Every frame.
func poll(now_ms: int) -> void:
	_now_ms = now_ms
	connection.poll(now_ms)
	if connection.is_idle() and _someone_waits():
		connection.open(now_ms)
	if connection.draining and connection.is_open() and not _someone_lives():
		connection.move_on(_someone_waits())
	_admit()
	for utterance in queue:
		utterance.say(connection)


# Lets the server wait with an utterance, or go on.
func hold(utterance: VoxwireUtterance, holding: bool) -> void:
	if _is_live(utterance):
		connection.send({"type": "hold" if holding else "release", "context": utterance.context})


# Tells the server now and then what was received, and what was heard of the utterance that is playing.
func acknowledge(playing, played_pts: int) -> void:
	if not connection.is_open() or _now_ms < _ack_at_ms or not connection.is_written():
		return
	_ack_at_ms = _now_ms + ACK_MS
	for utterance in queue:
		var ack = utterance.acknowledgement(played_pts if utterance == playing else 0)
		if not ack.empty():
			connection.send(ack)


# Opens as many contexts as the server is to have at once.
func _admit() -> void:
	if not connection.is_open() or connection.draining or _now_ms < _retry_at_ms:
		return
	var admitted = 0
	for utterance in queue:
		if _is_live(utterance):
			admitted += 1
		elif utterance.phase == Phase.WAITING and admitted < ADMITTED_MAX:
			admitted += 1
			utterance.phase = Phase.OPENING
			_open[utterance.context] = utterance
			connection.send(utterance.opening())
			if held:
				connection.send({"type": "hold", "context": utterance.context})


func _someone_lives() -> bool:
	for utterance in _open.values():
		if utterance.phase != Phase.SPOKEN:
			return true
	return false


func _someone_waits() -> bool:
	for utterance in queue:
		if utterance.phase == Phase.WAITING:
			return true
	return false


func _is_live(utterance: VoxwireUtterance) -> bool:
	return utterance.phase == Phase.OPENING or utterance.phase == Phase.OPEN


# -- the connection ----------------------------------------------------------------------------------------------------


func _on_opened(ready: Dictionary, fresh: bool) -> void:
	if fresh:
		_open.clear()
		_numbers.clear()
		for utterance in queue:
			_begin_anew(utterance)
	if _known:
		emit_signal("reopened", not fresh)
	else:
		emit_signal("opened", ready)
	_known = true
	_retry_at_ms = 0


func _begin_anew(utterance: VoxwireUtterance) -> void:
	if not _is_live(utterance):
		return
	utterance.begin_anew()
	if utterance.restarts > Utterance.RESTARTS_MAX:
		_refuse(utterance, {"code": "connection.lost", "message": "it ended one session after another"})


func _on_dropped(reason: String) -> void:
	for utterance in _leaving.values():
		_report_here(utterance)
	emit_signal("dropped", reason)


func _on_ended(failure) -> void:
	for utterance in _leaving.values():
		_report_here(utterance)
	_open.clear()
	_numbers.clear()
	for utterance in queue:
		if failure == null:
			_begin_anew(utterance)
		elif utterance.phase != Phase.SPOKEN:
			utterance.end_here("error")
	if failure != null:
		emit_signal("failed", failure)


func _on_notice(map: Dictionary) -> void:
	match map.type:
		"error":
			emit_signal("failed", map)
		"warning":
			emit_signal("warned", map.code, map.message)
		"draining":
			emit_signal("warned", "server.draining", "the server is going away")


# -- barge-in ----------------------------------------------------------------------------------------------------------


# The listener hears nothing of it any more; `interrupted` follows, or comes at once.
func cancel(utterance: VoxwireUtterance, played: int) -> void:
	utterance.cancelled_pts = played
	if _is_live(utterance) and connection.is_open():
		connection.send({"type": "cancel", "context": utterance.context, "played_pts": utterance.there(played)})
		utterance.phase = Phase.LEAVING
		_leaving[utterance.context] = utterance
		return
	if _is_live(utterance):
		connection.send({"type": "cancel", "context": utterance.context, "played_pts": utterance.there(played)})
	_report_here(utterance)


# The report and the end, where the server can't be asked: it has said all of it, or is away.
func _report_here(utterance: VoxwireUtterance) -> void:
	var report = utterance.cancelled
	if report == null:
		report = utterance.report(utterance.cancelled_pts)
	_leaving.erase(utterance.context)
	_open.erase(utterance.context)
	if utterance.done == null or utterance.done.reason != "cancelled":
		# The listener heard no more, though the server may have said all of it.
		utterance.end_here("cancelled")
	emit_signal("interrupted", utterance, report)


# -- what comes --------------------------------------------------------------------------------------------------------


func _on_audio(frame: Dictionary) -> void:
	var utterance = _numbers.get(frame.number)
	if utterance != null:
		utterance.take_frame(frame)


func _on_message(map: Dictionary) -> void:
	var utterance = _open.get(map.context)
	if utterance == null:
		return
	match map.type:
		"started":
			_take_started(utterance, map)
		"clause":
			utterance.take_clause(map)
		"timing":
			utterance.take_timing(map)
		"flushed":
			utterance.take_flushed(map)
		"warning":
			emit_signal("warned", map.code, map.message)
		"error":
			_take_error(utterance, map)
		"cancelled":
			if utterance.phase == Phase.LEAVING:
				utterance.cancelled = utterance.spanning(map)
		"done":
			if utterance.phase == Phase.OPEN:
				utterance.take_done(map)
			elif utterance.phase == Phase.LEAVING:
				utterance.take_done(map)
				_report_here(utterance)
			_open.erase(map.context)


func _take_started(utterance: VoxwireUtterance, map: Dictionary) -> void:
	_numbers[int(map.number)] = utterance
	if utterance.phase == Phase.OPENING:
		utterance.phase = Phase.OPEN
		utterance.started = map


func _take_error(utterance: VoxwireUtterance, map: Dictionary) -> void:
	if map.code in CROSSED or utterance.phase == Phase.LEAVING or utterance.phase == Phase.WAITING:
		return
	var field = "" if map.get("details") == null else map.details.get("field", "")
	if field in ["seq", "played_pts"]:
		return
	if utterance.phase != Phase.OPENING:
		# What is ready still comes, then `done`.
		emit_signal("failed", map)
	elif map.code == "server.draining" or utterance.restarts > 0 and map.retryable:
		utterance.try_again()
		_retry_at_ms = _now_ms + int(map.get("retry_after_ms", RETRY_MS))
	else:
		_refuse(utterance, map)


func _refuse(utterance: VoxwireUtterance, map: Dictionary) -> void:
	if _is_live(utterance) and utterance.said_anything():
		# The text that followed a refused `start` opened the context with all defaults.
		connection.send({"type": "cancel", "context": utterance.context})
	_open.erase(utterance.context)
	utterance.end_here("error")
	emit_signal("failed", map)
