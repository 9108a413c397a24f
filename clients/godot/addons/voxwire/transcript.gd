# The text of a context and the times of its clauses and words; works out what a listener has heard of it. The server's
# `cancelled` says the same; this is for when the server has ended the context or can't be reached.
extends Reference

# First and last of ranges of characters: what Unicode calls White_Space, and U+001C to U+001F.
const SPACES = [
	0x09, 0x0d, 0x1c, 0x20, 0x85, 0x85, 0xa0, 0xa0, 0x1680, 0x1680, 0x2000, 0x200a, 0x2028, 0x2029, 0x202f, 0x202f,
	0x205f, 0x205f, 0x3000, 0x3000,
]
# Signs that close a word: the blocks that are neither letters nor numbers. Godot 3 knows no kinds of characters.
const SIGNS = [
	0x00, 0x2f, 0x3a, 0x40, 0x5b, 0x60, 0x7b, 0xa9, 0xab, 0xb1, 0xb4, 0xb4, 0xb6, 0xb8, 0xbb, 0xbb, 0xbf, 0xbf, 0xd7, 0xd7,
	0xf7, 0xf7, 0x2c2, 0x2c5, 0x2d2, 0x2df, 0x300, 0x36f, 0x37e, 0x37e, 0x387, 0x387, 0x55a, 0x55f, 0x589, 0x5cf,
	0x600, 0x61f, 0x64b, 0x65f, 0x66a, 0x66d, 0x6d4, 0x6d4, 0x964, 0x965, 0xe3f, 0xe3f, 0xe4f, 0xe4f, 0x200b, 0x206f,
	0x207a, 0x207e, 0x208a, 0x208e, 0x20a0, 0x20ff, 0x2116, 0x2117, 0x2120, 0x2123, 0x2190, 0x245f, 0x249c, 0x24e9,
	0x2500, 0x2775, 0x2794, 0x2bff, 0x2e00, 0x2e2e, 0x2e30, 0x2fff, 0x3001, 0x3004, 0x3008, 0x3020, 0x3030, 0x3030,
	0x303d, 0x303f, 0x30a0, 0x30a0, 0x30fb, 0x30fb, 0xfe00, 0xfe6f, 0xfeff, 0xff0f, 0xff1a, 0xff20, 0xff3b, 0xff40,
	0xff5b, 0xff65, 0xffe0, 0xffff, 0x1f000, 0x1f0ff, 0x1f10d, 0x1fbef, 0xe0000, 0xe01ef,
]

var text = ""
var _clauses = []  # {chars: [start, end], pts}
var _words = []  # {text, chars: [start, end], pts, end_pts}


func append(piece: String) -> void:
	text += piece


func add_clause(chars: Array, pts: int) -> void:
	_clauses.append({"chars": chars, "pts": pts})


func add_word(entry: Dictionary) -> void:
	_words.append(entry)


# Where in the text the last clause ends of those whose audio has begun to come.
func spoken_chars() -> int:
	return 0 if _clauses.empty() else _clauses.back().chars[1]


# What was heard up to `pts`, in whole words. `end_pts` is where the last clause ends, -1 if that is not known.
# {heard: {pts, chars, text, word (maybe)}, unheard: {chars, text}}
func heard(pts: int, end_pts: int) -> Dictionary:
	var found = _heard(pts, end_pts)
	var chars = found[0]
	var report = {
		"heard": {"pts": pts, "chars": chars, "text": text.substr(0, chars)},
		"unheard": {"chars": text.length() - chars, "text": text.substr(chars)},
	}
	if found[1] != null:
		report.heard.word = found[1]
	return report


func _heard(pts: int, end_pts: int) -> Array:
	var chars = 0
	for i in _clauses.size():
		var clause = _clauses[i]
		var clause_end = _clauses[i + 1].pts if i + 1 < _clauses.size() else end_pts
		if clause_end >= 0 and pts >= clause_end:
			chars = clause.chars[1]
			continue
		if pts >= clause.pts:
			chars = int(max(chars, clause.chars[0]))
		if pts > clause.pts:
			var words = _words_between(clause.pts, clause_end)
			if words.empty():
				return [_evenly(clause, clause_end, pts, chars), null]
			return _by_words(words, pts, chars)
		break
	return [chars, null]


func _words_between(pts: int, end_pts: int) -> Array:
	var found = []
	for each in _words:
		if each.pts >= pts and (end_pts < 0 or each.pts < end_pts):
			found.append(each)
	return found


static func _by_words(words: Array, pts: int, chars: int) -> Array:
	for each in words:
		if each.end_pts > pts:
			return [chars, each.text if each.pts < pts else null]
		chars = int(max(chars, each.chars[1]))
	return [chars, null]


func _evenly(clause: Dictionary, end_pts: int, pts: int, chars: int) -> int:
	if end_pts < 0:
		return chars
	var start = clause.chars[0]
	var span = int(max(1, end_pts - clause.pts))
	# warning-ignore:integer_division
	var reached = start + (clause.chars[1] - start) * (pts - clause.pts) / span
	while reached > start and not _is_space(reached - 1):
		reached -= 1
	return int(max(chars, reached))


func _is_space(i: int) -> bool:
	return _is_in(text.ord_at(i), SPACES)


# Whether the text between two characters is nothing but space.
func is_blank(start: int, end: int) -> bool:
	for i in range(start, end):
		if not _is_space(i):
			return false
	return true


static func _is_in(code: int, ranges: Array) -> bool:
	for i in range(0, ranges.size(), 2):
		if code < ranges[i]:
			return false
		if code <= ranges[i + 1]:
			return true
	return false


# The character from which a new session has to speak, where audio was received up to `pts`: the beginning of the first
# word that was not received whole, or of its clause if its words are not known. Flushed text that ends at or before
# `complete_pts` was received whole.
func first_unheard(pts: int, complete_pts: int) -> int:
	var begun = -1
	for i in _clauses.size():
		if _clauses[i].pts < pts:
			begun = i
	if begun < 0:
		return 0
	var clause = _clauses[begun]
	var next_pts = _clauses[begun + 1].pts if begun + 1 < _clauses.size() else -1
	if pts <= complete_pts or (next_pts >= 0 and next_pts <= pts):
		return clause.chars[1]
	var words = _words_between(clause.pts, next_pts)
	if words.empty():
		return clause.chars[0]
	var received_chars = clause.chars[0]
	for each in words:
		if each.end_pts > pts:
			return _with_opening(each.chars[0], received_chars)
		received_chars = each.chars[1]
	# The words of a clause come in several messages: there may be more of them.
	return _past_closing(received_chars, clause.chars[1])


# Where the punctuation after a word ends; `end` if only space follows it up to there.
func _past_closing(character: int, end: int) -> int:
	end = int(min(end, text.length()))
	while character < end and not _is_space(character) and _is_in(text.ord_at(character), SIGNS):
		character += 1
	return end if is_blank(character, end) else character


# Where a word's opening quotes or brackets begin.
func _with_opening(character: int, least: int) -> int:
	while character > least and not _is_space(character - 1):
		character -= 1
	return character


# Discards the timings of characters from `chars` on, and of audio from `pts` on.
func cut(pts: int, chars: int) -> void:
	var clauses = []
	for each in _clauses:
		if each.pts < pts and each.chars[0] <= chars:
			var end = clamp(each.chars[1], each.chars[0], max(each.chars[0], chars))
			clauses.append({"chars": [each.chars[0], int(end)], "pts": each.pts})
	var words = []
	for each in _words:
		if each.chars[1] <= chars and each.end_pts <= pts:
			words.append(each)
	_clauses = clauses
	_words = words
