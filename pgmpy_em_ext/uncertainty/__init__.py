"""How far a fit is known: standard errors, bootstrap and identifiability."""
