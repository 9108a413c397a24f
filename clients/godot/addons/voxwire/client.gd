# Speaks text while it is still being written, and emits words and mouth shapes at the moment they are heard.
#
#   $Voxwire.say("Hello there.")
#
# Utterances are played one after another. It connects by itself when there is something to speak; no method blocks.
class_name VoxwireClient
extends Node

signal started_speaking(context)
signal clause(chars, pts)  # chars: [start, end) in the utterance's text.
signal mark(name, pts)  # A `mark` of the utterance's SSML.
signal word(text, chars, pts)
signal phoneme(ipa, pts, end_pts)
signal viseme(id, weight, pts)
signal finished(done)  # Once for every utterance, when its last sample was heard; `done` as in the protocol.
signal interrupted(heard, unheard)  # {pts, chars, text, word (maybe)} and {chars, text}, after `interrupt`.
signal ran_dry  # An underrun: playback stopped in the middle of speech, and goes on by itself.
signal warning(code, message)
signal error(code, message, retryable, hint)
signal connected(ready)
signal disconnected(reason)  # The connection is lost; reconnecting has begun.
signal reconnected(resumed)  # false: the session was lost, and what was not received is spoken again.

const Session = preload("session.gd")
const ResumableConnection = preload("resumable_connection.gd")
const PlayoutBuffer = preload("playout_buffer.gd")
const AudioSink = preload("audio_sink.gd")
const MouthTrack = preload("mouth_track.gd")
const AudioFrame = preload("audio_frame.gd")
const Utterance = preload("utterance.gd")
const Phase = Utterance.Phase
const HOLD_SECONDS = 30.0  # With more unheard audio of an utterance than this, the server is asked to hold.
const RELEASE_SECONDS = 10.0  # With less than this, to go on.

export(String) var url = "ws://127.0.0.1:8765"
export(String) var api_key = ""  # Sent in a header; not in HTML5, which has none.
export(String) var token = "" setget set_token  # Short-lived, for published games: sent as a subprotocol.
export(String) var voice = ""
export(String) var language = ""
export(float, 10, 1000) var jitter_ms = 60.0
export(bool) var reconnect = true
export(NodePath) var player_path  # An AudioStreamPlayer, 2D or 3D; if empty, the client makes its own.

var timings = ["word", "viseme"]
var _session = Session.new()
var _playout: PlayoutBuffer = null
var _playing = null  # The utterance in the playout buffer, or null.
var _held = false
var _count = 0
var _random = RandomNumberGenerator.new()
var _prefix = ""


func _init():
	_random.randomize()
	_prefix = "godot-%08x-" % _random.randi()
	for name in ["opened", "reopened", "dropped", "warned", "failed", "interrupted"]:
		_session.connect(name, self, "_on_" + name)


func _ready():
	if _playout == null:
		use_sink(AudioSink.new(_find_player()))


func _find_player() -> Node:
	if player_path != null and not player_path.is_empty():
		return get_node(player_path)
	var player = AudioStreamPlayer.new()
	player.name = "Player"
	add_child(player)
	return player


func _exit_tree():
	close()


# Plays into another sink than the loudspeaker; see audio_sink.gd. Call it before `say` and `begin`.
func use_sink(sink) -> void:
	_playout = PlayoutBuffer.new(sink)


# -- speaking ----------------------------------------------------------------------------------------------------------


# Speaks a whole text; returns the name of its context. `options` as for `begin`.
func say(text: String, options: Dictionary = {}) -> String:
	var utterance = begin(options)
	utterance.append(text)
	utterance.finish()
	return utterance.context


# Begins to speak a text that is still being written: `append` pieces to the returned utterance, then `finish` it.
# `options` are the fields of the protocol's `start`: voice, language, speed, seed, timings, audio, pacing, priority,
# format ("ssml": the text is SSML), lexicon, lexicons; `audio.codec` is "pcm_s16le" or "mulaw".
func begin(options: Dictionary = {}) -> VoxwireUtterance:
	var settings = _settings(options)
	_count += 1
	var utterance = Utterance.new(_prefix + str(_count), settings)
	if not AudioFrame.understands(settings.get("audio", {}).get("codec", "pcm_s16le")):
		utterance.end_locally("error")
		emit_signal("error", "client.unsupported_audio", "this client plays pcm_s16le and mulaw", false, "")
	_session.queue.append(utterance)
	open()
	return utterance


func _settings(options: Dictionary) -> Dictionary:
	var settings = {"timings": timings}
	if voice != "":
		settings.voice = voice
	if language != "":
		settings.language = language
	for name in options:
		settings[name] = options[name]
	if not settings.has("seed"):
		# Chosen here, so that speech that is repeated after a lost session sounds the same.
		settings.seed = _random.randi()
	return settings


# Barge-in: silence at once. `interrupted` and `finished` follow for each utterance that was not heard to its end.
func interrupt() -> void:
	var played = played_pts()
	var utterances = _session.queue.duplicate()
	var playing = _playing
	_session.queue.clear()
	_session.held = false
	_held = false
	_stop_playing()
	for utterance in utterances:
		_session.cancel(utterance, played if utterance == playing else 0)


# Pauses without losing audio, while it is not clear whether the user interrupts. Then `release`, or `interrupt`.
func hold() -> void:
	_set_held(true)


func release() -> void:
	_set_held(false)


func _set_held(held: bool) -> void:
	if _held == held:
		return
	_held = held
	_session.held = held
	if _playing != null:
		_playout.pause(held)
	for utterance in _session.queue:
		_session.hold(utterance, held or utterance.held_back)


# The first sample not yet heard of the utterance that is playing; 0 if none is.
func played_pts() -> int:
	return _playout.played() if _playing != null else 0


# Milliseconds of audio of the playing utterance that are buffered and not yet heard.
func lead_ms() -> float:
	return _playout.lead_ms() if _playing != null else 0.0


# How often the buffer ran empty in the middle of speech.
func underruns() -> int:
	return _playout.underruns if _playout != null else 0


# The fifteen weights of the mouth now (0 to 1); those of a closed mouth while nothing sounds.
func mouth() -> Array:
	if _playing == null or not _playout.sounding():
		return MouthTrack.closed()
	return _playing.track.weights(played_pts())


# The utterance that is playing, or null.
func speaking():
	return _playing


# -- the connection ----------------------------------------------------------------------------------------------------


# Connects now, rather than when there is something to speak.
func open() -> void:
	if not _session.connection.is_idle():
		return
	_configure()
	_session.open(OS.get_ticks_msec())


# Sets the token for the next connection.
func set_token(value: String) -> void:
	token = value
	_configure()


func _configure() -> void:
	var connection = _session.connection
	connection.url = url
	connection.reconnect = reconnect
	var protocols = [ResumableConnection.SUBPROTOCOL]
	if token != "":
		protocols.append("voxwire.token." + token)
	connection.protocols = PoolStringArray(protocols)
	connection.headers = PoolStringArray([] if api_key == "" else ["Authorization: Bearer " + api_key])


# Ends the session and stops playing.
func close() -> void:
	_stop_playing()
	_session.close()


func is_connected_now() -> bool:
	return _session.connection.is_open()


func _on_opened(ready: Dictionary) -> void:
	emit_signal("connected", ready)


func _on_reopened(resumed: bool) -> void:
	emit_signal("reconnected", resumed)


func _on_dropped(reason: String) -> void:
	emit_signal("disconnected", reason)


func _on_warned(code: String, message: String) -> void:
	emit_signal("warning", code, message)


func _on_failed(map: Dictionary) -> void:
	var hint = map.get("hint")
	emit_signal("error", map.code, map.message, bool(map.get("retryable")), "" if hint == null else hint)


func _on_interrupted(utterance: VoxwireUtterance, report: Dictionary) -> void:
	emit_signal("interrupted", report.heard, report.unheard)
	emit_signal("finished", utterance.done)


# -- every frame -------------------------------------------------------------------------------------------------------


func _process(_delta):
	_session.poll(OS.get_ticks_msec())
	_play()
	_session.acknowledge(_playing, played_pts())


func _play() -> void:
	if _session.queue.empty():
		return
	for each in _session.queue:
		_apply_backpressure(each)
	var utterance = _session.queue[0]
	if _playing != utterance:
		if utterance.started == null and utterance.phase != Phase.OVER:
			return
		_playing = utterance
		if utterance.started != null:
			_playout.jitter_ms = jitter_ms
			_playout.open(utterance.started.audio)
			_playout.pause(_held)
	for frame in utterance.frames:
		_playout.append(frame)
	utterance.frames.clear()
	if _playout.feed():
		emit_signal("ran_dry")
	_emit_heard(utterance)


# Asks the server to hold an utterance while much of its audio is buffered here, so that memory stays bounded.
func _apply_backpressure(utterance: VoxwireUtterance) -> void:
	var seconds = utterance.seconds_waiting()
	if utterance == _playing:
		seconds += _playout.queued_seconds()
	if not utterance.held_back and seconds > HOLD_SECONDS:
		utterance.held_back = true
		_session.hold(utterance, true)
	elif utterance.held_back and seconds < RELEASE_SECONDS:
		utterance.held_back = false
		_session.hold(utterance, _held)


func _emit_heard(utterance: VoxwireUtterance) -> void:
	var played = played_pts() if utterance.started != null else 0
	if played > 0 and not utterance.heard_anything:
		utterance.heard_anything = true
		emit_signal("started_speaking", utterance.context)
	var ended = utterance.phase == Phase.OVER and played >= int(min(utterance.done.samples, utterance.received_pts))
	for event in utterance.take_events_before(played, ended and utterance.done.reason != "error"):
		_emit_timed_event(event[0], event[1])
		# A listener of the signal may have called `interrupt`.
		if _playing != utterance:
			return
	utterance.track.forget_before(played)
	if ended:
		_session.queue.erase(utterance)
		_stop_playing()
		emit_signal("finished", utterance.done)


func _emit_timed_event(kind: String, entry: Dictionary) -> void:
	match kind:
		"clause":
			emit_signal("clause", entry.chars, entry.pts)
		"mark":
			emit_signal("mark", entry.name, entry.pts)
		"word":
			emit_signal("word", entry.text, entry.chars, entry.pts)
		"phoneme":
			emit_signal("phoneme", entry.ipa, entry.pts, entry.end_pts)
		"viseme":
			emit_signal("viseme", entry.id, entry.weight, entry.pts)


func _stop_playing() -> void:
	_playing = null
	if _playout != null:
		_playout.drop()


