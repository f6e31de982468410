"""Runs of EM whose E-steps are sampled."""

from pgmpy_em_ext.em.stochastic.method import StochasticEM
from pgmpy_em_ext.em.stochastic.precision import likelihood_error

__all__ = ["StochasticEM", "likelihood_error"]
