# Says how long to wait before the next attempt to connect: at once, then longer and longer, never in step with others.
extends Reference

const FIRST_MS = 50.0
const STEP_MS = 100.0
const MS_MAX = 5000.0
const ASKED_MS_MAX = 60000.0  # Nobody is believed who asks for more.

var _attempts = 0
var _random = RandomNumberGenerator.new()


func _init():
	_random.randomize()


# The connection was good for something: begin again with short delays.
func succeeded() -> void:
	_attempts = 0


# The next delay; not before `asked_ms`, if the server said so.
func next_ms(asked_ms: float) -> float:
	var bound = FIRST_MS if _attempts == 0 else min(MS_MAX, STEP_MS * pow(2, _attempts - 1))
	_attempts = int(min(_attempts + 1, 10))
	return clamp(asked_ms, 0.0, ASKED_MS_MAX) + _random.randf() * bound
