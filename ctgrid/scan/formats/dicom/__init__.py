"""DICOM series: read, judged, written."""
