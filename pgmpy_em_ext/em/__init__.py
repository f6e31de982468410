"""The algorithm: a step, the loop of one run, and when it ends."""
