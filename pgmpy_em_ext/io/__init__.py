"""Networks and tables in files."""
