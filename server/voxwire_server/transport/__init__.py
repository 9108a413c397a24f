"""Bytes on sockets."""
