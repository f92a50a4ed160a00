"""How stored values become HU: readings, their evidence, the tables and sidecars that state them, and doubts."""
