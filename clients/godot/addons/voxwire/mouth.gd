# A mouth that speaks along with a VoxwireClient. It makes its own mesh; see mouth_mesh.gd.
class_name VoxwireMouth
extends MeshInstance

const MouthMesh = preload("mouth_mesh.gd")
const BlendShapes = preload("blend_shapes.gd")

export(NodePath) var client_path

var _client = null
var _shapes = null


func _ready():
	mesh = MouthMesh.build()
	_shapes = BlendShapes.new(self, "shapes")
	if client_path != null and not client_path.is_empty():
		_client = get_node(client_path)


# Speaks along with a client from now on; null: with none.
func follow(client) -> void:
	_client = client


# Shows fifteen weights.
func show_weights(weights: Array) -> void:
	_shapes.show(weights)


func _process(_delta):
	if _client != null:
		_shapes.show(_client.mouth())
