# Speaks a queue of utterances in a server session: opens, writes, acknowledges and cancels their contexts, and restarts
# them where a session is lost. It plays nothing: the client tells it what was played.
extends Reference

signal opened(ready)
signal reopened(resumed)
signal dropped(reason)
signal warned(code, message)
signal failed(map)  # {code, message, retryable, hint}
signal interrupted(utterance, report)  # The utterance was cancelled; `report` says what was heard of it.

const ResumableConnection = preload("resumable_connection.gd")
const Utterance = preload("utterance.gd")
const Phase = Utterance.Phase
const ACK_MS = 200
const OPEN_CONTEXTS_MAX = 2  # The utterance that is being heard, and the next one.
const RETRY_MS = 1000
# Errors for messages that crossed the end of their context on the wire.
const LATE_ERRORS = ["client.unknown_context", "client.context_ended"]

var connection = ResumableConnection.new()
var queue = []  # Utterances not heard to their end, in order.
var held = false
var _connected_before = false
var _cancelling = {}  # By context: cancelled utterances whose report has not come.
var _contexts = {}  # By context: utterances for which the server may still send messages.
var _by_number = {}  # By the number in audio frames: utterances.
var _now_ms = 0
var _ack_at_ms = 0
var _retry_at_ms = 0


func _init():
	for name in ["opened", "dropped", "message", "audio", "notice", "closed"]:
		connection.connect(name, self, "_on_" + name)


func open(now_ms: int) -> void:
	_connected_before = false
	connection.open(now_ms)


func close() -> void:
	queue.clear()
	_cancelling.clear()
	_contexts.clear()
	_by_number.clear()
	connection.close()


# Called every frame.
func poll(now_ms: int) -> void:
	_now_ms = now_ms
	connection.poll(now_ms)
	if connection.is_idle() and _has_waiting():
		connection.open(now_ms)
	if connection.draining and connection.is_open() and not _has_unfinished():
		connection.leave_draining_server(_has_waiting())
	_open_contexts()
	for utterance in queue:
		utterance.send_pending(connection)


# Asks the server to stop sending audio of an utterance for now, or to go on.
func hold(utterance: VoxwireUtterance, holding: bool) -> void:
	if _is_live(utterance):
		connection.send({"type": "hold" if holding else "release", "context": utterance.context})


# Acknowledges, every ACK_MS, what was received of each utterance, and what was played of the one that is playing.
func acknowledge(playing, played_pts: int) -> void:
	if not connection.is_open() or _now_ms < _ack_at_ms or not connection.is_written():
		return
	_ack_at_ms = _now_ms + ACK_MS
	for utterance in queue:
		var ack = utterance.next_ack(played_pts if utterance == playing else 0)
		if not ack.empty():
			connection.send(ack)


# Opens contexts for waiting utterances, up to OPEN_CONTEXTS_MAX at once.
func _open_contexts() -> void:
	if not connection.is_open() or connection.draining or _now_ms < _retry_at_ms:
		return
	var count = 0
	for utterance in queue:
		if _is_live(utterance):
			count += 1
		elif utterance.phase == Phase.WAITING and count < OPEN_CONTEXTS_MAX:
			count += 1
			utterance.phase = Phase.OPENING
			_contexts[utterance.context] = utterance
			connection.send(utterance.start_message())
			if held:
				connection.send({"type": "hold", "context": utterance.context})


func _has_unfinished() -> bool:
	for utterance in _contexts.values():
		if utterance.phase != Phase.OVER:
			return true
	return false


func _has_waiting() -> bool:
	for utterance in queue:
		if utterance.phase == Phase.WAITING:
			return true
	return false


func _is_live(utterance: VoxwireUtterance) -> bool:
	return utterance.phase == Phase.OPENING or utterance.phase == Phase.OPEN


# -- the connection ----------------------------------------------------------------------------------------------------


func _on_opened(ready: Dictionary, fresh: bool) -> void:
	if fresh:
		_contexts.clear()
		_by_number.clear()
		for utterance in queue:
			_restart(utterance)
	if _connected_before:
		emit_signal("reopened", not fresh)
	else:
		emit_signal("opened", ready)
	_connected_before = true
	_retry_at_ms = 0


func _restart(utterance: VoxwireUtterance) -> void:
	if not _is_live(utterance):
		return
	utterance.restart()
	if utterance.restarts > Utterance.RESTARTS_MAX:
		_refuse(utterance, {"code": "connection.lost", "message": "it ended one session after another"})


func _on_dropped(reason: String) -> void:
	for utterance in _cancelling.values():
		_report_locally(utterance)
	emit_signal("dropped", reason)


func _on_closed(failure) -> void:
	for utterance in _cancelling.values():
		_report_locally(utterance)
	_contexts.clear()
	_by_number.clear()
	for utterance in queue:
		if failure == null:
			_restart(utterance)
		elif utterance.phase != Phase.OVER:
			utterance.end_locally("error")
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


# Cancels an utterance of which `played` samples were heard. `interrupted` is emitted at once where the report is made
# here, otherwise when the server's report comes.
func cancel(utterance: VoxwireUtterance, played: int) -> void:
	utterance.cancelled_pts = played
	if _is_live(utterance) and connection.is_open():
		var session_pts = utterance.to_session_pts(played)
		connection.send({"type": "cancel", "context": utterance.context, "played_pts": session_pts})
		utterance.phase = Phase.CANCELLING
		_cancelling[utterance.context] = utterance
		return
	if _is_live(utterance):
		var session_pts = utterance.to_session_pts(played)
		connection.send({"type": "cancel", "context": utterance.context, "played_pts": session_pts})
	_report_locally(utterance)


# Ends a cancelled utterance: with the server's report if it came, else with one made here (the server has already sent
# `done`, or the connection is lost).
func _report_locally(utterance: VoxwireUtterance) -> void:
	var report = utterance.cancelled
	if report == null:
		report = utterance.heard_report(utterance.cancelled_pts)
	_cancelling.erase(utterance.context)
	_contexts.erase(utterance.context)
	if utterance.done == null or utterance.done.reason != "cancelled":
		# The listener heard no more, even where the server has sent everything.
		utterance.end_locally("cancelled")
	emit_signal("interrupted", utterance, report)


# -- messages from the server ------------------------------------------------------------------------------------------


func _on_audio(frame: Dictionary) -> void:
	var utterance = _by_number.get(frame.number)
	if utterance != null:
		utterance.on_frame(frame)


func _on_message(map: Dictionary) -> void:
	var utterance = _contexts.get(map.context)
	if utterance == null:
		return
	match map.type:
		"started":
			_on_started(utterance, map)
		"clause":
			utterance.on_clause(map)
		"timing":
			utterance.on_timing(map)
		"mark":
			utterance.on_mark(map)
		"flushed":
			utterance.on_flushed(map)
		"warning":
			emit_signal("warned", map.code, map.message)
		"error":
			_on_error(utterance, map)
		"cancelled":
			if utterance.phase == Phase.CANCELLING:
				utterance.cancelled = utterance.whole_report(map)
		"done":
			if utterance.phase == Phase.OPEN:
				utterance.on_done(map)
			elif utterance.phase == Phase.CANCELLING:
				utterance.on_done(map)
				_report_locally(utterance)
			_contexts.erase(map.context)


func _on_started(utterance: VoxwireUtterance, map: Dictionary) -> void:
	_by_number[int(map.number)] = utterance
	if utterance.phase == Phase.OPENING:
		utterance.phase = Phase.OPEN
		utterance.started = map


func _on_error(utterance: VoxwireUtterance, map: Dictionary) -> void:
	if map.code in LATE_ERRORS or utterance.phase == Phase.CANCELLING or utterance.phase == Phase.WAITING:
		return
	var field = "" if map.get("details") == null else map.details.get("field", "")
	if field in ["seq", "played_pts"]:
		return
	if utterance.phase != Phase.OPENING:
		# Audio that is ready still comes, then `done`.
		emit_signal("failed", map)
	elif map.code == "server.draining" or utterance.restarts > 0 and map.retryable:
		utterance.retry()
		_retry_at_ms = _now_ms + int(map.get("retry_after_ms", RETRY_MS))
	else:
		_refuse(utterance, map)


func _refuse(utterance: VoxwireUtterance, map: Dictionary) -> void:
	if _is_live(utterance) and utterance.sent_any():
		# Text sent after a refused `start` opened the context with default options.
		connection.send({"type": "cancel", "context": utterance.context})
	_contexts.erase(utterance.context)
	utterance.end_locally("error")
	emit_signal("failed", map)
