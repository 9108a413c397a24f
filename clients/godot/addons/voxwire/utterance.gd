# One context: the text sent for it, the audio and timings received for it, and how much of it was heard.
# `VoxwireClient.begin` makes it.
#
#   WAITING --> OPENING --`started`--> OPEN --------`done`----------> OVER
#      ^            |                   |                               ^
#      +-- a new session, a drain ------+--cancel--> CANCELLING --------+ `cancelled`, or a local report
#
# `seq`, `pts` and `chars` count from the beginning of the utterance, over all sessions that speak it. A session that
# goes on in the middle (`restart`) counts from 0 again; `_offset` is added to its numbers.
class_name VoxwireUtterance
extends Reference

enum Phase { WAITING, OPENING, OPEN, CANCELLING, OVER }

const Transcript = preload("transcript.gd")
const MouthTrack = preload("mouth_track.gd")
const TEXT_WAITING_MAX = 1000000
const RESTARTS_MAX = 5

var context: String
var options: Dictionary
var phase = Phase.WAITING
var started = null  # The server's `started` message, or null before it came.
var done = null
var track = MouthTrack.new()
var frames = []  # Received, not yet given to the playout buffer.
var heard_anything = false
var held_back = false  # The server was asked to hold, because too much unheard audio is here.
var cancelled_pts = 0  # What was played when it was cancelled.
var cancelled = null  # What had been heard then, once the server has reported it.
var acked = {}
var restarts = 0
var transcript = Transcript.new()
var received_seq = -1
var received_pts = 0
var _timed_events = []  # [pts, order, kind, entry], sorted by pts, then order.
var _order = 0
var _pending = []  # Texts, {flush} and {end} that were not sent yet.
var _unanswered_flushes = []  # {flush (its id), chars}
var _finished = false  # The caller adds no more text.
var _sent_chars = 0
var _complete_pts = 0  # The end of the newest frame marked `last`: the text flushed before it was received whole.
var _offset = {"seq": 0, "pts": 0, "chars": 0}


func _init(a_context: String, some_options: Dictionary):
	context = a_context
	options = some_options


# -- text --------------------------------------------------------------------------------------------------------------


# Adds text, in pieces of any size. Returns false, and adds nothing, if the utterance has ended or too much text waits.
func append(text: String) -> bool:
	var clean = speakable(text)
	if _finished or phase >= Phase.CANCELLING or _waiting_chars() + clean.length() > TEXT_WAITING_MAX:
		return false
	if clean != "":
		_pending.append(clean)
		transcript.append(clean)
	return true


# Has all text so far spoken now, though no sentence may have ended.
func flush(id: String = "") -> void:
	if not _finished:
		var step = {"flush": id, "chars": transcript.text.length()}
		_pending.append(step)
		_unanswered_flushes.append(step)


# No more text will come.
func finish() -> void:
	if not _finished:
		_finished = true
		_pending.append({"end": true})


# The text with a space for each character that can not be sent: Godot 3 does not escape control characters in JSON, and
# its strings on Windows hold surrogates in place of characters beyond U+FFFF.
static func speakable(text: String) -> String:
	for i in text.length():
		var code = text.ord_at(i)
		if code < 32 and not code in [9, 10, 13] or code >= 0xd800 and code < 0xe000:
			text[i] = " "
	return text


func _waiting_chars() -> int:
	return transcript.text.length() - transcript.spoken_chars()


# The `start` message.
func start_message() -> Dictionary:
	var start = options.duplicate(true)
	start.type = "start"
	start.context = context
	if started != null:
		# Ask for what the first server chose: another server may have another default voice.
		start.voice = started.voice
		start.audio = {"codec": started.audio.codec}
		start.audio.sample_rate = int(started.audio.sample_rate)
		start.audio.frame_ms = int(started.audio.frame_ms)
	return start


# Sends as much of the pending text, flushes and end as the server accepts now.
func send_pending(connection) -> void:
	while not _pending.empty() and (phase == Phase.OPENING or phase == Phase.OPEN):
		var step = _pending[0]
		if not step is String:
			_pending.pop_front()
			connection.send(_control_message(step))
		elif not _send_text(step, connection):
			return


func _control_message(step: Dictionary) -> Dictionary:
	if step.has("end"):
		return {"type": "end", "context": context}
	if step.flush == "":
		return {"type": "flush", "context": context}
	return {"type": "flush", "context": context, "id": step.flush}


func _send_text(text: String, connection) -> bool:
	# Text sent after a refused `start` opens the context with default options. After a restart that would be played, so
	# the text waits for `started`.
	if phase == Phase.OPENING and restarts > 0:
		return false
	var limits = connection.ready.limits
	var piece = text.substr(0, int(limits.text_chars_max))
	if _sent_chars - transcript.spoken_chars() + piece.length() > limits.unspoken_chars_max:
		return false
	if not connection.send({"type": "text", "context": context, "text": piece}):
		return false
	_sent_chars += piece.length()
	if piece.length() < text.length():
		_pending[0] = text.substr(piece.length())
	else:
		_pending.pop_front()
	return true


# Whether any text was sent in the current session.
func sent_any() -> bool:
	return _sent_chars > _offset.chars


# -- audio and timings -------------------------------------------------------------------------------------------------


# Takes an audio frame; one that was received before is ignored.
func on_frame(frame: Dictionary) -> void:
	var seq = frame.seq + _offset.seq
	if phase != Phase.OPEN or seq <= received_seq:
		return
	frame.seq = seq
	frame.pts += _offset.pts
	received_seq = seq
	received_pts = frame.pts + int(started.audio.frame_samples)
	if frame.last:
		_complete_pts = received_pts
	frames.append(frame)


func on_clause(map: Dictionary) -> void:
	var entry = {"chars": _char_range(map.chars), "pts": int(map.pts) + _offset.pts}
	transcript.add_clause(entry.chars, entry.pts)
	_add_timed_events("clause", [entry])


func on_mark(map: Dictionary) -> void:
	_add_timed_events("mark", [{"name": map.name, "pts": int(map.pts) + _offset.pts}])


func on_timing(map: Dictionary) -> void:
	var words = []
	for each in map.get("words", []):
		var entry = _timed_entry(each)
		entry.text = each.text
		entry.chars = _char_range(each.chars)
		transcript.add_word(entry)
		words.append(entry)
	_add_timed_events("word", words)
	var phonemes = []
	for each in map.get("phonemes", []):
		var entry = _timed_entry(each)
		entry.ipa = each.ipa
		phonemes.append(entry)
	_add_timed_events("phoneme", phonemes)
	var visemes = []
	for each in map.get("visemes", []):
		visemes.append({"id": int(each.id), "weight": float(each.weight), "pts": int(each.pts) + _offset.pts})
	track.add(visemes)
	_add_timed_events("viseme", visemes)


func on_flushed(map: Dictionary) -> void:
	if not _unanswered_flushes.empty() and _unanswered_flushes[0].flush == map.get("id", ""):
		_unanswered_flushes.pop_front()


# The last message about this context.
func on_done(map: Dictionary) -> void:
	done = map.duplicate(true)
	done.frames = int(map.frames) + _offset.seq
	done.samples = int(map.samples) + _offset.pts
	done.chars = int(map.chars) + _offset.chars
	if map.reason == "no_speakable_text" and _offset.seq > 0:
		done.reason = "completed"
	phase = Phase.OVER


func _timed_entry(each: Dictionary) -> Dictionary:
	return {"pts": int(each.pts) + _offset.pts, "end_pts": int(each.end_pts) + _offset.pts}


func _char_range(chars: Array) -> Array:
	return [int(chars[0]) + _offset.chars, int(chars[1]) + _offset.chars]


func _add_timed_events(kind: String, entries: Array) -> void:
	for entry in entries:
		_order += 1
		_timed_events.append([entry.pts, _order, kind, entry])
	_timed_events.sort_custom(self, "_is_earlier")


static func _is_earlier(a: Array, b: Array) -> bool:
	return a[1] < b[1] if a[0] == b[0] else a[0] < b[0]


# Removes and returns the timed events before `played_pts`, or all of them: [kind, entry] each.
func take_events_before(played_pts: int, all: bool) -> Array:
	var heard = []
	while not _timed_events.empty() and (all or _timed_events[0][0] < played_pts):
		var event = _timed_events.pop_front()
		heard.append([event[2], event[3]])
	return heard


# What was heard up to `pts`, worked out from the timings received; see Transcript.heard.
func heard_report(pts: int) -> Dictionary:
	return transcript.heard(int(min(pts, received_pts)), done.samples if done != null else -1)


# The server's `cancelled` report, which covers its own session only, as a report about the whole utterance. A position
# before the offset belongs to an earlier session: that report is computed here.
func whole_report(map: Dictionary) -> Dictionary:
	if cancelled_pts < _offset.pts:
		return heard_report(cancelled_pts)
	var heard = map.heard.duplicate()
	heard.pts = int(heard.pts) + _offset.pts
	heard.chars = int(heard.chars) + _offset.chars
	heard.text = transcript.text.substr(0, heard.chars)
	var rest = transcript.text.substr(heard.chars)
	return {"heard": heard, "unheard": {"chars": rest.length(), "text": rest}}


# Seconds of audio received and not given to the playout buffer.
func seconds_waiting() -> float:
	return 0.0 if started == null else frames.size() * started.audio.frame_ms / 1000.0


# A pts of the utterance, as a pts of the current session.
func to_session_pts(pts: int) -> int:
	return int(max(0, pts - _offset.pts))


# The next `ack`; {} if no frame was received, or nothing changed since the last one.
func next_ack(played_pts: int) -> Dictionary:
	var seq = received_seq - _offset.seq
	var ack = {"type": "ack", "context": context, "seq": seq, "played_pts": to_session_pts(played_pts)}
	if seq < 0 or phase != Phase.OPEN or ack.hash() == acked.hash():
		return {}
	acked = ack
	return ack


# Ends it without the server, with the audio that was received.
func end_locally(reason: String) -> void:
	var chars = transcript.text.length()
	done = {"type": "done", "context": context, "reason": reason, "frames": received_seq + 1}
	done.samples = received_pts
	done.chars = chars
	phase = Phase.OVER


# Prepares it for a new session, which speaks from the first word that was not received whole. Timings at or after
# `received_pts` are discarded.
func restart() -> void:
	var chars = transcript.first_unheard(received_pts, _complete_pts)
	transcript.cut(received_pts, chars)
	track.forget(received_pts)
	_offset = {"seq": received_seq + 1, "pts": received_pts, "chars": chars}
	acked = {}
	var kept = []
	for event in _timed_events:
		if event[0] < received_pts:
			kept.append(event)
	_timed_events = kept
	_requeue_from(chars)
	restarts += 1
	if _finished and received_seq >= 0 and transcript.is_blank(chars, transcript.text.length()):
		end_locally("completed")
	else:
		phase = Phase.WAITING


# The server refused `start` for now: send it again later.
func retry() -> void:
	_requeue_from(_offset.chars)
	phase = Phase.WAITING


func _requeue_from(chars: int) -> void:
	while not _unanswered_flushes.empty() and _unanswered_flushes[0].chars <= chars and chars > 0:
		_unanswered_flushes.pop_front()
	_pending.clear()
	_sent_chars = chars
	var at = chars
	for step in _unanswered_flushes:
		if step.chars > at:
			_pending.append(transcript.text.substr(at, step.chars - at))
			at = step.chars
		_pending.append(step)
	if at < transcript.text.length():
		_pending.append(transcript.text.substr(at))
	if _finished:
		_pending.append({"end": true})
