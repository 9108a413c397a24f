# Says how long to wait before the next attempt to connect. Full jitter: each delay is drawn from zero to a bound that
# doubles, so that clients that lost their server together do not reconnect together.
extends Reference

const FIRST_MS = 50.0
const STEP_MS = 100.0
const MS_MAX = 5000.0
const ASKED_MS_MAX = 60000.0  # A longer `retry_after_ms` of the server is cut to this.

var _attempts = 0
var _random = RandomNumberGenerator.new()


func _init():
	_random.randomize()


# A connection delivered a message: the next delays are short again.
func succeeded() -> void:
	_attempts = 0


# The next delay in milliseconds, at least `asked_ms` (the server's `retry_after_ms`, or 0).
func next_ms(asked_ms: float) -> float:
	var bound = FIRST_MS if _attempts == 0 else min(MS_MAX, STEP_MS * pow(2, _attempts - 1))
	_attempts = int(min(_attempts + 1, 10))
	return clamp(asked_ms, 0.0, ASKED_MS_MAX) + _random.randf() * bound
