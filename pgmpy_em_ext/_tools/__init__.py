"""What every folder may use and what knows nothing of EM or networks."""
