"""Exact E-steps with continuous variables."""

from pgmpy_em_ext.e_step.hybrid.engine import GaussianEStep, complete

__all__ = ["GaussianEStep", "complete"]
