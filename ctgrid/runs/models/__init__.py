"""Models put together, converted, fetched, verified, and the ceiling that a codec sets."""
