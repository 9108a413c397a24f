# Moves an imported avatar's face with the speech of a VoxwireClient, by the names of its blend shapes.
class_name VoxwireLipSync
extends Node

const BlendShapeMap = preload("blend_shape_map.gd")

export(NodePath) var client_path
export(NodePath) var mesh_path  # The avatar's MeshInstance.
export(String, "auto", "shapes", "arkit", "vrm") var names = "auto"
export(float, 0, 2) var strength = 1.0

var _client = null
var _blend_shapes = null


func _ready():
	if client_path != null and not client_path.is_empty():
		_client = get_node(client_path)
	if mesh_path != null and not mesh_path.is_empty():
		bind(get_node(mesh_path))


# Moves a mesh from now on; returns false if it has no blend shapes of these names.
func bind(mesh: MeshInstance) -> bool:
	_blend_shapes = BlendShapeMap.new(mesh, names)
	if _blend_shapes.found == "":
		push_warning("%s has no blend shapes of a mouth" % mesh.name)
	return _blend_shapes.found != ""


func follow(client) -> void:
	_client = client


func _process(_delta):
	if _client != null and _blend_shapes != null:
		_blend_shapes.apply(_client.mouth(), strength)
