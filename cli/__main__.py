"""``python -m ctgrid_cli``: the same as ``ctgrid``."""

from . import app

app(prog_name="ctgrid")
