"""Networks as users hold them: what a pgmpy model says, and the conditional Gaussian networks that pgmpy lacks."""
