# Lets the addon be switched on in the project's settings. Its nodes have class names, so the editor offers them anyway.
tool
extends EditorPlugin
