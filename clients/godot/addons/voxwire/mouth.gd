# A mouth that moves with the speech of a VoxwireClient. It makes its own mesh; see mouth_mesh.gd.
class_name VoxwireMouth
extends MeshInstance

const MouthMesh = preload("mouth_mesh.gd")
const BlendShapeMap = preload("blend_shape_map.gd")

export(NodePath) var client_path

var _client = null
var _blend_shapes = null


func _ready():
	mesh = MouthMesh.build()
	_blend_shapes = BlendShapeMap.new(self, "shapes")
	if client_path != null and not client_path.is_empty():
		_client = get_node(client_path)


# Follows the speech of a client from now on; null: of none.
func follow(client) -> void:
	_client = client


# Shows the mouth of fifteen weights.
func show_weights(weights: Array) -> void:
	_blend_shapes.apply(weights)


func _process(_delta):
	if _client != null:
		_blend_shapes.apply(_client.mouth())
