"""Runs the torch network over batches of jobs: padding, transfers to the device, CUDA graphs."""
