"""Training stores: made of scans, divided, encoded ahead, exported."""
