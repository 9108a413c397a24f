# Puts the fifteen weights onto a mesh's blend shapes, by their names: the fifteen's own (`PP`, also as `viseme_PP`),
# ARKit's 52, or VRM's mouth expressions.
extends Reference

const Shapes = preload("shapes.gd")
const VRM0 = {"aa": "A", "ih": "I", "ou": "U", "ee": "E", "oh": "O"}

var found = ""  # Which names were found: "shapes", "arkit", "vrm"; "": none.
var _mesh: MeshInstance
var _parts = []  # Of each of the fifteen: {property: weight}.
var _properties = []
var _values = {}


# Looks at the blend shapes of `mesh`; `names` says which to use, "auto": the first that are there.
func _init(mesh: MeshInstance, names: String = "auto"):
	_mesh = mesh
	var there = _properties_by_name()
	for kind in ["shapes", "arkit", "vrm"]:
		if found == "" and (names == "auto" or names == kind):
			_bind(kind, there)


# "blend_shapes/NAME" by the name in lower case, without what stands before a dot, "viseme_" or VRoid's "Fcl_MTH_".
func _properties_by_name() -> Dictionary:
	var there = {}
	if not _mesh.mesh is ArrayMesh:
		return there
	for i in _mesh.mesh.get_blend_shape_count():
		var name = _mesh.mesh.get_blend_shape_name(i)
		var parts = name.to_lower().replace("fcl_mth_", ".").replace("viseme_", ".").split(".")
		there[parts[parts.size() - 1]] = "blend_shapes/" + name
	return there


func _bind(kind: String, there: Dictionary) -> void:
	_parts.clear()
	var used = {}
	for shape in Shapes.SHAPES:
		var part = {}
		var wanted = _wanted(kind, shape)
		for name in wanted:
			var property = there.get(name.to_lower(), there.get(VRM0.get(name, name).to_lower()))
			if property != null:
				part[property] = wanted[name]
				used[property] = true
		_parts.append(part)
	# Some meshes have a shape `o` or `e` among others: half of what is wanted must be there.
	var least = {"shapes": 12, "arkit": 8, "vrm": 5}
	if used.size() >= least[kind]:
		found = kind
		_properties = used.keys()
	else:
		_parts.clear()


static func _wanted(kind: String, shape: Dictionary) -> Dictionary:
	return {shape.name: 1.0} if kind == "shapes" else shape[kind]


# Shows the mouth of these fifteen weights; `strength` exaggerates or damps it.
func show(weights: Array, strength: float = 1.0) -> void:
	for property in _properties:
		_values[property] = 0.0
	for id in _parts.size():
		if weights[id] != 0.0:
			for property in _parts[id]:
				_values[property] += weights[id] * _parts[id][property]
	for property in _properties:
		_mesh.set(property, min(_values[property] * strength, 1.0))
