# The options a test gave on the command line, `--key=value`, by key.
extends Reference


static func read() -> Dictionary:
	var options = {}
	for argument in OS.get_cmdline_args():
		if argument.begins_with("--") and "=" in argument:
			var at = argument.find("=")
			options[argument.substr(2, at - 2)] = argument.substr(at + 1)
	return options
