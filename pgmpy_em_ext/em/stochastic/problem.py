"""What a sampled run works on: a problem whose family tells what noise in its statistics does."""

from typing import Any, NamedTuple

from pgmpy_em_ext.cpd_family._base import SampledCPDFamily
from pgmpy_em_ext.e_step._base import EStep
from pgmpy_em_ext.em.step import Problem


class SampledProblem(NamedTuple):
    """What stays the same in all iterations; as `Problem`, but for what the family knows.

    Attributes
    ----------
    engine : EStep
        Draws expected statistics.
    plan : object
        What the engine prepared from the data.
    family : SampledCPDFamily
        The M-step, the log prior, and what errors of the statistics cost.
    """

    engine: EStep
    plan: Any
    family: SampledCPDFamily


def sampled_problem(problem: Problem) -> SampledProblem:
    """See that the family knows what a sampled run asks for."""
    family = problem.family
    assert isinstance(family, SampledCPDFamily)  # no engine samples for another one
    return SampledProblem(problem.engine, problem.plan, family)
