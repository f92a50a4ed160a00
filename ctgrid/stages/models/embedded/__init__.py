"""The model inside the package: codec, stage 1 and stage 2 in folders of their own; see ``MODEL_CARD.md``."""
