"""From a table to rows of codes and standardised values."""
