"""Families of conditional distributions, one file each."""
