# Numbers the messages that this client sends in one session, and keeps each until the server has acknowledged it.
extends Reference

const BYTES_MAX = 4194304

var first = 0  # The number of the oldest message kept.
var written = 0  # The number of the next message to write to the socket.
var bytes = 0
var _kept = []  # Messages as UTF-8.


# Whether another text fits. Messages of a few bytes (acks, pings, cancel) may be appended even when it is full.
func has_room() -> bool:
	return bytes < BYTES_MAX


func append(message: Dictionary) -> void:
	var raw = to_json(message).to_utf8()
	_kept.append(raw)
	bytes += raw.size()


# Whether a message was not written yet.
func has_unsent() -> bool:
	return written < first + _kept.size()


# The next message to write; the caller increments `written` once it is written.
func peek() -> PoolByteArray:
	return _kept[written - first]


# Discards the first `count` messages of the session: the server has received them.
func acknowledge(count: int) -> void:
	while first < count and not _kept.empty():
		bytes -= _kept.pop_front().size()
		first += 1
	written = int(max(written, first))


# The session was resumed and the server has received the first `count` messages: all others are written again.
func resend(count: int) -> void:
	acknowledge(count)
	written = first


# Discards everything, for a new session.
func clear() -> void:
	first = 0
	written = 0
	bytes = 0
	_kept.clear()
