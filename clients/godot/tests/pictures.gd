# Saves pictures of the mouth in each shape, and of the example scene. Needs a screen. Options: out, url.
extends SceneTree

const Options = preload("options.gd")
const MouthTrack = preload("../addons/voxwire/mouth_track.gd")

var options = Options.read()


func _init():
	call_deferred("_run")


func _run():
	var scene = load("res://example/speak.tscn").instance()
	scene.get_node("Voxwire").url = options.get("url", "ws://127.0.0.1:8765")
	get_root().add_child(scene)
	var mouth = scene.get_node("Mouth")
	mouth.follow(null)
	for id in MouthTrack.COUNT:
		var weights = MouthTrack.closed()
		weights[0] = 0.0
		weights[id] = 1.0
		mouth.show_weights(weights)
		yield(_frames(3), "completed")
		_save("%02d" % id)
	mouth.follow(scene.get_node("Voxwire"))
	if options.has("url"):
		yield(_frames(30), "completed")
		scene.speak()
		yield(scene.get_node("Voxwire"), "word")
		yield(_frames(40), "completed")
		_save("speaking")
	quit(0)


func _frames(count: int):
	for _i in count:
		yield(self, "idle_frame")


func _save(name: String) -> void:
	var image = get_root().get_texture().get_data()
	image.flip_y()
	image.save_png(options.out + "/" + name + ".png")
