"""A network as arrays: families, their places in flat vectors, and units."""
