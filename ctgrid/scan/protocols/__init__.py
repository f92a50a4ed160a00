"""Protocols that turn scans into arrays, and their inverses."""

from ctgrid.scan.protocols.generatect import generatect, generatect_pass, generatect_with_record, invert

__all__ = ["generatect", "generatect_pass", "generatect_with_record", "invert"]
