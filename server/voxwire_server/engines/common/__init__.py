"""What several engines use: reading English, aligning, trimming, ONNX files."""
