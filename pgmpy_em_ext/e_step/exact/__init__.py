"""Exact expected counts, by a graph of elimination steps compiled once from the data."""

from pgmpy_em_ext.e_step.exact.engine import ExactEStep, ExactPlan

__all__ = ["ExactEStep", "ExactPlan"]
