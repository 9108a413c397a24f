# Makes an imported avatar's face speak along with a VoxwireClient, by the names of its blend shapes.
class_name VoxwireFace
extends Node

const BlendShapes = preload("blend_shapes.gd")

export(NodePath) var client_path
export(NodePath) var mesh_path  # The avatar's MeshInstance.
export(String, "auto", "shapes", "arkit", "vrm") var names = "auto"
export(float, 0, 2) var strength = 1.0

var _client = null
var _shapes = null


func _ready():
	if client_path != null and not client_path.is_empty():
		_client = get_node(client_path)
	if mesh_path != null and not mesh_path.is_empty():
		bind(get_node(mesh_path))


# Drives a mesh from now on; false: it has no blend shapes of these names.
func bind(mesh: MeshInstance) -> bool:
	_shapes = BlendShapes.new(mesh, names)
	if _shapes.found == "":
		push_warning("%s has no blend shapes of a mouth" % mesh.name)
	return _shapes.found != ""


func follow(client) -> void:
	_client = client


func _process(_delta):
	if _client != null and _shapes != null:
		_shapes.show(_client.mouth(), strength)
