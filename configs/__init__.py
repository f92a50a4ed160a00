"""Training recipes shipped with ctgrid, read through ``importlib.resources``."""
