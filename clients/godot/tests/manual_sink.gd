# An audio sink whose clock a test advances, and that hashes the samples it was given.
extends Reference

var capacity = 8192
var bytes = 0
var paused = false
var opened = 0
var _held = 0
var _hash = HashingContext.new()


func _init():
	_hash.start(HashingContext.HASH_SHA256)


func open(_sample_rate: int, _seconds: float) -> void:
	_held = 0
	opened += 1


func room() -> int:
	return capacity - _held


func push(samples: PoolVector2Array) -> void:
	var pcm = StreamPeerBuffer.new()
	for sample in samples:
		pcm.put_16(int(round(sample.x * 32768.0)))
	_hash.update(pcm.data_array)
	bytes += pcm.data_array.size()
	_held += samples.size()


func held() -> float:
	return float(_held)


func pause(value: bool) -> void:
	paused = value


func close() -> void:
	_held = 0


# Plays `samples` more samples.
func advance(samples: int) -> void:
	if not paused:
		_held = int(max(0, _held - samples))


# The SHA-256 of all samples as 16-bit PCM, in hex.
func digest() -> String:
	return _hash.finish().hex_encode()
