"""Ablations: one recipe in several variants, trained, sampled and measured alike."""
