"""What ctgrid's denoising is measured against: classical filters, tuned, and GenerateCT's super-resolution."""
