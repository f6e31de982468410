"""How many states a latent variable has."""
