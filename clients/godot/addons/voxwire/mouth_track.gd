# The weights of the fifteen mouth shapes at any sample, interpolated linearly between the keyframes received.
class_name VoxwireMouthTrack
extends Reference

const COUNT = 15
const SIL = 0

var _pts = []  # By shape: the pts of its keyframes, ascending.
var _weights = []
var _cursors = []  # By shape: the index that the last look-up found. In playback the next one is near it.


func _init():
	for _i in COUNT:
		_pts.append([])
		_weights.append([])
		_cursors.append(0)


# The weights of a mouth at rest.
static func closed() -> Array:
	var weights = []
	for i in COUNT:
		weights.append(1.0 if i == SIL else 0.0)
	return weights


# Takes `visemes` of a `timing` message: [{id, weight, pts}] in the order in which they came.
func add(visemes: Array) -> void:
	for each in visemes:
		var id = int(each.id)
		if id >= 0 and id < COUNT:
			_pts[id].append(int(each.pts))
			_weights[id].append(float(each.weight))


# The fifteen weights at a sample; `out`, if given, is filled and returned.
func weights(pts, out = null) -> Array:
	if out == null:
		out = closed()
	for id in COUNT:
		out[id] = _weight(id, pts)
	return out


func _weight(id: int, pts) -> float:
	var times = _pts[id]
	var i = _at(id, pts)
	if i < 0:
		return 1.0 if id == SIL else 0.0
	var weight = _weights[id][i]
	if i + 1 == times.size():
		return weight
	var part = float(pts - times[i]) / (times[i + 1] - times[i])
	return weight + (_weights[id][i + 1] - weight) * part


# The last keyframe of a shape that is not after `pts`; -1: none.
func _at(id: int, pts) -> int:
	var times = _pts[id]
	var i = int(min(_cursors[id], times.size() - 1))
	while i >= 0 and times[i] > pts:
		i -= 1
	while i + 1 < times.size() and times[i + 1] <= pts:
		i += 1
	_cursors[id] = int(max(i, 0))
	return i


# Discards keyframes at `from_pts` and later, and closes the mouth there: speech that is repeated in a new session
# begins with a closed mouth.
func forget(from_pts: int) -> void:
	for id in COUNT:
		if _pts[id].empty() or _pts[id][0] >= from_pts:
			_pts[id] = []
			_weights[id] = []
			continue
		var reached = _weight(id, from_pts - 1)
		while _pts[id].back() >= from_pts:
			_pts[id].pop_back()
			_weights[id].pop_back()
		_pts[id] += [from_pts, from_pts]
		_weights[id] += [reached, 1.0 if id == SIL else 0.0]


# Discards keyframes that only matter before `pts`.
func forget_before(pts: int) -> void:
	for id in COUNT:
		var heard = _at(id, pts)
		if heard > 0:
			_pts[id] = _pts[id].slice(heard, _pts[id].size() - 1)
			_weights[id] = _weights[id].slice(heard, _weights[id].size() - 1)
			_cursors[id] = 0


# How many keyframes are kept.
func size() -> int:
	var count = 0
	for times in _pts:
		count += times.size()
	return count
