"""Downloads the weights of models, completely or not at all. Knows no engine and no format of weights."""
