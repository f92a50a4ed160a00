"""Single scans that are converted, made noisier, or made by rule."""
