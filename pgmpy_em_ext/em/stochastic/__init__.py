"""Runs of EM whose E-steps are sampled."""

from pgmpy_em_ext.em.stochastic.loop import Method, StochasticEM, run_stochastic
from pgmpy_em_ext.em.stochastic.precision import likelihood_error

__all__ = ["Method", "StochasticEM", "likelihood_error", "run_stochastic"]
