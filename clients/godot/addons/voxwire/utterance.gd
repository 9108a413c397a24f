# One context: what is written to it, what came of it, and where in it the listener is. `VoxwireClient.begin` makes it.
#
#   WAITING --> OPENING --`started`--> OPEN --`done`--> SPOKEN
#      ^            |                   |
#      +- a fresh session, a drain -----+--`cancel`--> LEAVING --`cancelled`, or no answer to be had--> (reported)
#
# Numbers and clocks are the listener's. When another session goes on in the middle (`begin_anew`), what that session
# calls 0 lies at the seam.
class_name VoxwireUtterance
extends Reference

enum Phase { WAITING, OPENING, OPEN, LEAVING, SPOKEN }

const Transcript = preload("transcript.gd")
const MouthTrack = preload("mouth_track.gd")
const TEXT_WAITING_MAX = 1000000
const RESTARTS_MAX = 5

var context: String
var options: Dictionary
var phase = Phase.WAITING
var started = null  # The server's message, once it came.
var done = null
var track = MouthTrack.new()
var frames = []  # Received, not yet handed to the playout.
var heard_anything = false
var held_back = false
var cancelled_pts = 0  # Where the listener was when it was cancelled.
var cancelled = null  # What was heard of it then, once the server has said so.
var acked = {}
var restarts = 0
var transcript = Transcript.new()
var received_seq = -1
var received_pts = 0
var _cues = []  # [pts, order, kind, entry], in order of pts.
var _order = 0
var _steps = []  # Text, {flush} and {end}, still to be said.
var _flushes = []  # {id, chars}, not answered yet.
var _ended = false
var _said_chars = 0
var _whole_pts = 0
var _seam = {"seq": 0, "pts": 0, "chars": 0}


func _init(a_context: String, some_options: Dictionary):
	context = a_context
	options = some_options


# -- writing -----------------------------------------------------------------------------------------------------------


# More text, in pieces of any size. False: it is over, or too much waits already, and nothing was taken.
func append(text: String) -> bool:
	var clean = speakable(text)
	if _ended or phase >= Phase.LEAVING or _waiting_chars() + clean.length() > TEXT_WAITING_MAX:
		return false
	if clean != "":
		_steps.append(clean)
		transcript.append(clean)
	return true


# Everything so far is complete: speak it.
func flush(id: String = "") -> void:
	if not _ended:
		var step = {"flush": id, "chars": transcript.text.length()}
		_steps.append(step)
		_flushes.append(step)


# No more text will come.
func finish() -> void:
	if not _ended:
		_ended = true
		_steps.append({"end": true})


# What JSON and UTF-8 can carry: Godot 3 escapes no control characters, and on Windows has no characters beyond U+FFFF.
static func speakable(text: String) -> String:
	for i in text.length():
		var code = text.ord_at(i)
		if code < 32 and not code in [9, 10, 13] or code >= 0xd800 and code < 0xe000:
			text[i] = " "
	return text


func _waiting_chars() -> int:
	return transcript.text.length() - transcript.spoken_chars()


# The `start` of it.
func opening() -> Dictionary:
	var start = options.duplicate(true)
	start.type = "start"
	start.context = context
	if started != null:
		# Another server must not speak on in its own default voice.
		start.voice = started.voice
		start.audio = {"codec": started.audio.codec}
		start.audio.sample_rate = int(started.audio.sample_rate)
		start.audio.frame_ms = int(started.audio.frame_ms)
	return start


# Says what the server takes now.
func say(connection) -> void:
	while not _steps.empty() and (phase == Phase.OPENING or phase == Phase.OPEN):
		var step = _steps[0]
		if not step is String:
			_steps.pop_front()
			connection.send(_control(step))
		elif not _say_text(step, connection):
			return


func _control(step: Dictionary) -> Dictionary:
	if step.has("end"):
		return {"type": "end", "context": context}
	if step.flush == "":
		return {"type": "flush", "context": context}
	return {"type": "flush", "context": context, "id": step.flush}


func _say_text(text: String, connection) -> bool:
	# In a fresh session nothing may be opened by a text whose `start` was refused: it would be heard.
	if phase == Phase.OPENING and restarts > 0:
		return false
	var limits = connection.ready.limits
	var piece = text.substr(0, int(limits.text_chars_max))
	if _said_chars - transcript.spoken_chars() + piece.length() > limits.unspoken_chars_max:
		return false
	if not connection.send({"type": "text", "context": context, "text": piece}):
		return false
	_said_chars += piece.length()
	if piece.length() < text.length():
		_steps[0] = text.substr(piece.length())
	else:
		_steps.pop_front()
	return true


# Whether any text was said to the session that speaks it.
func said_anything() -> bool:
	return _said_chars > _seam.chars


# -- what comes --------------------------------------------------------------------------------------------------------


# An audio frame; the same one twice counts once.
func take_frame(frame: Dictionary) -> void:
	var seq = frame.seq + _seam.seq
	if phase != Phase.OPEN or seq <= received_seq:
		return
	frame.seq = seq
	frame.pts += _seam.pts
	received_seq = seq
	received_pts = frame.pts + int(started.audio.frame_samples)
	if frame.last:
		_whole_pts = received_pts
	frames.append(frame)


func take_clause(map: Dictionary) -> void:
	var entry = {"chars": _range(map.chars), "pts": int(map.pts) + _seam.pts}
	transcript.clause(entry.chars, entry.pts)
	_add_cues("clause", [entry])


func take_timing(map: Dictionary) -> void:
	var words = []
	for each in map.get("words", []):
		var entry = _timed(each)
		entry.text = each.text
		entry.chars = _range(each.chars)
		transcript.word(entry)
		words.append(entry)
	_add_cues("word", words)
	var phonemes = []
	for each in map.get("phonemes", []):
		var entry = _timed(each)
		entry.ipa = each.ipa
		phonemes.append(entry)
	_add_cues("phoneme", phonemes)
	var visemes = []
	for each in map.get("visemes", []):
		visemes.append({"id": int(each.id), "weight": float(each.weight), "pts": int(each.pts) + _seam.pts})
	track.add(visemes)
	_add_cues("viseme", visemes)


func take_flushed(map: Dictionary) -> void:
	if not _flushes.empty() and _flushes[0].flush == map.get("id", ""):
		_flushes.pop_front()


# The server has said its last of it.
func take_done(map: Dictionary) -> void:
	done = map.duplicate(true)
	done.frames = int(map.frames) + _seam.seq
	done.samples = int(map.samples) + _seam.pts
	done.chars = int(map.chars) + _seam.chars
	if map.reason == "no_speakable_text" and _seam.seq > 0:
		done.reason = "completed"
	phase = Phase.SPOKEN


func _timed(each: Dictionary) -> Dictionary:
	return {"pts": int(each.pts) + _seam.pts, "end_pts": int(each.end_pts) + _seam.pts}


func _range(chars: Array) -> Array:
	return [int(chars[0]) + _seam.chars, int(chars[1]) + _seam.chars]


func _add_cues(kind: String, entries: Array) -> void:
	for entry in entries:
		_order += 1
		_cues.append([entry.pts, _order, kind, entry])
	_cues.sort_custom(self, "_is_earlier")


static func _is_earlier(a: Array, b: Array) -> bool:
	return a[1] < b[1] if a[0] == b[0] else a[0] < b[0]


# What the listener has come to since the last call, [kind, entry] each; `all`: whatever is left.
func take_heard(played_pts: int, all: bool) -> Array:
	var heard = []
	while not _cues.empty() and (all or _cues[0][0] < played_pts):
		var cue = _cues.pop_front()
		heard.append([cue[2], cue[3]])
	return heard


# What was heard up to `pts`, as far as can be known here; see Transcript.heard.
func report(pts: int) -> Dictionary:
	return transcript.heard(int(min(pts, received_pts)), done.samples if done != null else -1)


# The server's report, which knows nothing of what came before the seam: whoever had not come there is answered here.
func spanning(map: Dictionary) -> Dictionary:
	if cancelled_pts < _seam.pts:
		return report(cancelled_pts)
	var heard = map.heard.duplicate()
	heard.pts = int(heard.pts) + _seam.pts
	heard.chars = int(heard.chars) + _seam.chars
	heard.text = transcript.text.substr(0, heard.chars)
	var rest = transcript.text.substr(heard.chars)
	return {"heard": heard, "unheard": {"chars": rest.length(), "text": rest}}


# Seconds of audio received and not handed to the playout.
func seconds_waiting() -> float:
	return 0.0 if started == null else frames.size() * started.audio.frame_ms / 1000.0


# A place of the listener's on the clock of the session that speaks now.
func there(pts: int) -> int:
	return int(max(0, pts - _seam.pts))


# What to tell the server of audio received and played; {} when it knows, or nothing came.
func acknowledgement(played_pts: int) -> Dictionary:
	var seq = received_seq - _seam.seq
	var ack = {"type": "ack", "context": context, "seq": seq, "played_pts": there(played_pts)}
	if seq < 0 or phase != Phase.OPEN or ack.hash() == acked.hash():
		return {}
	acked = ack
	return ack


# It ends with what was received.
func end_here(reason: String) -> void:
	var chars = transcript.text.length()
	done = {"type": "done", "context": context, "reason": reason, "frames": received_seq + 1}
	done.samples = received_pts
	done.chars = chars
	phase = Phase.SPOKEN


# Another session is to speak what has not been received: from the first word that did not come whole. Returns
# {pts, chars}: speech goes on there, and timings told before for `pts` and later count no more.
func begin_anew() -> Dictionary:
	var chars = transcript.first_unheard(received_pts, _whole_pts)
	transcript.cut(received_pts, chars)
	track.forget(received_pts)
	_seam = {"seq": received_seq + 1, "pts": received_pts, "chars": chars}
	acked = {}
	var kept = []
	for cue in _cues:
		if cue[0] < received_pts:
			kept.append(cue)
	_cues = kept
	_rewrite(chars)
	restarts += 1
	if _ended and received_seq >= 0 and transcript.is_blank(chars, transcript.text.length()):
		end_here("completed")
	else:
		phase = Phase.WAITING
	return {"pts": received_pts, "chars": chars}


# The server refused to open it for now.
func try_again() -> void:
	_rewrite(_seam.chars)
	phase = Phase.WAITING


func _rewrite(chars: int) -> void:
	while not _flushes.empty() and _flushes[0].chars <= chars and chars > 0:
		_flushes.pop_front()
	_steps.clear()
	_said_chars = chars
	var at = chars
	for step in _flushes:
		if step.chars > at:
			_steps.append(transcript.text.substr(at, step.chars - at))
			at = step.chars
		_steps.append(step)
	if at < transcript.text.length():
		_steps.append(transcript.text.substr(at))
	if _ended:
		_steps.append({"end": true})
