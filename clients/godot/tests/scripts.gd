# Plays the client's part of golden vectors that are scripts, against a server that plays the other part; prints a line of
# JSON for each, in order. Options: url, file.
extends SceneTree

const Options = preload("options.gd")
const Client = preload("../addons/voxwire/client.gd")
const MS_MAX = 8000

var options = Options.read()
var scripts = []
var number = -1
var client = null
var sink = null
var steps = []
var utterances = {}  # By the script's name of the context.
var got = {}
var reports = []
var cancels = []
var cancelling = false
var disconnects = 0
var reconnects = []
var late_at_ms = 0


# A loudspeaker that plays at once, up to `limit`.
class Sink:
	extends Reference
	var limit = -1
	var values = []
	var pushed = 0

	func open(_sample_rate: int, _seconds: float) -> void:
		pushed = 0

	func room() -> int:
		return 100000

	func push(samples: PoolVector2Array) -> void:
		values.append(int(round(samples[0].x * 32768.0)))
		pushed += samples.size()

	func held() -> float:
		return 0.0 if limit < 0 else max(0.0, float(pushed - limit))

	func pause(_paused: bool) -> void:
		pass

	func close() -> void:
		pushed = 0


func _init():
	var file = File.new()
	file.open(options.file, File.READ)
	scripts = JSON.parse(file.get_as_text()).result


func _idle(_delta):
	if client == null:
		number = int(min(number + 1, scripts.size()))
		if number == scripts.size():
			quit(0)
		elif scripts[number].needs.empty():
			_begin()
		else:
			print(to_json({"skipped": scripts[number].needs}))
	elif _is_over():
		_answer(null)
	elif OS.get_ticks_msec() > late_at_ms:
		_answer("it takes too long: " + to_json(steps))
	else:
		while not steps.empty() and _play(steps[0]):
			steps.pop_front()
	return false


func _begin():
	steps = []
	utterances = {}
	got = {}
	reports = []
	cancels = []
	cancelling = false
	disconnects = 0
	reconnects = []
	late_at_ms = OS.get_ticks_msec() + MS_MAX
	sink = Sink.new()
	for step in scripts[number].steps:
		if step.has("context"):
			steps.append(step)
		if step.step == "cancel":
			sink.limit = int(step.played_pts)
	client = Client.new()
	client.url = "%s?case=%s" % [options.url, int(options.get("first", "0")) + number]
	client.jitter_ms = 10
	client.use_sink(sink)
	for name in ["clause", "word", "finished", "interrupted", "disconnected", "reconnected"]:
		client.connect(name, self, "_on_" + name)
	get_root().add_child(client)


# True: the step is done.
func _play(step: Dictionary) -> bool:
	if not utterances.has(step.context):
		utterances[step.context] = client.begin()
		got[step.context] = {"audio": [], "clauses": [], "words": [], "reconnected": [], "done": []}
	var utterance = utterances[step.context]
	match step.step:
		"write":
			utterance.append(step.text)
		"flush":
			utterance.flush(step.id)
		"end":
			utterance.finish()
		"wait":
			return _count(step.kind, utterance) >= step.count
		"report":
			reports.append(utterance.heard_report(int(step.played_pts)))
		"cancel":
			return _cancel(step)
	return true


func _count(kind: String, utterance) -> int:
	match kind:
		"audio":
			return utterance.received_seq + 1
		"dropped":
			return disconnects
		"reconnected":
			return reconnects.size()
	return 0 if utterance.done == null else 1


# Once the listener has come so far. What was heard may be told later.
func _cancel(step: Dictionary) -> bool:
	if not cancelling and client.played_pts() == int(step.played_pts):
		cancelling = true
		client.interrupt()
	return cancelling


func _is_over() -> bool:
	if not steps.empty():
		return false
	for name in scripts[number].listeners:
		if scripts[number].listeners[name].has("done") and got[name].done.empty():
			return false
	return not cancelling or not cancels.empty()


func _answer(error):
	var at = 0
	for name in got:
		got[name].reconnected = reconnects
		var samples = utterances[name].received_pts
		for seq in samples / 80:
			if at < sink.values.size():
				got[name].audio.append([seq, seq * 80, sink.values[at]])
				at += 1
	print(to_json({"listeners": got, "reports": reports, "cancels": cancels, "error": error}))
	client.close()
	client.queue_free()
	client = null


func _name(context: String) -> String:
	for name in utterances:
		if utterances[name].context == context:
			return name
	return ""


func _on_clause(chars, pts):
	got[_name(client.speaking().context)].clauses.append([chars[0], chars[1], pts])


func _on_word(text, chars, pts):
	got[_name(client.speaking().context)].words.append([text, chars[0], chars[1], pts])


func _on_finished(done):
	got[_name(done.context)].done = [done.reason, done.frames, done.samples, done.chars]


func _on_interrupted(heard, unheard):
	cancels.append({"heard": heard, "unheard": unheard})


func _on_disconnected(_reason):
	disconnects += 1


func _on_reconnected(resumed):
	reconnects.append(resumed)
