"""Training runs, and what they will take."""
