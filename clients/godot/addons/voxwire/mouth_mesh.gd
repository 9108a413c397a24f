# Builds the mesh of a mouth: lips in a face, teeth and a tongue, with a blend shape for each mouth shape. x is right, y
# up, z to the viewer; a mouth at rest is about one unit wide, and its lips meet at the origin.
extends Reference

const VisemeShapes = preload("viseme_shapes.gd")
const COLUMNS = 48  # Around the mouth; even, so that each column of the upper lip has one of the lower opposite.
const LIP_RINGS = 5  # Inside, edge, crest, crest, border.
const SKIN_RINGS = 6
const ARCH_COLUMNS = 16
const FACE_SIZE = Vector2(1.55, 1.95)
const FACE_MIDDLE = Vector2(0, 0.72)

# How each shape differs from rest: `open` (the gap), `wide`, `round` (the lips come forward), `press` (they roll in),
# `tuck` (the lower lip goes under the upper teeth), `teeth` (they are closed though the lips are not), and of the
# tongue `lift` and `tip`.
const FORMS = {
	"sil": {},
	"PP": {"press": 1.0},
	"FF": {"open": 0.1, "tuck": 1.0},
	"TH": {"open": 0.17, "lift": 0.75, "tip": 1.0},
	"DD": {"open": 0.17, "wide": 0.03, "lift": 0.8, "tip": 0.3},
	"kk": {"open": 0.22, "lift": 0.25},
	"CH": {"open": 0.2, "round": 0.6, "teeth": 1.0},
	"SS": {"open": 0.15, "wide": 0.08, "teeth": 1.0},
	"nn": {"open": 0.14, "lift": 0.9, "tip": 0.2},
	"RR": {"open": 0.19, "round": 0.45, "lift": 0.5},
	"aa": {"open": 0.62, "wide": -0.02},
	"E": {"open": 0.34, "wide": 0.08, "lift": 0.3},
	"I": {"open": 0.22, "wide": 0.13, "lift": 0.5},
	"O": {"open": 0.42, "round": 0.75},
	"U": {"open": 0.2, "round": 1.0},
}


# The mesh: surfaces skin, lips, teeth, tongue, hollow; blend shapes by the names of the fifteen.
# Their weights are meant to add up to 1.
static func build() -> ArrayMesh:
	var mesh = ArrayMesh.new()
	mesh.blend_shape_mode = Mesh.BLEND_SHAPE_MODE_NORMALIZED
	for shape in VisemeShapes.SHAPES:
		mesh.add_blend_shape(shape.name)
	var parts = ["_skin", "_lips", "_teeth", "_tongue", "_hollow"]
	for i in parts.size():
		var blends = []
		for shape in VisemeShapes.SHAPES:
			blends.append(_arrays(parts[i], FORMS[shape.name]))
		var rest = blends[0].duplicate()
		for blend in blends:
			blend[Mesh.ARRAY_INDEX] = null
		mesh.add_surface_from_arrays(Mesh.PRIMITIVE_TRIANGLES, rest, blends)
		mesh.surface_set_name(i, parts[i].substr(1))
		mesh.surface_set_material(i, _material(parts[i]))
	return mesh


# Vertices of the surface "lips" that meet when the mouth is closed: [upper, lower] pairs.
static func lip_edges() -> Array:
	var pairs = []
	# warning-ignore:integer_division
	for i in range(1, COLUMNS / 2):
		pairs.append([COLUMNS + 1 + i, COLUMNS + 1 + COLUMNS - i])
	return pairs


static func _material(part: String) -> SpatialMaterial:
	var material = SpatialMaterial.new()
	var colours = {"_skin": "e7b596", "_lips": "bf5a58", "_teeth": "f4f1e8", "_tongue": "c9626a", "_hollow": "3a1418"}
	material.albedo_color = Color(colours[part])
	material.roughness = 0.45 if part == "_lips" or part == "_teeth" else 0.8
	material.params_cull_mode = SpatialMaterial.CULL_DISABLED
	material.flags_unshaded = part == "_hollow"
	return material


static func _arrays(part: String, given: Dictionary) -> Array:
	var form = {"open": 0.0, "wide": 0.0, "round": 0.0, "press": 0.0, "tuck": 0.0, "teeth": 0.0, "lift": 0.0, "tip": 0.0}
	for name in given:
		form[name] = given[name]
	var grids = []
	match part:
		"_skin":
			grids = [_skin(form)]
		"_lips":
			grids = [_lips(form)]
		"_teeth":
			grids = [_upper_teeth(), _lower_teeth(form)]
		"_tongue":
			grids = [_tongue(form)]
		"_hollow":
			grids = [_hollow(form)]
	return _surface(grids)


# Rows of points, all of one length, as triangles with smooth normals.
static func _surface(grids: Array) -> Array:
	var points = PoolVector3Array()
	var normals = []
	var indices = PoolIntArray()
	for rows in grids:
		var base = points.size()
		var width = rows[0].size()
		for row in rows:
			for point in row:
				points.append(point)
				normals.append(Vector3())
		for r in rows.size() - 1:
			for c in width - 1:
				var a = base + r * width + c
				# Godot's front faces go clockwise.
				for corner in [a, a + 1, a + width, a + 1, a + width + 1, a + width]:
					indices.append(corner)
	for i in range(0, indices.size(), 3):
		var a = points[indices[i]]
		var normal = (points[indices[i + 2]] - a).cross(points[indices[i + 1]] - a)
		for k in 3:
			normals[indices[i + k]] += normal
	_close_rings(grids, normals)
	var arrays = []
	arrays.resize(Mesh.ARRAY_MAX)
	arrays[Mesh.ARRAY_VERTEX] = points
	arrays[Mesh.ARRAY_NORMAL] = _unit(normals)
	arrays[Mesh.ARRAY_INDEX] = indices
	return arrays


# A ring's last point is its first one again.
static func _close_rings(grids: Array, normals: Array) -> void:
	var at = 0
	for rows in grids:
		for row in rows:
			var last = at + row.size() - 1
			if row[0].distance_to(row[row.size() - 1]) < 0.001:
				var both = normals[at] + normals[last]
				normals[at] = both
				normals[last] = both
			at += row.size()


static func _unit(normals: Array) -> PoolVector3Array:
	var out = PoolVector3Array()
	for normal in normals:
		out.append(normal.normalized() if normal.length() > 0.0 else Vector3(0, 0, 1))
	return out


static func _half_width(form: Dictionary) -> float:
	return 0.5 + form.wide - 0.22 * form.round - 0.06 * form.open


static func _gap(form: Dictionary, up: bool) -> float:
	if up:
		return 0.22 * form.open + 0.05 * form.tuck + 0.04 * form.teeth
	return 0.78 * form.open * (1.0 - form.tuck) - 0.02 * form.tuck


# A face is round: points further from its middle lie further back.
static func _curve(x: float, y: float) -> float:
	return -0.28 * x * x - 0.05 * y * y


# The lips' edge at an angle: where upper and lower lip meet when the mouth is closed.
static func _edge(form: Dictionary, angle: float, grow: float) -> Vector3:
	var x = (_half_width(form) + grow * 0.5) * cos(angle)
	var up = sin(angle) >= 0
	var arch = pow(abs(sin(angle)), 0.8)
	var y = _gap(form, up) * arch * (1.0 if up else -1.0) - 0.03 * pow(abs(cos(angle)), 3)
	return Vector3(x, y, _curve(x, y) + 0.2 * form.round * (0.4 + 0.6 * arch))


static func _lips(form: Dictionary) -> Array:
	var rows = []
	for r in LIP_RINGS:
		var row = PoolVector3Array()
		for i in COLUMNS + 1:
			row.append(_lip(form, TAU * i / COLUMNS, r))
		rows.append(row)
	return rows


# Rings from the inside of the mouth over the lip's edge and crest to its border with the skin.
static func _lip(form: Dictionary, angle: float, ring: int) -> Vector3:
	var up = sin(angle) >= 0
	var arch = pow(abs(sin(angle)), 0.85)
	var thick = (0.13 if up else 0.17) * (1.0 + 0.25 * form.round - 0.12 * form.open) * (1.0 - 0.5 * form.press)
	if not up:
		thick *= 1.0 - 0.5 * form.tuck
	var bow = 1.0 - (0.25 * exp(-pow(cos(angle) / 0.13, 2)) if up else 0.0)
	var out = [0.0, 0.0, 0.35, 0.7, 1.0][ring]
	var edge = _edge(form, angle, 0.06 * out)
	var bump = [-0.12, 0.0, 0.075, 0.07, 0.015][ring] * (1.0 - 0.5 * form.press) * (0.25 + 0.75 * arch)
	if not up:
		bump -= 0.05 * form.tuck * arch * (1.0 - out)
	edge.y += (1.0 if up else -1.0) * thick * bow * arch * out
	edge.z += bump
	return edge


static func _skin(form: Dictionary) -> Array:
	var rows = []
	for r in SKIN_RINGS:
		var row = PoolVector3Array()
		var part = float(r) / (SKIN_RINGS - 1)
		for i in COLUMNS + 1:
			var angle = TAU * i / COLUMNS
			var from = _lip(form, angle, LIP_RINGS - 1)
			var rim = FACE_MIDDLE + Vector2(FACE_SIZE.x * cos(angle), FACE_SIZE.y * sin(angle))
			# The chin goes down with the jaw.
			rim.y -= 0.45 * form.open * (1.0 - form.tuck) * clamp(-sin(angle), 0, 1)
			var to = Vector3(rim.x, rim.y, -0.85)
			var point = from.linear_interpolate(to, part)
			point.z = lerp(from.z, -0.85, pow(part, 2.2)) + 0.1 * sin(PI * part) * part
			row.append(point)
		rows.append(row)
	return rows


# An arch of points: `y` high, `depth` behind the face.
static func _arch(y: float, depth: float, width: float) -> PoolVector3Array:
	var row = PoolVector3Array()
	for i in ARCH_COLUMNS + 1:
		var x = width * (2.0 * i / ARCH_COLUMNS - 1.0)
		row.append(Vector3(x, y, -depth - 0.9 * x * x))
	return row


static func _upper_teeth() -> Array:
	return [_arch(0.2, 0.12, 0.4), _arch(0.06, 0.1, 0.42), _arch(-0.045, 0.11, 0.41)]


static func _lower_teeth(form: Dictionary) -> Array:
	var drop = -0.06 - 0.72 * form.open * (1.0 - form.teeth) * (1.0 - form.tuck)
	return [_arch(drop, 0.14, 0.37), _arch(drop - 0.08, 0.13, 0.37), _arch(drop - 0.18, 0.15, 0.36)]


static func _tongue(form: Dictionary) -> Array:
	var drop = -0.16 - 0.42 * form.open * (1.0 - 0.5 * form.lift)
	var rows = []
	for r in 7:
		var part = min(r, 5) / 5.0
		var row = PoolVector3Array()
		for i in ARCH_COLUMNS + 1:
			var across = 2.0 * i / ARCH_COLUMNS - 1.0
			var round_off = sqrt(max(0.0, 1.0 - across * across))
			var x = 0.3 * across * (1.0 - 0.25 * part * form.tip)
			var y = drop + 0.09 * round_off + 0.2 * form.lift * part - 0.1 * (1.0 - form.lift) * part * part
			var z = -0.6 + (0.4 + 0.22 * form.tip) * part * (0.6 + 0.4 * round_off)
			# The last row closes the front.
			row.append(Vector3(x, y, z) if r < 6 else Vector3(x, y - 0.07, z - 0.08))
		rows.append(row)
	return rows


# The dark inside of the mouth.
static func _hollow(form: Dictionary) -> Array:
	var rows = []
	# Rings from the middle over a wall to the inside of the lips: [radius factor, depth].
	for ring in [[0.0, 0.75], [1.2, 0.7], [1.0, 0.0]]:
		var row = PoolVector3Array()
		for i in COLUMNS + 1:
			var inside = _lip(form, TAU * i / COLUMNS, 0)
			var z = -ring[1] if ring[1] > 0.0 else inside.z
			row.append(Vector3(inside.x * ring[0], inside.y * ring[0], z))
		rows.append(row)
	return rows
