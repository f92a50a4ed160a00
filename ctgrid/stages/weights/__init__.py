"""Weights in every format there is: told apart, read, adapted, converted."""
