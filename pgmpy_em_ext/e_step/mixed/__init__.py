"""Exact E-steps with continuous variables."""

from pgmpy_em_ext.e_step.mixed.engine import HybridEStep, HybridPlan

__all__ = ["HybridEStep", "HybridPlan"]
