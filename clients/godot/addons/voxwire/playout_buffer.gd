# Buffers the audio frames of one context at a time, plays them into an audio sink, and knows which sample is being
# heard: the samples pushed, less those that the sink still holds. It is a jitter buffer: playback begins, and goes on
# after an underrun, once `jitter_ms` of audio are here.
extends Reference

const AudioFrame = preload("audio_frame.gd")
const AHEAD_SECONDS = 0.2  # How much audio the sink holds at most: longer than a slow frame of a game.

var sink
var jitter_ms = 60.0
var underruns = 0  # How often it ran empty in the middle of speech.
var _rate = 0
var _codec = ""
var _frames = []
var _queued = 0  # Samples in `_frames`.
var _frame_samples = 1
var _pushed = 0
var _played = 0
var _flowing = false
var _ended = true  # The newest frame was the last of an utterance.
var _paused = false


func _init(a_sink):
	sink = a_sink


# Begins a context; `audio` is the field of its `started` message.
func open(audio: Dictionary) -> void:
	drop()
	_rate = int(audio.sample_rate)
	_codec = audio.codec
	_frame_samples = int(audio.frame_samples)
	sink.open(_rate, AHEAD_SECONDS)


func append(frame: Dictionary) -> void:
	_frames.append(frame)
	_queued += _frame_samples
	_ended = frame.last


# Pushes as many frames as the sink has room for. Returns true if an underrun has just begun.
func feed() -> bool:
	if _paused or _rate == 0:
		return false
	if not _flowing:
		_flowing = not _frames.empty() and (_ended or _queued >= jitter_ms * _rate / 1000.0)
	var ahead = AHEAD_SECONDS * _rate
	while _flowing and not _frames.empty() and sink.room() >= _frame_samples and sink.held() < ahead:
		var samples = AudioFrame.stereo(_frames.pop_front().payload, _codec)
		sink.push(samples)
		_queued -= _frame_samples
		_pushed += samples.size()
	if _flowing and _frames.empty() and sink.held() <= 0:
		_flowing = false
		if not _ended:
			underruns += 1
			return true
	return false


# The first sample that has not been heard, on the context's clock. Never goes back.
func played() -> int:
	if not _paused:
		_played = int(max(_played, _pushed - ceil(sink.held())))
	return _played


# Milliseconds of audio that are buffered, here or in the sink, and not yet heard.
func lead_ms() -> float:
	return 0.0 if _rate == 0 else (_queued + sink.held()) * 1000.0 / _rate


# Seconds of audio that were not pushed to the sink yet.
func queued_seconds() -> float:
	return 0.0 if _rate == 0 else float(_queued) / _rate


# Whether sound is coming out.
func sounding() -> bool:
	return _flowing and not _paused


func pause(paused: bool) -> void:
	if paused != _paused:
		played()
		_paused = paused
		sink.pause(paused)


# Stops at once and discards the context.
func drop() -> void:
	sink.close()
	_frames.clear()
	_queued = 0
	_flowing = false
	_ended = true
	_paused = false
	_rate = 0
	_pushed = 0
	_played = 0
