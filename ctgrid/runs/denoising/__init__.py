"""The scans of a study, denoised one after the other."""
