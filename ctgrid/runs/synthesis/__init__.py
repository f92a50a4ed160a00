"""A series of synthetic volumes, over processes, resumed where it stopped."""
