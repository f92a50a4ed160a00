"""Denoising methods by name, networks and filters alike."""
