"""Starts near a maximum that was found: where a higher one lies close by, they find it sooner than fresh starts do."""

import numpy as np

from pgmpy_em_ext.em.step import EMState, Problem
from pgmpy_em_ext.start.starts import Start, Starts
from pgmpy_em_ext.types import FloatArray

SHAPE = 0.1
"""Shape of the gamma distribution that a record's new weight is drawn from: most of the weight goes to a few rows."""

N_STEPS = 10
"""EM steps under the new weights."""

FRESH = 0.02
"""Share of a fresh start that is mixed in, so that entries that have come to zero may rise again."""

NAME = "perturbed"
"""How such starts are called in ``restarts_``."""


def perturb(problem: Problem, starts: Starts, state: EMState, number: int) -> Start:
    """Leave a maximum: by some EM steps on data whose rows are weighed anew, or with a hidden variable drawn anew.

    Parameters
    ----------
    problem : Problem
        Engine, plan and M-step.
    starts : Starts
        Those of the fit, whose way to draw is used.
    state : EMState
        At the maximum.
    number : int
        The run's number, which says what is drawn: odd ones weigh rows anew where the engine can.

    References
    ----------
    Elidan, Ninio, Friedman & Schuurmans (2002), Data perturbation for escaping local maxima in learning, AAAI.
    """
    seed = starts.further_seed(number)
    rng = np.random.default_rng(seed)
    fresh = starts.draw(number, seed)
    if _weighs_anew(problem, number):
        climbed = _climb_elsewhere(problem, state.parameters, rng)
        return Start(seed, NAME, (1 - FRESH) * climbed + FRESH * fresh)
    drawn_anew = starts.hidden[int(rng.integers(len(starts.hidden)))]()
    return Start(seed, NAME, np.where(drawn_anew, fresh, (1 - FRESH) * state.parameters + FRESH * fresh))


def n_e_steps_before(problem: Problem, number: int) -> int:
    """Say how many E-steps a run's start has taken."""
    return N_STEPS if _weighs_anew(problem, number) else 0


def _weighs_anew(problem: Problem, number: int) -> bool:
    """Say whether a run starts from rows that are weighed anew: every other one, where the engine can."""
    return number % 2 == 1 and problem.engine.row_weights(problem.plan) is not None


def _climb_elsewhere(problem: Problem, parameters: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Make some EM steps under random weights of the rows."""
    weight = problem.engine.row_weights(problem.plan)
    assert weight is not None  # asked before
    drawn = np.maximum(rng.gamma(SHAPE * weight), 1e-6 * weight)
    plan = problem.engine.reweighted(problem.plan, drawn * (weight.sum() / drawn.sum()))
    for _ in range(N_STEPS):
        found = problem.engine.expected_statistics(plan, parameters)
        parameters = problem.family.maximize(found.counts, parameters)
    return parameters
