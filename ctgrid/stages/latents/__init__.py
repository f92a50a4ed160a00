"""Slices encoded by a codec: ahead of a run, or kept in a store."""
