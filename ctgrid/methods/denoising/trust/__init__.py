"""How far a denoised voxel may be off, and where more was changed than noise explains."""
