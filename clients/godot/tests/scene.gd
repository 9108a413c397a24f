# Loads the example scene, and prints the weights of its mouth while it speaks. Options: url, text, voice (as speak.gd),
# avatar (blend shapes of a mesh to bind instead).
extends SceneTree

const Options = preload("options.gd")
const ManualSink = preload("manual_sink.gd")
const MouthMesh = preload("../addons/voxwire/mouth_mesh.gd")
const BlendShapeMap = preload("../addons/voxwire/blend_shape_map.gd")
const VisemeShapes = preload("../addons/voxwire/viseme_shapes.gd")

var options = Options.read()
var scene = null
var sink = ManualSink.new()
var over = false


func _init():
	if options.has("avatar"):
		_bind_avatar(options.avatar.split(","))
		quit(0)
	else:
		call_deferred("_speak")


func _speak():
	scene = load("res://example/speak.tscn").instance()
	var client = scene.get_node("Voxwire")
	client.url = options.url
	client.use_sink(sink)
	client.connect("finished", self, "_on_finished")
	get_root().add_child(scene)
	var mesh = scene.get_node("Mouth").mesh
	var names = []
	for i in mesh.get_blend_shape_count():
		names.append(mesh.get_blend_shape_name(i))
	var surfaces = []
	for i in mesh.get_surface_count():
		surfaces.append(mesh.surface_get_name(i))
	print(to_json({"shapes": names, "surfaces": surfaces}))
	scene.get_node("Screen/Panel/Text").text = options.text
	client.voice = options.voice
	scene.speak()


func _idle(_delta):
	if scene == null:
		return false
	var client = scene.get_node("Voxwire")
	if client.speaking() != null and client.played_pts() > 0:
		_print_mouth(client)
	sink.advance(240)
	if over:
		quit(0)
	return false


func _print_mouth(client) -> void:
	scene.get_node("Mouth")._process(0.0)
	var weights = _weights()
	var line = {"pts": client.played_pts(), "track": client.mouth(), "shown": weights, "gap": _gap(weights)}
	line.caption = scene.get_node("Screen/Panel/Caption").text
	print(to_json(line))


func _weights() -> Array:
	var weights = []
	for shape in VisemeShapes.SHAPES:
		weights.append(scene.get_node("Mouth").get("blend_shapes/" + shape.name))
	return weights


# How far the lips' edges are apart, on average, as the graphics card blends them.
func _gap(weights: Array) -> float:
	var blends = scene.get_node("Mouth").mesh.surface_get_blend_shape_arrays(1)
	var gap = 0.0
	var pairs = MouthMesh.lip_edges()
	for pair in pairs:
		var upper = Vector3()
		var lower = Vector3()
		for id in weights.size():
			upper += weights[id] * blends[id][Mesh.ARRAY_VERTEX][pair[0]]
			lower += weights[id] * blends[id][Mesh.ARRAY_VERTEX][pair[1]]
		gap += (upper - lower).length() / pairs.size()
	return gap


func _on_finished(_done):
	over = true


# Prints how each mouth shape sets a mesh with blend shapes of these names.
func _bind_avatar(names: Array) -> void:
	var mesh = ArrayMesh.new()
	for name in names:
		mesh.add_blend_shape(name)
	var arrays = []
	arrays.resize(Mesh.ARRAY_MAX)
	arrays[Mesh.ARRAY_VERTEX] = PoolVector3Array([Vector3(0, 0, 0), Vector3(1, 0, 0), Vector3(0, 1, 0)])
	var blends = []
	for _name in names:
		blends.append(arrays)
	mesh.add_surface_from_arrays(Mesh.PRIMITIVE_TRIANGLES, arrays, blends)
	var instance = MeshInstance.new()
	instance.mesh = mesh
	var shapes = BlendShapeMap.new(instance)
	print(to_json({"found": shapes.found}))
	for id in 15:
		var weights = []
		for other in 15:
			weights.append(1.0 if other == id else 0.0)
		shapes.apply(weights)
		var values = {}
		for name in names:
			values[name] = instance.get("blend_shapes/" + name)
		print(to_json({"id": id, "values": values}))
	instance.free()
