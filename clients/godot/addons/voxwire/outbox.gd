# Keeps what this side says to one session, in order, until the server is known to have it.
extends Reference

const BYTES_MAX = 4194304

var first = 0  # The number of the oldest message kept.
var written = 0  # The number of the next one to write.
var bytes = 0
var _kept = []  # Messages as UTF-8.


# Whether there is room. Messages of a few bytes (acks, pings, cancel) may be said all the same.
func has_room() -> bool:
	return bytes < BYTES_MAX


func append(message: Dictionary) -> void:
	var raw = to_json(message).to_utf8()
	_kept.append(raw)
	bytes += raw.size()


# Whether something waits to be written.
func waiting() -> bool:
	return written < first + _kept.size()


# The next message to write; whoever has written it moves `written` on.
func peek() -> PoolByteArray:
	return _kept[written - first]


# The server has got the first `count` messages.
func arrived(count: int) -> void:
	while first < count and not _kept.empty():
		bytes -= _kept.pop_front().size()
		first += 1
	written = int(max(written, first))


# The server has got the first `count` messages and none of the rest.
func say_again(count: int) -> void:
	arrived(count)
	written = first


# There is a fresh session: nothing of what was said counts any more.
func clear() -> void:
	first = 0
	written = 0
	bytes = 0
	_kept.clear()
