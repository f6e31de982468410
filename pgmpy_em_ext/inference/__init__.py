"""Questions about rows: likelihoods, posteriors, draws and completions."""
