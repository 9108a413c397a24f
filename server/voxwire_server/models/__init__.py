"""Brings the weights of models onto this machine, whole or not at all. Knows no engine and no format of weights."""
