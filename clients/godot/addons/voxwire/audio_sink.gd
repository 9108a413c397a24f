# The loudspeaker: plays samples through an AudioStreamGenerator, and estimates how many of them have not been heard
# yet. Tests put another object with the same public methods in its place.
extends Reference

# The generator's resampler reads up to 256 samples ahead of the mix; half of them are counted as not heard.
const RESAMPLER_SAMPLES = 128

var _player: Node  # An AudioStreamPlayer, AudioStreamPlayer2D or AudioStreamPlayer3D.
var _playback: AudioStreamGeneratorPlayback = null
var _rate = 0
var _capacity = 0
var _pushed = 0
var _held = 0.0
var _asked_usec = 0


func _init(player: Node):
	_player = player


# Drops what it holds and prepares for samples of a rate. `seconds` is how much audio it can hold.
func open(sample_rate: int, seconds: float) -> void:
	close()
	var generator = AudioStreamGenerator.new()
	generator.mix_rate = sample_rate
	generator.buffer_length = seconds
	_player.stream = generator
	_player.stream_paused = false
	_player.play()
	_playback = _player.get_stream_playback()
	_capacity = _playback.get_frames_available()
	_rate = sample_rate
	_pushed = 0
	_held = 0.0
	_asked_usec = OS.get_ticks_usec()


# How many samples can be pushed now.
func room() -> int:
	return _playback.get_frames_available() if _playback != null else 0


func push(samples: PoolVector2Array) -> void:
	_playback.push_buffer(samples)
	_pushed += samples.size()


# How many of the samples pushed have not been heard. Runs on between two mixes, and after the generator is empty.
func held() -> float:
	if _playback == null:
		return 0.0
	var now = OS.get_ticks_usec()
	var inside = _capacity - _playback.get_frames_available()
	if _player.stream_paused:
		pass
	elif inside > 0:
		var ahead = (AudioServer.get_output_latency() - AudioServer.get_time_since_last_mix()) * _rate
		_held = clamp(inside + RESAMPLER_SAMPLES + ahead, 0.0, _pushed)
	else:
		_held = max(0.0, _held - (now - _asked_usec) * _rate / 1000000.0)
	_asked_usec = now
	return _held


func pause(paused: bool) -> void:
	_player.stream_paused = paused


# Silence at once; Godot fades out its current mix, which takes a few milliseconds.
func close() -> void:
	if _playback != null:
		_player.stop()
		_player.stream = null
	_playback = null
	_capacity = 0
