"""Distances between sets of volumes by a named, versioned protocol: FVD, FID, KID, and ctgrid's own features."""
