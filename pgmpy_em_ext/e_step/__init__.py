"""E-step engines, one file or folder each, found by their ``name`` tag."""
