"""How the network runs on a device: batches, transfers, CUDA graphs."""
