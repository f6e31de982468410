"""Runs of EM whose E-steps are sampled."""

from pgmpy_em_ext.stochastic.loop import Method, StochasticEM, run_stochastic

__all__ = ["Method", "StochasticEM", "run_stochastic"]
