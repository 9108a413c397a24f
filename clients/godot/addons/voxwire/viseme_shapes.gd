# The fifteen mouth shapes and their names in ARKit (blend shapes), VRM 1.0 (expressions), Rhubarb and Azure.
# Written by tests/support/godot.py from protocol/voxwire_protocol/visemes.json.
extends Reference

const SHAPES = [
	{"id": 0, "name": "sil", "sounds": "silence, lips at rest", "arkit": {}, "vrm": {}, "rhubarb": "X", "azure": 0},
	{"id": 1, "name": "PP", "sounds": "p b m", "arkit": {"mouthPressLeft": 0.45, "mouthPressRight": 0.45, "mouthRollLower": 0.35, "mouthRollUpper": 0.3}, "vrm": {}, "rhubarb": "A", "azure": 21},
	{"id": 2, "name": "FF", "sounds": "f v", "arkit": {"jawOpen": 0.04, "mouthRollLower": 0.6, "mouthUpperUpLeft": 0.25, "mouthUpperUpRight": 0.25}, "vrm": {"ih": 0.1}, "rhubarb": "G", "azure": 18},
	{"id": 3, "name": "TH", "sounds": "θ ð", "arkit": {"jawOpen": 0.14, "tongueOut": 0.35, "mouthLowerDownLeft": 0.2, "mouthLowerDownRight": 0.2, "mouthUpperUpLeft": 0.12, "mouthUpperUpRight": 0.12}, "vrm": {"aa": 0.12, "ih": 0.12}, "rhubarb": "B", "azure": 17},
	{"id": 4, "name": "DD", "sounds": "t d ɾ", "arkit": {"jawOpen": 0.1, "mouthLowerDownLeft": 0.22, "mouthLowerDownRight": 0.22, "mouthUpperUpLeft": 0.12, "mouthUpperUpRight": 0.12, "mouthStretchLeft": 0.1, "mouthStretchRight": 0.1}, "vrm": {"aa": 0.05, "ih": 0.2}, "rhubarb": "B", "azure": 19},
	{"id": 5, "name": "kk", "sounds": "k ɡ ŋ h", "arkit": {"jawOpen": 0.16, "mouthLowerDownLeft": 0.15, "mouthLowerDownRight": 0.15, "mouthUpperUpLeft": 0.1, "mouthUpperUpRight": 0.1}, "vrm": {"aa": 0.12, "ih": 0.1}, "rhubarb": "B", "azure": 20},
	{"id": 6, "name": "CH", "sounds": "ʃ ʒ tʃ dʒ", "arkit": {"jawOpen": 0.07, "mouthFunnel": 0.5, "mouthPucker": 0.2, "mouthUpperUpLeft": 0.1, "mouthUpperUpRight": 0.1}, "vrm": {"ou": 0.35, "ih": 0.1}, "rhubarb": "B", "azure": 16},
	{"id": 7, "name": "SS", "sounds": "s z", "arkit": {"jawOpen": 0.03, "mouthStretchLeft": 0.25, "mouthStretchRight": 0.25, "mouthSmileLeft": 0.15, "mouthSmileRight": 0.15, "mouthLowerDownLeft": 0.3, "mouthLowerDownRight": 0.3, "mouthUpperUpLeft": 0.15, "mouthUpperUpRight": 0.15}, "vrm": {"ih": 0.25}, "rhubarb": "B", "azure": 15},
	{"id": 8, "name": "nn", "sounds": "n l", "arkit": {"jawOpen": 0.11, "mouthLowerDownLeft": 0.18, "mouthLowerDownRight": 0.18, "mouthUpperUpLeft": 0.1, "mouthUpperUpRight": 0.1}, "vrm": {"aa": 0.08, "ih": 0.15}, "rhubarb": "B", "azure": 19},
	{"id": 9, "name": "RR", "sounds": "ɹ r ɝ", "arkit": {"jawOpen": 0.13, "mouthFunnel": 0.35, "mouthPucker": 0.25}, "vrm": {"oh": 0.2, "ou": 0.15}, "rhubarb": "E", "azure": 13},
	{"id": 10, "name": "aa", "sounds": "ɑ æ ʌ", "arkit": {"jawOpen": 0.6, "mouthLowerDownLeft": 0.3, "mouthLowerDownRight": 0.3, "mouthUpperUpLeft": 0.2, "mouthUpperUpRight": 0.2}, "vrm": {"aa": 1.0}, "rhubarb": "D", "azure": 2},
	{"id": 11, "name": "E", "sounds": "ɛ e", "arkit": {"jawOpen": 0.34, "mouthStretchLeft": 0.3, "mouthStretchRight": 0.3, "mouthSmileLeft": 0.2, "mouthSmileRight": 0.2, "mouthLowerDownLeft": 0.3, "mouthLowerDownRight": 0.3, "mouthUpperUpLeft": 0.15, "mouthUpperUpRight": 0.15}, "vrm": {"ee": 1.0}, "rhubarb": "C", "azure": 4},
	{"id": 12, "name": "I", "sounds": "i ɪ j", "arkit": {"jawOpen": 0.18, "mouthStretchLeft": 0.35, "mouthStretchRight": 0.35, "mouthSmileLeft": 0.35, "mouthSmileRight": 0.35, "mouthLowerDownLeft": 0.25, "mouthLowerDownRight": 0.25, "mouthUpperUpLeft": 0.1, "mouthUpperUpRight": 0.1}, "vrm": {"ih": 1.0}, "rhubarb": "B", "azure": 6},
	{"id": 13, "name": "O", "sounds": "ɔ o", "arkit": {"jawOpen": 0.38, "mouthFunnel": 0.5, "mouthPucker": 0.25}, "vrm": {"oh": 1.0}, "rhubarb": "E", "azure": 8},
	{"id": 14, "name": "U", "sounds": "u ʊ w", "arkit": {"jawOpen": 0.14, "mouthFunnel": 0.3, "mouthPucker": 0.7}, "vrm": {"ou": 1.0}, "rhubarb": "F", "azure": 7},
]
