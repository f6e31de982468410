"""When to stop: the rule, and what it says of a run so far. Pure functions of the history."""

import math
import time
from collections.abc import Sequence
from typing import NamedTuple

PATIENCE = 3
"""Steps in a row that must look converged: one step may by chance."""

MIN_STEPS_WITH_LATENTS = 20
"""A start near a saddle gains little at first; runs with latents go on at least so long."""

ROUNDING = 1e-14
"""Change of the objective that is taken for rounding, relative to its size and to the total weight: a row
of weight w adds w * log(p), and near p = 1 the logarithm's error is that of p."""

FALL = 1e-9
"""Relative fall of the objective that is more than rounding can explain."""


class StoppingRule(NamedTuple):
    """When a run ends.

    Attributes
    ----------
    tol : float
        In nats: stop when the objective's extrapolated distance from its limit was
        below this in three steps in a row. 0 never stops by gain.
    atol : float or None
        Stop when no parameter changed by more than this.
    max_iter : int
        Steps at most.
    min_iter : int
        Steps at least before ``tol`` stops a run.
    deadline : float or None
        In the time of `time.monotonic`.
    one_step : bool
        Whether no cell is missing, so that one step reaches the maximum, and nothing is left to gain.
    refines : bool
        Whether that is so but for rounding, which a second step removes where the first went far.
    total_weight : float
        In records; it scales what is taken for rounding.
    probes_saddles : bool
        Whether to look, at the end of a run, if it is a saddle point.
    doubts_above : float
        Objective, in nats, up to which a run need not go on because its gap cannot be trusted: others are far above it.
    is_leg : bool
        Whether this is the rule of a part of a run, which goes on or is dropped.
    """

    tol: float
    atol: float | None
    max_iter: int
    min_iter: int
    deadline: float | None
    one_step: bool = False
    refines: bool = False
    total_weight: float = 0.0
    probes_saddles: bool = False
    doubts_above: float = -math.inf
    is_leg: bool = False


def aitken_gap(history: Sequence[float], total_weight: float = 0.0) -> float:
    """Estimate how far the objective still is from its limit.

    The increments of EM shrink geometrically near a maximum. Their ratio a gives the
    sum of those to come, ``increment * a / (1 - a)``.

    Parameters
    ----------
    history : sequence of float
        Objectives of consecutive EM steps.
    total_weight : float
        See `StoppingRule`.

    Returns
    -------
    float
        In nats; infinite while the increments do not shrink, and after a fall; zero where
        the last one is rounding.

    References
    ----------
    Boehning, Dietz, Schaub, Schlattmann & Lindsay (1994), Ann. Inst. Stat. Math. 46(2).

    Examples
    --------
    >>> aitken_gap([-8.0, -4.0, -2.0])  # the limit is 0
    2.0
    """
    if len(history) < 2:
        return math.inf
    gain = history[-1] - history[-2]
    if has_fallen(history, total_weight):
        return math.inf
    if gain <= ROUNDING * (abs(history[-1]) + total_weight):
        return 0.0
    if len(history) < 3:
        return math.inf
    previous = history[-2] - history[-3]
    if not 0 < gain < previous < math.inf:  # a start of prior density zero has an objective of -inf
        return math.inf
    ratio = gain / previous
    return gain * ratio / (1 - ratio)


def stop_reason(
    rule: StoppingRule, history: Sequence[float], gaps: Sequence[float], largest_change: float
) -> str | None:
    """Say why a run ends here, or None to go on.

    Parameters
    ----------
    rule : StoppingRule
        When to stop.
    history : sequence of float
        The objective after each step, the start included.
    gaps : sequence of float
        The estimated distance of each from the limit, in nats.
    largest_change : float
        Of any parameter in the last step.

    Returns
    -------
    {"converged", "max_iter", "max_time", None}
    """
    n_iter = len(history) - 1
    if n_iter > 0 and (_met_atol(rule, largest_change) or _met_tol(rule, history, gaps)):
        return "converged"
    if n_iter >= rule.max_iter:
        return "converged" if rule.one_step and n_iter > 0 else "max_iter"
    if rule.deadline is not None and time.monotonic() >= rule.deadline:
        return "max_time"
    return None


def _met_atol(rule: StoppingRule, largest_change: float) -> bool:
    return rule.atol is not None and largest_change <= rule.atol


def _met_tol(rule: StoppingRule, history: Sequence[float], gaps: Sequence[float]) -> bool:
    n_iter = len(gaps) - 1
    if rule.tol == 0:
        return False
    if rule.one_step:
        return not rule.refines or history[-1] - history[-2] <= rule.tol
    return n_iter >= max(rule.min_iter, PATIENCE) and max(gaps[-PATIENCE:]) < rule.tol


def has_fallen(history: Sequence[float], total_weight: float = 0.0) -> bool:
    """Whether the last step lost more than rounding, which an exact E-step never does."""
    if len(history) < 2:
        return False
    return history[-2] - history[-1] > FALL * (1 + abs(history[-2])) + ROUNDING * total_weight
