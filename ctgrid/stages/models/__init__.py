"""Model folders: what lies in one, where it comes from, how it is verified; the embedded one lies here too."""
