"""The best of several runs, and their progress in a file."""
