# Holds one session of the server's over all its connections: connects, counts, resumes, notices silence. It knows
# nothing of speech: what comes is handed on by signals, what is said goes through `send`.
#
#   IDLE --open--> CONNECTING --`ready`--> OPEN
#                      ^  |                 ^ |
#                      |  +--> RESUMING ----+ |      where there was a session before
#                      +------ WAITING <------+      the connection dropped; from anywhere
#   IDLE <-- closed by this side, for idleness, or for good (`ended`)
#
# `poll` must be called every frame; it never waits.
extends Reference

signal opened(ready, fresh)  # A session stands. `fresh`: it has no contexts, and what was said before is forgotten.
signal dropped(reason)  # The connection is away, and is being brought back.
signal message(map)  # A message of a context.
signal audio(frame)
signal notice(map)  # A `warning` or `error` about the session, or `draining`.
signal ended(failure)  # {code, message, retryable, hint}: there is no session any more; null: in good order.

enum State { IDLE, WAITING, CONNECTING, RESUMING, OPEN }

const Outbox = preload("outbox.gd")
const Backoff = preload("backoff.gd")
const Socket = preload("socket.gd")
const AudioFrame = preload("audio_frame.gd")
const SUBPROTOCOL = "voxwire.v1.json"
const PATH = "/v1/stream"
const DROPPED = [1001, 1005, 1006, 1011, 1012, 1013]  # Close codes after which it is worth coming back.
const LEAVE_CODE = 4000  # Neither 1000 nor none: those would end the session.
const ANSWER_MS = 10000
const SILENT_HEARTBEATS_MAX = 3
const PACKETS_A_POLL = 512
const MESSAGES_A_POLL = 64

var url = ""
var headers = PoolStringArray()
var protocols = PoolStringArray([SUBPROTOCOL])
var reconnect = true
var reconnect_seconds = -1.0  # -1: as long as the server keeps the session, 30 s at least.
var ready = {}  # Of the session that stands.
var draining = false
var received = 0  # What was counted of the session.
var _state = State.IDLE
var _outbox = Outbox.new()
var _backoff = Backoff.new()
var _socket: Socket = null
var _now_ms = 0
var _deadline_ms = 0
var _give_up_ms = -1
var _said = null  # The last `error` about the session.
var _token = ""
var _gone = false  # The server takes the session back no more.
var _fresh = {}
var _fresh_received = 0
var _drained_at_ms = 0
var _beat_at_ms = 0
var _heard = false
var _silent = 0


func is_open() -> bool:
	return _state == State.OPEN


func is_idle() -> bool:
	return _state == State.IDLE


# Connects; without effect while there is a session.
func open(now_ms: int) -> void:
	if _state == State.IDLE:
		_now_ms = now_ms
		_forget_session()
		_dial()


# Says something: now, or when the connection is back. False: too much text waits already.
func send(map: Dictionary) -> bool:
	if map.type == "text" and not _outbox.has_room():
		return false
	_outbox.append(map)
	_write()
	return true


# Whether everything that was said is on its way.
func is_written() -> bool:
	return not _outbox.waiting()


# Ends the session.
func close() -> void:
	if _socket != null:
		_socket.leave(1000)
	_forget_session()
	_state = State.IDLE


func _forget_session() -> void:
	_socket = null
	_outbox.clear()
	ready = {}
	_said = null
	draining = false
	_gone = false
	_give_up_ms = -1


# -- every frame -------------------------------------------------------------------------------------------------------


func poll(now_ms: int) -> void:
	_now_ms = now_ms
	if _state == State.WAITING and now_ms >= _deadline_ms:
		_dial()
	if _socket == null:
		return
	var socket = _socket
	socket.poll()
	_take_packets(socket)
	if _socket != socket:
		return
	if socket.is_closed() and not socket.has_packet():
		_lose(socket.close_code)
	elif _state == State.OPEN and draining and now_ms >= _drained_at_ms:
		_drop()
	elif _state == State.OPEN:
		_watch()
		_write()
	elif now_ms >= _deadline_ms:
		_drop()


func _take_packets(socket: Socket) -> void:
	for _i in PACKETS_A_POLL:
		# Whoever is told of a message may close the session.
		if _socket != socket or not socket.has_packet():
			return
		_heard = true
		var packet = socket.take()
		if packet[0]:
			_take_text(packet[1].get_string_from_utf8())
		else:
			_take_binary(packet[1])


# Beats are counted, not seconds: a game that was busy itself has not lost its server.
func _watch() -> void:
	if _now_ms < _beat_at_ms:
		return
	_silent = 0 if _heard else _silent + 1
	_heard = false
	_beat_at_ms = _now_ms + int(ready.heartbeat_ms)
	if _silent >= SILENT_HEARTBEATS_MAX:
		_drop()
	elif _silent > 0:
		send({"type": "ping", "t": _now_ms})


func _write() -> void:
	if _state != State.OPEN:
		return
	for _i in MESSAGES_A_POLL:
		if not _outbox.waiting() or not _socket.put(_outbox.peek()):
			return
		_outbox.written += 1


# -- connections that come and go --------------------------------------------------------------------------------------


func _dial() -> void:
	_state = State.CONNECTING
	_deadline_ms = _now_ms + ANSWER_MS
	_said = null
	_socket = Socket.new(address(), protocols, headers)


# The address with its path; http stands for ws.
func address() -> String:
	var parts = url.split("?")
	var base = parts[0].trim_suffix("/")
	for pair in [["http://", "ws://"], ["https://", "wss://"]]:
		if base.begins_with(pair[0]):
			base = pair[1] + base.substr(pair[0].length())
	if base.count("/") <= 2:
		base += PATH
	var query = [] if parts.size() < 2 else [parts[1]]
	if _resumable():
		query.append("resume=" + ready.session)
	return base if query.empty() else base + "?" + PoolStringArray(query).join("&")


func _resumable() -> bool:
	return not ready.empty() and not _gone and ready.resume_window_ms > 0


# The server is going away and has said all there was: there is nothing to come back for. `wanted`: a fresh session is.
func move_on(wanted: bool) -> void:
	_gone = true
	_socket.leave(1000)
	_lose(1012 if wanted else 1000)


# Gives the connection up from this side, without ending the session.
func _drop() -> void:
	_socket.leave(LEAVE_CODE)
	_lose(1006)


func _lose(close_code: int) -> void:
	var was_open = _state == State.OPEN
	_socket = null
	if close_code == 1000:
		_state = State.IDLE
		emit_signal("ended", null)
	elif not _worth_another(close_code):
		_fail(close_code)
	else:
		var asked_ms = 0.0 if _said == null else float(_said.get("retry_after_ms", 0.0))
		_state = State.WAITING
		_deadline_ms = int(min(_now_ms + _backoff.next_ms(asked_ms), _give_up_ms))
		if was_open:
			emit_signal("dropped", "the connection ended with %d" % close_code)


func _worth_another(close_code: int) -> bool:
	if ready.empty() or not reconnect or not close_code in DROPPED:
		return false
	if _give_up_ms < 0:
		var patience = max(30.0, ready.resume_window_ms / 1000.0) if reconnect_seconds < 0 else reconnect_seconds
		_give_up_ms = _now_ms + int(patience * 1000)
	return _now_ms < _give_up_ms


func _fail(close_code: int) -> void:
	var failure = _said
	if failure == null:
		failure = {"code": "connection.lost", "message": "the connection ended with %d" % close_code, "retryable": true}
		failure.hint = "Look whether the server runs at %s, then connect again." % url.split("?")[0]
		if ready.empty():
			failure.code = "connection.refused"
			failure.message = "nobody answers"
	_state = State.IDLE
	_outbox.clear()
	emit_signal("ended", failure)


# -- what comes --------------------------------------------------------------------------------------------------------


func _take_binary(bytes: PoolByteArray) -> void:
	_count()
	var frame = AudioFrame.parse(bytes)
	if frame != null and _state == State.OPEN:
		emit_signal("audio", frame)


func _count() -> void:
	if _state == State.OPEN:
		received += 1
		_give_up_ms = -1
		_backoff.succeeded()
	else:
		_fresh_received += 1


func _take_text(text: String) -> void:
	var parsed = JSON.parse(text)
	if parsed.error != OK or not parsed.result is Dictionary or not parsed.result.has("type"):
		_socket.leave(1007)
		_lose(1007)
		return
	var map = parsed.result
	match _state:
		State.CONNECTING:
			_greet(map)
		State.RESUMING:
			_take_answer(map)
		State.OPEN:
			_take_message(map)


func _greet(map: Dictionary) -> void:
	if map.type == "error":
		# A draining server lets its own sessions in; asked for again, this one would lead there again.
		_gone = _gone or map.code == "server.draining"
		_be_refused(map)
	elif map.type == "ready":
		_fresh = map
		_fresh_received = 0
		if not _resumable():
			_begin(true)
			return
		_state = State.RESUMING
		var resume = {"type": "resume", "session": ready.session, "token": _token, "received": received}
		_socket.put(to_json(resume).to_utf8())


func _take_answer(map: Dictionary) -> void:
	match map.type:
		"resumed":
			_token = map.token
			_outbox.say_again(int(map.received))
			_begin(false)
		"resume_failed":
			_begin(true)
		_:
			_count()
			if map.type == "error":
				_be_refused(map)


# The close that follows is not waited for: Godot 3.2 takes the codes 1012 and 1013 for mistakes, and tells nobody.
func _be_refused(map: Dictionary) -> void:
	_said = map
	_socket.leave(LEAVE_CODE)
	_lose(1013 if map.retryable else 1008)


func _begin(fresh: bool) -> void:
	_state = State.OPEN
	_silent = 0
	if fresh:
		ready = _fresh
		_token = ready.token
		received = _fresh_received
		draining = false
		_gone = false
		_outbox.clear()
	_beat_at_ms = _now_ms + int(ready.heartbeat_ms)
	emit_signal("opened", ready, fresh)
	_write()


func _take_message(map: Dictionary) -> void:
	if map.type in ["ready", "resumed", "resume_failed"]:
		return
	_count()
	match map.type:
		"state":
			if map.get("received") != null:
				_outbox.arrived(int(map.received))
		"draining":
			draining = true
			_drained_at_ms = _now_ms + int(map.deadline_ms)
			emit_signal("notice", map)
		_:
			if map.get("context") != null:
				emit_signal("message", map)
			elif map.type == "error" or map.type == "warning":
				_said = map if map.type == "error" else _said
				emit_signal("notice", map)
