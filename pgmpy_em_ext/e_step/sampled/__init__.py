"""E-steps by sampling, for components of missing variables that are too large for exact inference."""

from pgmpy_em_ext.e_step.sampled.auto import AutoEStep
from pgmpy_em_ext.e_step.sampled.gibbs import GibbsEStep
from pgmpy_em_ext.e_step.sampled.likelihood_weighting import LikelihoodWeightingEStep

__all__ = ["AutoEStep", "GibbsEStep", "LikelihoodWeightingEStep"]
