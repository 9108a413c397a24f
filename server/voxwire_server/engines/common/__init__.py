"""What several engines use: English text to phonemes, alignment, trimming of silence, editing of ONNX files."""
