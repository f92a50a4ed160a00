"""Readers and writers of image files; each gives or takes stored values and an affine.

A format module knows nothing of HU: it hands over the numbers as stored, together with the linear
map that its own header states, and :mod:`ctgrid.scan.hu.decide` decides.
"""
