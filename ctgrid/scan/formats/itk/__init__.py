"""NRRD and MetaImage."""
