# Speaks text while it is still being written, and tells words and mouth shapes at the moment they are heard.
#
#   $Voxwire.say("Hello there.")
#
# What is said is heard one after another. It connects by itself when there is something to say; nothing here waits.
class_name VoxwireClient
extends Node

signal started_speaking(context)
signal clause(chars, pts)  # chars: [start, end) in the utterance's text.
signal word(text, chars, pts)
signal phoneme(ipa, pts, end_pts)
signal viseme(id, weight, pts)
signal finished(done)  # Once for every utterance, when its last sample was heard; `done` as in the protocol.
signal interrupted(heard, unheard)  # {pts, chars, text, word (maybe)} and {chars, text}, after `interrupt`.
signal ran_dry  # In the middle of speech; it goes on by itself.
signal warning(code, message)
signal error(code, message, retryable, hint)
signal connected(ready)
signal disconnected(reason)  # It is being brought back.
signal reconnected(resumed)  # false: what was not received is spoken anew.

const Exchange = preload("exchange.gd")
const Connection = preload("connection.gd")
const Playout = preload("playout.gd")
const GeneratorSink = preload("generator_sink.gd")
const MouthTrack = preload("mouth_track.gd")
const AudioFrame = preload("audio_frame.gd")
const Utterance = preload("utterance.gd")
const Phase = Utterance.Phase
const HOLD_SECONDS = 30.0  # From so much unheard audio on the server is asked to wait.
const RELEASE_SECONDS = 10.0

export(String) var url = "ws://127.0.0.1:8765"
export(String) var api_key = ""  # Sent in a header; not in HTML5, which has none.
export(String) var token = "" setget set_token  # Short-lived, for games that are given away: sent as a subprotocol.
export(String) var voice = ""
export(String) var language = ""
export(float, 10, 1000) var jitter_ms = 60.0
export(bool) var reconnect = true
export(NodePath) var player_path  # An AudioStreamPlayer, 2D or 3D; without one the client makes its own.

var timings = ["word", "viseme"]
var _exchange = Exchange.new()
var _playout: Playout = null
var _playing = null  # The utterance that the playout has.
var _held = false
var _count = 0
var _random = RandomNumberGenerator.new()
var _prefix = ""


func _init():
	_random.randomize()
	_prefix = "godot-%08x-" % _random.randi()
	for name in ["opened", "reopened", "dropped", "warned", "failed", "interrupted"]:
		_exchange.connect(name, self, "_on_" + name)


func _ready():
	if _playout == null:
		use_sink(GeneratorSink.new(_find_player()))


func _find_player() -> Node:
	if player_path != null and not player_path.is_empty():
		return get_node(player_path)
	var player = AudioStreamPlayer.new()
	player.name = "Player"
	add_child(player)
	return player


func _exit_tree():
	close()


# Plays into another sink than the loudspeaker; see generator_sink.gd. Before anything is said.
func use_sink(sink) -> void:
	_playout = Playout.new(sink)


# -- speaking ----------------------------------------------------------------------------------------------------------


# Speaks a whole text; returns its context. `options` as for `begin`.
func say(text: String, options: Dictionary = {}) -> String:
	var utterance = begin(options)
	utterance.append(text)
	utterance.finish()
	return utterance.context


# Begins to speak a text that is still being written: `append` pieces to what is returned, then `finish`.
# `options` are the fields of the protocol's `start`: voice, language, speed, seed, timings, audio, pacing, priority;
# `audio.codec` is "pcm_s16le" or "mulaw".
func begin(options: Dictionary = {}) -> VoxwireUtterance:
	var settings = _settings(options)
	_count += 1
	var utterance = Utterance.new(_prefix + str(_count), settings)
	if not AudioFrame.understands(settings.get("audio", {}).get("codec", "pcm_s16le")):
		utterance.end_here("error")
		emit_signal("error", "client.unsupported_audio", "this client plays pcm_s16le and mulaw", false, "")
	_exchange.queue.append(utterance)
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
		# Chosen here, so that what has to be spoken anew sounds the same.
		settings.seed = _random.randi()
	return settings


# The user interrupts: silence at once. `interrupted` and `finished` follow for each utterance that was not over.
func interrupt() -> void:
	var played = played_pts()
	var utterances = _exchange.queue.duplicate()
	var playing = _playing
	_exchange.queue.clear()
	_exchange.held = false
	_held = false
	_stop_playing()
	for utterance in utterances:
		_exchange.cancel(utterance, played if utterance == playing else 0)


# Pauses, without losing anything: for an interruption that may be a false one. Then `release`, or `interrupt`.
func hold() -> void:
	_set_held(true)


func release() -> void:
	_set_held(false)


func _set_held(held: bool) -> void:
	if _held == held:
		return
	_held = held
	_exchange.held = held
	if _playing != null:
		_playout.pause(held)
	for utterance in _exchange.queue:
		_exchange.hold(utterance, held or utterance.held_back)


# The first sample of the utterance that is being heard that has not been heard.
func played_pts() -> int:
	return _playout.played() if _playing != null else 0


# How much audio is here and has not been heard.
func lead_ms() -> float:
	return _playout.lead_ms() if _playing != null else 0.0


# How often speech ran dry in its middle.
func underruns() -> int:
	return _playout.underruns if _playout != null else 0


# The fifteen weights of the mouth now; closed while nothing sounds.
func mouth() -> Array:
	if _playing == null or not _playout.sounding():
		return MouthTrack.closed()
	return _playing.track.weights(played_pts())


# The utterance that is being heard, or null.
func speaking():
	return _playing


# -- the connection ----------------------------------------------------------------------------------------------------


# Connects now, rather than when there is something to say.
func open() -> void:
	if not _exchange.connection.is_idle():
		return
	_configure()
	_exchange.open(OS.get_ticks_msec())


# A fresh token, for the next time that the connection has to be brought back.
func set_token(value: String) -> void:
	token = value
	_configure()


func _configure() -> void:
	var connection = _exchange.connection
	connection.url = url
	connection.reconnect = reconnect
	var protocols = [Connection.SUBPROTOCOL]
	if token != "":
		protocols.append("voxwire.token." + token)
	connection.protocols = PoolStringArray(protocols)
	connection.headers = PoolStringArray([] if api_key == "" else ["Authorization: Bearer " + api_key])


# Ends the session; what was not heard is not heard any more.
func close() -> void:
	_stop_playing()
	_exchange.close()


func is_connected_now() -> bool:
	return _exchange.connection.is_open()


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
	_exchange.poll(OS.get_ticks_msec())
	_play()
	_exchange.acknowledge(_playing, played_pts())


func _play() -> void:
	if _exchange.queue.empty():
		return
	for each in _exchange.queue:
		_mind_the_bound(each)
	var utterance = _exchange.queue[0]
	if _playing != utterance:
		if utterance.started == null and utterance.phase != Phase.SPOKEN:
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
	_tell_heard(utterance)


# A slow listener makes the server wait, rather than this side keep all of it.
func _mind_the_bound(utterance: VoxwireUtterance) -> void:
	var seconds = utterance.seconds_waiting()
	if utterance == _playing:
		seconds += _playout.queued_seconds()
	if not utterance.held_back and seconds > HOLD_SECONDS:
		utterance.held_back = true
		_exchange.hold(utterance, true)
	elif utterance.held_back and seconds < RELEASE_SECONDS:
		utterance.held_back = false
		_exchange.hold(utterance, _held)


func _tell_heard(utterance: VoxwireUtterance) -> void:
	var played = played_pts() if utterance.started != null else 0
	if played > 0 and not utterance.heard_anything:
		utterance.heard_anything = true
		emit_signal("started_speaking", utterance.context)
	var over = utterance.phase == Phase.SPOKEN and played >= int(min(utterance.done.samples, utterance.received_pts))
	for cue in utterance.take_heard(played, over and utterance.done.reason != "error"):
		_tell_cue(cue[0], cue[1])
		# Whoever was told may have interrupted.
		if _playing != utterance:
			return
	utterance.track.forget_before(played)
	if over:
		_exchange.queue.erase(utterance)
		_stop_playing()
		emit_signal("finished", utterance.done)


func _tell_cue(kind: String, entry: Dictionary) -> void:
	match kind:
		"clause":
			emit_signal("clause", entry.chars, entry.pts)
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


