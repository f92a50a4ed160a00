"""Training of codec, both stages and the detail network."""
