# The example: a face that speaks what is typed, and a caption that highlights each word as it is heard.
extends Spatial

onready var voxwire = $Voxwire
onready var text = $Screen/Panel/Text
onready var voice = $Screen/Panel/Row/Voice
onready var caption = $Screen/Panel/Caption
onready var status = $Screen/Panel/Row/Status

var _spoken = ""


func _ready():
	$Mouth.follow(voxwire)
	$Screen/Panel/Row/Speak.connect("pressed", self, "speak")
	$Screen/Panel/Row/Interrupt.connect("pressed", voxwire, "interrupt")
	text.connect("text_entered", self, "_on_text_entered")
	voxwire.connect("word", self, "_on_word")
	voxwire.connect("finished", self, "_on_finished")
	voxwire.connect("interrupted", self, "_on_interrupted")
	voxwire.connect("error", self, "_on_error")
	$Voices.connect("request_completed", self, "_on_voices")
	_ask_for_voices()


func _ask_for_voices() -> void:
	var headers = [] if voxwire.api_key == "" else ["Authorization: Bearer " + voxwire.api_key]
	$Voices.request(voxwire.url.replace("ws", "http") + "/v1/voices", headers)


func _on_voices(_result, code, _headers, body) -> void:
	if code != 200:
		status.text = "no voices: %d" % code
		return
	var answer = JSON.parse(body.get_string_from_utf8()).result
	voice.clear()
	for each in answer.voices:
		voice.add_item(each.name)
		if each.name == answer.default:
			voice.select(voice.get_item_count() - 1)


# Speaks the text of the input field.
func speak() -> void:
	voxwire.interrupt()
	_spoken = text.text
	status.text = ""
	var options = {}
	if voice.selected >= 0:
		options.voice = voice.get_item_text(voice.selected)
	_light(0, 0)
	voxwire.say(_spoken, options)


func _on_text_entered(_text) -> void:
	speak()


func _on_word(_word, chars, _pts) -> void:
	_light(chars[0], chars[1])


# Colours the word that is being heard, and greys out what follows it.
func _light(from: int, to: int) -> void:
	var now = "[color=#ffb86b]%s[/color]" % _spoken.substr(from, to - from)
	caption.bbcode_text = "%s%s[color=#70757f]%s[/color]" % [_spoken.substr(0, from), now, _spoken.substr(to)]


func _on_finished(done) -> void:
	if done.reason == "completed":
		_light(_spoken.length(), _spoken.length())


func _on_interrupted(heard, unheard) -> void:
	if unheard.text != "":
		status.text = "heard: \"%s\"" % heard.text


func _on_error(code, message, _retryable, hint) -> void:
	status.text = "%s: %s %s" % [code, message, hint]
