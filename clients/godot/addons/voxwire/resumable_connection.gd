# Holds one server session over any number of WebSockets: connects, counts messages, resumes after a drop, and watches
# the heartbeat. It knows nothing of speech: messages from the server are passed on by signals, messages to it go
# through `send`.
#
#   IDLE --open--> CONNECTING --`ready`--> OPEN
#                      ^  |                 ^ |
#                      |  +--> RESUMING ----+ |      where there was a session before
#                      +------ WAITING <------+      the connection dropped; from any state
#   IDLE <-- closed by this side, closed by the server with 1000, or given up (`closed`)
#
# `poll` must be called every frame; it never blocks.
extends Reference

signal opened(ready, fresh)  # A session is open. `fresh`: it is new, without contexts; unsent messages were discarded.
signal dropped(reason)  # The connection is lost; reconnecting has begun.
signal message(map)  # A message of a context.
signal audio(frame)
signal notice(map)  # A `warning` or `error` about the session, or `draining`.
signal closed(failure)  # There is no session any more. {code, message, retryable, hint}, or null after a normal close.

enum State { IDLE, WAITING, CONNECTING, RESUMING, OPEN }

const Outbox = preload("outbox.gd")
const Backoff = preload("backoff.gd")
const WebSocketTransport = preload("web_socket_transport.gd")
const AudioFrame = preload("audio_frame.gd")
const SUBPROTOCOL = "voxwire.v1.json"
const PATH = "/v1/stream"
const RECONNECT_CODES = [1001, 1005, 1006, 1011, 1012, 1013]  # Close codes after which a new connection may succeed.
const LEAVE_CODE = 4000  # The server ends the session on 1000 and on a close without a code, but keeps it on this one.
const HANDSHAKE_MS_MAX = 10000
const SILENT_HEARTBEATS_MAX = 3
const PACKETS_PER_POLL = 512
const MESSAGES_PER_POLL = 64

var url = ""
var headers = PoolStringArray()
var protocols = PoolStringArray([SUBPROTOCOL])
var reconnect = true
var reconnect_seconds = -1.0  # How long to try; -1: as long as the server keeps the session, at least 30 s.
var ready = {}  # The `ready` message of the current session.
var draining = false
var received = 0  # Messages received in the current session; sent in `resume`.
var _state = State.IDLE
var _outbox = Outbox.new()
var _backoff = Backoff.new()
var _transport: WebSocketTransport = null
var _now_ms = 0
var _deadline_ms = 0
var _give_up_ms = -1
var _server_error = null  # The last `error` about the session.
var _token = ""
var _session_gone = false  # The server will not resume this session.
var _new_ready = {}  # `ready` of a connection whose resume is not answered yet.
var _new_received = 0
var _drain_deadline_ms = 0
var _heartbeat_at_ms = 0
var _received_since_heartbeat = false
var _silent_heartbeats = 0


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


# Sends a message now, or once the connection is back. Returns false if it is text and the outbox is full.
func send(map: Dictionary) -> bool:
	if map.type == "text" and not _outbox.has_room():
		return false
	_outbox.append(map)
	_send_pending()
	return true


# Whether every message given to `send` was written to the socket.
func is_written() -> bool:
	return not _outbox.has_unsent()


# Ends the session.
func close() -> void:
	if _transport != null:
		_transport.leave(1000)
	_forget_session()
	_state = State.IDLE


func _forget_session() -> void:
	_transport = null
	_outbox.clear()
	ready = {}
	_server_error = null
	draining = false
	_session_gone = false
	_give_up_ms = -1


# -- every frame -------------------------------------------------------------------------------------------------------


func poll(now_ms: int) -> void:
	_now_ms = now_ms
	if _state == State.WAITING and now_ms >= _deadline_ms:
		_dial()
	if _transport == null:
		return
	var transport = _transport
	transport.poll()
	_take_packets(transport)
	if _transport != transport:
		return
	if transport.is_closed() and not transport.has_packet():
		_on_transport_closed(transport.close_code)
	elif _state == State.OPEN and draining and now_ms >= _drain_deadline_ms:
		_drop()
	elif _state == State.OPEN:
		_check_heartbeat()
		_send_pending()
	elif now_ms >= _deadline_ms:
		_drop()


func _take_packets(transport: WebSocketTransport) -> void:
	for _i in PACKETS_PER_POLL:
		# A listener of a signal may close the session.
		if _transport != transport or not transport.has_packet():
			return
		_received_since_heartbeat = true
		var packet = transport.take()
		if packet[0]:
			_on_text(packet[1].get_string_from_utf8())
		else:
			_on_binary(packet[1])


# Counts heartbeat intervals that were polled, not elapsed time: a game that froze has not lost its server.
func _check_heartbeat() -> void:
	if _now_ms < _heartbeat_at_ms:
		return
	_silent_heartbeats = 0 if _received_since_heartbeat else _silent_heartbeats + 1
	_received_since_heartbeat = false
	_heartbeat_at_ms = _now_ms + int(ready.heartbeat_ms)
	if _silent_heartbeats >= SILENT_HEARTBEATS_MAX:
		_drop()
	elif _silent_heartbeats > 0:
		send({"type": "ping", "t": _now_ms})


func _send_pending() -> void:
	if _state != State.OPEN:
		return
	for _i in MESSAGES_PER_POLL:
		if not _outbox.has_unsent() or not _transport.put(_outbox.peek()):
			return
		_outbox.written += 1


# -- connecting and reconnecting ---------------------------------------------------------------------------------------


func _dial() -> void:
	_state = State.CONNECTING
	_deadline_ms = _now_ms + HANDSHAKE_MS_MAX
	_server_error = null
	_transport = WebSocketTransport.new(address(), protocols, headers)


# The WebSocket address: `url` with ws for http and the stream's path, and the session to resume in its query.
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
	return not ready.empty() and not _session_gone and ready.resume_window_ms > 0


# Leaves a draining server whose contexts have all ended. `needs_session`: connect again for a fresh session.
func leave_draining_server(needs_session: bool) -> void:
	_session_gone = true
	_transport.leave(1000)
	_on_transport_closed(1012 if needs_session else 1000)


# Gives up the WebSocket from this side, and keeps the session.
func _drop() -> void:
	_transport.leave(LEAVE_CODE)
	_on_transport_closed(1006)


func _on_transport_closed(close_code: int) -> void:
	var was_open = _state == State.OPEN
	_transport = null
	if close_code == 1000:
		_state = State.IDLE
		emit_signal("closed", null)
	elif not _should_reconnect(close_code):
		_fail(close_code)
	else:
		var asked_ms = 0.0 if _server_error == null else float(_server_error.get("retry_after_ms", 0.0))
		_state = State.WAITING
		_deadline_ms = int(min(_now_ms + _backoff.next_ms(asked_ms), _give_up_ms))
		if was_open:
			emit_signal("dropped", "the connection ended with %d" % close_code)


func _should_reconnect(close_code: int) -> bool:
	if ready.empty() or not reconnect or not close_code in RECONNECT_CODES:
		return false
	if _give_up_ms < 0:
		var patience = max(30.0, ready.resume_window_ms / 1000.0) if reconnect_seconds < 0 else reconnect_seconds
		_give_up_ms = _now_ms + int(patience * 1000)
	return _now_ms < _give_up_ms


func _fail(close_code: int) -> void:
	var failure = _server_error
	if failure == null:
		failure = {"code": "connection.lost", "message": "the connection ended with %d" % close_code, "retryable": true}
		failure.hint = "Look whether the server runs at %s, then connect again." % url.split("?")[0]
		if ready.empty():
			failure.code = "connection.refused"
			failure.message = "the server does not answer"
	_state = State.IDLE
	_outbox.clear()
	emit_signal("closed", failure)


# -- messages from the server ------------------------------------------------------------------------------------------


func _on_binary(bytes: PoolByteArray) -> void:
	_count_message()
	var frame = AudioFrame.parse(bytes)
	if frame != null and _state == State.OPEN:
		emit_signal("audio", frame)


func _count_message() -> void:
	if _state == State.OPEN:
		received += 1
		_give_up_ms = -1
		_backoff.succeeded()
	else:
		_new_received += 1


func _on_text(text: String) -> void:
	var parsed = JSON.parse(text)
	if parsed.error != OK or not parsed.result is Dictionary or not parsed.result.has("type"):
		_transport.leave(1007)
		_on_transport_closed(1007)
		return
	var map = parsed.result
	match _state:
		State.CONNECTING:
			_on_handshake(map)
		State.RESUMING:
			_on_resume_answer(map)
		State.OPEN:
			_on_message(map)


func _on_handshake(map: Dictionary) -> void:
	if map.type == "error":
		# A draining server accepts only sessions that it holds. It refused, so it does not hold this one; asking for it
		# again would lead to the same server.
		_session_gone = _session_gone or map.code == "server.draining"
		_on_refused(map)
	elif map.type == "ready":
		_new_ready = map
		_new_received = 0
		if not _resumable():
			_enter_session(true)
			return
		_state = State.RESUMING
		var resume = {"type": "resume", "session": ready.session, "token": _token, "received": received}
		_transport.put(to_json(resume).to_utf8())


func _on_resume_answer(map: Dictionary) -> void:
	match map.type:
		"resumed":
			_token = map.token
			_outbox.resend(int(map.received))
			_enter_session(false)
		"resume_failed":
			_enter_session(true)
		_:
			_count_message()
			if map.type == "error":
				_on_refused(map)


# Does not wait for the close that follows: Godot 3.2 treats the codes 1012 and 1013 as protocol errors and never
# reports such a close.
func _on_refused(map: Dictionary) -> void:
	_server_error = map
	_transport.leave(LEAVE_CODE)
	_on_transport_closed(1013 if map.retryable else 1008)


func _enter_session(fresh: bool) -> void:
	_state = State.OPEN
	_silent_heartbeats = 0
	if fresh:
		ready = _new_ready
		_token = ready.token
		received = _new_received
		draining = false
		_session_gone = false
		_outbox.clear()
	_heartbeat_at_ms = _now_ms + int(ready.heartbeat_ms)
	emit_signal("opened", ready, fresh)
	_send_pending()


func _on_message(map: Dictionary) -> void:
	if map.type in ["ready", "resumed", "resume_failed"]:
		return
	_count_message()
	match map.type:
		"state":
			if map.get("received") != null:
				_outbox.acknowledge(int(map.received))
		"draining":
			draining = true
			_drain_deadline_ms = _now_ms + int(map.deadline_ms)
			emit_signal("notice", map)
		_:
			if map.get("context") != null:
				emit_signal("message", map)
			elif map.type == "error" or map.type == "warning":
				_server_error = map if map.type == "error" else _server_error
				emit_signal("notice", map)
