"""Protocols that turn scans into arrays, and their inverses."""

from ctgrid.preprocess.generatect import generatect, generatect_pass, generatect_with_record, invert

__all__ = ["generatect", "generatect_pass", "generatect_with_record", "invert"]
