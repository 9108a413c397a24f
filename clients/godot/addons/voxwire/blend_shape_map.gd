# Sets a mesh's blend shapes from the weights of the fifteen mouth shapes. It recognises three namings: the mouth
# shapes' own (`PP`, `viseme_PP`), ARKit's 52, and VRM's mouth expressions.
extends Reference

const VisemeShapes = preload("viseme_shapes.gd")
const VRM0 = {"aa": "A", "ih": "I", "ou": "U", "ee": "E", "oh": "O"}

var found = ""  # The naming that the mesh has: "shapes", "arkit" or "vrm"; "" if none.
var _mesh: MeshInstance
var _weights_by_shape = []  # By mouth shape: {property: weight}.
var _properties = []
var _values = {}


# Binds to the blend shapes of `mesh`. `names` is the naming to look for; "auto" takes the first that the mesh has.
func _init(mesh: MeshInstance, names: String = "auto"):
	_mesh = mesh
	var properties = _properties_by_name()
	for kind in ["shapes", "arkit", "vrm"]:
		if found == "" and (names == "auto" or names == kind):
			_bind(kind, properties)


# "blend_shapes/NAME" by NAME in lower case, without anything up to the last dot, "viseme_" or VRoid's "Fcl_MTH_".
func _properties_by_name() -> Dictionary:
	var properties = {}
	if not _mesh.mesh is ArrayMesh:
		return properties
	for i in _mesh.mesh.get_blend_shape_count():
		var name = _mesh.mesh.get_blend_shape_name(i)
		var parts = name.to_lower().replace("fcl_mth_", ".").replace("viseme_", ".").split(".")
		properties[parts[parts.size() - 1]] = "blend_shapes/" + name
	return properties


func _bind(kind: String, properties: Dictionary) -> void:
	_weights_by_shape.clear()
	var used = {}
	for shape in VisemeShapes.SHAPES:
		var weights = {}
		var wanted = _wanted(kind, shape)
		for name in wanted:
			var property = properties.get(name.to_lower(), properties.get(VRM0.get(name, name).to_lower()))
			if property != null:
				weights[property] = wanted[name]
				used[property] = true
		_weights_by_shape.append(weights)
	# A mesh may have a shape `o` or `e` that is not of the mouth: the mesh must have most names of a naming.
	var least = {"shapes": 12, "arkit": 8, "vrm": 5}
	if used.size() >= least[kind]:
		found = kind
		_properties = used.keys()
	else:
		_weights_by_shape.clear()


static func _wanted(kind: String, shape: Dictionary) -> Dictionary:
	return {shape.name: 1.0} if kind == "shapes" else shape[kind]


# Sets the blend shapes for fifteen weights; all are multiplied by `strength`.
func apply(weights: Array, strength: float = 1.0) -> void:
	for property in _properties:
		_values[property] = 0.0
	for id in _weights_by_shape.size():
		if weights[id] != 0.0:
			for property in _weights_by_shape[id]:
				_values[property] += weights[id] * _weights_by_shape[id][property]
	for property in _properties:
		_mesh.set(property, min(_values[property] * strength, 1.0))
