# Offers the addon's nodes in the editor's "Create New Node".
tool
extends EditorPlugin


func _enter_tree():
	add_custom_type("VoxwireClient", "Node", preload("client.gd"), null)
	add_custom_type("VoxwireMouth", "MeshInstance", preload("mouth.gd"), null)
	add_custom_type("VoxwireFace", "Node", preload("face.gd"), null)


func _exit_tree():
	remove_custom_type("VoxwireClient")
	remove_custom_type("VoxwireMouth")
	remove_custom_type("VoxwireFace")
