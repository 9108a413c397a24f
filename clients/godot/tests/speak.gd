# Has a server speak a text, and prints each signal as a line of JSON. Options: url, text, voice, seed, codec, pacing,
# sink ("manual" plays `step` samples a frame, "real" is Godot's own), interrupt-at, hold-at (a word), then (a text to
# speak after the interruption), pieces (characters of each piece), flush-at (characters), again (how often to speak the
# text), token, key, reconnect.
extends SceneTree

const Options = preload("options.gd")
const ManualSink = preload("manual_sink.gd")
const SIGNALS = {
	"started_speaking": 1, "clause": 2, "word": 3, "phoneme": 3, "viseme": 3, "finished": 1, "interrupted": 2,
	"ran_dry": 0, "warning": 2, "error": 4, "connected": 1, "disconnected": 1, "reconnected": 1,
}

var options = Options.read()
var client = preload("../addons/voxwire/client.gd").new()
var sink = null
var finished = 0
var held_frames = 0
var lead_ms_max = 0.0
var held_back = false  # Whether the server was ever asked to hold.


func _init():
	randomize()
	client.url = options.url
	client.api_key = options.get("key", "")
	client.token = options.get("token", "")
	client.reconnect = options.get("reconnect", "1") == "1"
	for name in SIGNALS:
		client.connect(name, self, "_on_signal_%d" % SIGNALS[name], [name])
	if options.get("sink", "manual") == "manual":
		sink = ManualSink.new()
		client.use_sink(sink)
	get_root().add_child(client)
	call_deferred("_speak")


func _speak():
	for _i in int(options.get("again", "1")):
		var utterance = client.begin(_start())
		var text = options.text
		var piece = int(options.get("pieces", "1000000"))
		for at in range(0, text.length(), piece):
			utterance.append(text.substr(at, piece))
			if str(at) == options.get("flush-at", ""):
				utterance.flush("here")
		utterance.finish()


func _start() -> Dictionary:
	var start = {"timings": ["word", "phoneme", "viseme"], "pacing": {"mode": options.get("pacing", "burst")}}
	if options.has("voice"):
		start.voice = options.voice
	if options.has("seed"):
		start.seed = int(options.seed)
	if options.has("codec"):
		start.audio = {"codec": options.codec}
	return start


func _idle(_delta):
	held_back = held_back or client.speaking() != null and client.speaking().held_back
	lead_ms_max = max(lead_ms_max, client.lead_ms())
	if sink != null:
		sink.advance(int(options.get("step", "4000")))
	if held_frames > 0:
		held_frames -= 1
		if held_frames == 0:
			_print_signal("held", [client.played_pts(), client.mouth()])
			client.release()
	if finished == int(options.get("again", "1")) + int(options.has("then")):
		_print_signal("end", _summary())
		quit(0)
	return false


func _summary() -> Array:
	var summary = {"underruns": client.underruns(), "lead_ms_max": lead_ms_max, "held_back": held_back}
	if sink != null:
		summary.digest = sink.digest()
		summary.bytes = sink.bytes
	return [summary]


func _print_signal(name: String, values: Array) -> void:
	print(to_json({"signal": name, "values": values, "played": client.played_pts(), "at_ms": OS.get_ticks_msec()}))


func _on_signal_0(name):
	_print_signal(name, [])


func _on_signal_1(a, name):
	_print_signal(name, [a])
	if name == "finished":
		finished += 1


func _on_signal_2(a, b, name):
	_print_signal(name, [a, b])
	if name == "interrupted" and options.has("then"):
		client.say(options.then, _start())


func _on_signal_3(a, b, c, name):
	_print_signal(name, [a, b, c])
	if name == "word" and a == options.get("interrupt-at", ""):
		client.interrupt()
	if name == "word" and a == options.get("hold-at", ""):
		client.hold()
		held_frames = 20


func _on_signal_4(a, b, c, d, name):
	_print_signal(name, [a, b, c, d])
