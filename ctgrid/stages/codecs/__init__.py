"""Autoencoders behind one interface."""
