# Makes the addon appear in the project settings. Its nodes have class names, so the editor offers them even when it is off.
tool
extends EditorPlugin
