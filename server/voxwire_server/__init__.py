"""The voxwire server: incremental text in, paced audio frames out."""
