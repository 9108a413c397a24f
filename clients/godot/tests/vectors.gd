# Reads golden vectors with the client's own modules, and prints the results, a line of JSON each. Options: file, kind.
extends SceneTree

const Options = preload("options.gd")
const AudioFrame = preload("../addons/voxwire/audio_frame.gd")
const MouthTrack = preload("../addons/voxwire/mouth_track.gd")
const ResumableConnection = preload("../addons/voxwire/resumable_connection.gd")
const Outbox = preload("../addons/voxwire/outbox.gd")
const Utterance = preload("../addons/voxwire/utterance.gd")
const VisemeShapes = preload("../addons/voxwire/viseme_shapes.gd")

var signals = []


func _init():
	var options = Options.read()
	call(options.kind, _vectors(options.get("file", "")))
	quit(0)


func _vectors(path: String):
	var file = File.new()
	if path == "" or file.open(path, File.READ) != OK:
		return null
	return JSON.parse(file.get_as_text()).result


static func _bytes(hex: String) -> PoolByteArray:
	var bytes = PoolByteArray()
	for i in range(0, hex.length(), 2):
		bytes.append(("0x" + hex.substr(i, 2)).hex_to_int())
	return bytes


func frames(vectors):
	for each in vectors.valid + vectors.invalid:
		var frame = AudioFrame.parse(_bytes(each.frame))
		if frame != null:
			frame.payload = "" if frame.payload.empty() else frame.payload.hex_encode()
			frame.pts = str(frame.pts)
		print(to_json({"name": each.name, "frame": frame}))


func mulaw(_vectors):
	var samples = []
	for byte in 256:
		samples.append(AudioFrame.mulaw_sample(byte))
	print(to_json({"samples": samples}))


func visemes(vectors):
	for each in vectors:
		for order in [each.samples, _reversed(each.samples)]:
			var track = MouthTrack.new()
			track.add(each.visemes)
			for sample in order:
				print(to_json({"name": each.name, "pts": sample.pts, "weights": track.weights(int(sample.pts))}))


# The same, discarding the keyframes before each sample on the way.
func visemes_forgetting(vectors):
	for each in vectors:
		var track = MouthTrack.new()
		track.add(each.visemes)
		for sample in each.samples:
			track.forget_before(int(sample.pts))
			print(to_json({"name": each.name, "pts": sample.pts, "weights": track.weights(int(sample.pts))}))


# The weights after speech is restarted at each sample.
func visemes_restarted(vectors):
	for each in vectors:
		for sample in each.samples:
			var track = MouthTrack.new()
			track.add(each.visemes)
			track.forget(int(sample.pts))
			print(to_json({"pts": sample.pts, "weights": track.weights(int(sample.pts)), "later": track.weights(int(sample.pts) + 9999)}))


static func _reversed(list: Array) -> Array:
	var copy = list.duplicate()
	copy.invert()
	return copy


func shapes(_vectors):
	print(to_json({"shapes": VisemeShapes.SHAPES}))


# Gives each server message to an open session, and prints the signals that it emits.
func messages(vectors):
	for each in vectors:
		if each.from != "server":
			continue
		var parsed = JSON.parse(each.json)
		print(to_json({"name": each.name, "error": parsed.error, "map": parsed.result, "signals": _signals_of(each.json)}))


func _signals_of(raw: String) -> Array:
	var connection = ResumableConnection.new()
	connection.ready = {"session": "s", "heartbeat_ms": 5000.0, "resume_window_ms": 30000.0}
	connection._state = ResumableConnection.State.OPEN
	signals = []
	for name in ["message", "notice", "closed"]:
		connection.connect(name, self, "_note", [name])
	connection._on_text(raw)
	return signals + [{"counted": connection.received}]


func _note(map, name):
	signals.append({name: map})


# Texts as the outbox writes them.
func sent(vectors):
	for each in vectors:
		var outbox = Outbox.new()
		outbox.append({"type": "text", "text": Utterance.speakable(each)})
		print(to_json({"raw": Marshalls.raw_to_base64(outbox.peek())}))
