# Saves pictures of the mouth in each shape, and of the example scene. Needs a screen. Options: out, url.
extends SceneTree

const Options = preload("options.gd")
const MouthTrack = preload("../addons/voxwire/mouth_track.gd")

const AA = 10
const PART = Rect2(260, 210, 200, 200)  # Where the mouth is in the window.

var options = Options.read()


func _init():
	call_deferred("_run")


func _run():
	var scene = load("res://example/speak.tscn").instance()
	scene.get_node("Voxwire").url = options.get("url", "ws://127.0.0.1:8765")
	get_root().add_child(scene)
	var mouth = scene.get_node("Mouth")
	mouth.follow(null)
	var sheet = Image.new()
	sheet.create(5 * PART.size.x, 3 * PART.size.y, false, Image.FORMAT_RGB8)
	for id in MouthTrack.COUNT:
		var weights = MouthTrack.closed()
		weights[0] = 0.0
		weights[id] = 1.0
		mouth.show_weights(weights)
		yield(_frames(3), "completed")
		_paste(sheet, id)
	sheet.resize(700, 420, Image.INTERPOLATE_LANCZOS)
	sheet.save_png(options.out + "/shapes.png")
	mouth.follow(scene.get_node("Voxwire"))
	if options.has("url"):
		yield(_frames(30), "completed")
		scene.speak()
		while scene.get_node("Voxwire").mouth()[AA] < 0.7:
			yield(_frames(1), "completed")
		yield(_frames(1), "completed")
		_picture().save_png(options.out + "/speaking.png")
	quit(0)


func _frames(count: int):
	for _i in count:
		yield(self, "idle_frame")


func _picture() -> Image:
	var image = get_root().get_texture().get_data()
	image.flip_y()
	image.convert(Image.FORMAT_RGB8)
	return image


func _paste(sheet: Image, id: int) -> void:
	# warning-ignore:integer_division
	sheet.blit_rect(_picture(), PART, Vector2(id % 5 * PART.size.x, id / 5 * PART.size.y))
