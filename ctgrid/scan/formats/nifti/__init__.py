"""nifti"""
