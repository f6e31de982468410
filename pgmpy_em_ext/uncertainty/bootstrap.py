"""The bootstrap: the fit again, to records drawn with replacement."""

from collections.abc import Callable

import numpy as np
from joblib import Parallel, delayed

from pgmpy_em_ext._tools.checks import check_integer
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.data.reduction import rows_with_weight
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.em.step import Problem, init, step
from pgmpy_em_ext.types import FloatArray

GAIN = 1e-9
"""Relative gain of the objective below which `climb` stops."""

MAX_STEPS = 1000
"""Steps that `climb` makes at most."""

Fit = Callable[[Problem, FloatArray], FloatArray]
"""From a problem and a start to parameters: EM until it has converged."""


def climb(problem: Problem, parameters: FloatArray) -> FloatArray:
    """Run plain EM until the objective gains next to nothing."""
    state = init(problem, parameters)
    for _ in range(MAX_STEPS):
        following = step(problem, state)
        if following.objective - state.objective <= GAIN * abs(state.objective):
            break
        state = following
    return state.parameters


def bootstrap(
    problem: Problem,
    network: Network,
    evidence: Evidence,
    parameters: FloatArray,
    n: int,
    seed: int | None = None,
    *,
    fit: Fit = climb,
    n_jobs: int = 1,
) -> FloatArray:
    """Fit again and again, each time to other weights of the same rows.

    Parameters
    ----------
    problem : Problem
        Engine, plan and CPD family of the fit. Not modified.
    network : Network
        Structure and layout.
    evidence : Evidence
        The rows and weights that the plan was prepared from. Weights are numbers of records;
        see `draw_weights`.
    parameters : float ndarray of shape (n_cells,)
        The fit, from which every replicate starts.
    n : int
        Replicates.
    seed : int, optional
        The same seed gives the same bits, whatever ``n_jobs``; the first replicates of a larger
        ``n`` are those of a smaller one.
    fit : callable
        ``fit(problem, start)`` returns parameters; called from several threads where ``n_jobs``
        says so.
    n_jobs : int
        Threads, as joblib has it.

    Returns
    -------
    float ndarray of shape (n, n_cells)
        The parameters of each replicate. Columns that are fixed, or that a replicate has no record of,
        are those of the fit.

    Raises
    ------
    TypeError, ValueError
        ``n`` is not an integer >= 1.

    Notes
    -----
    The states of a latent variable have no order, so that fits from independent starts could not
    be compared entry by entry. Every replicate starts at the estimate, and stays with its
    labelling as long as the states are well apart. It also stays in its part of the parameter space:
    what the bootstrap shows is the spread around this maximum, not that there are others.

    The graph is compiled once. An engine that knows `EStep.reweighted` only gets new weights; others
    prepare anew.

    References
    ----------
    Efron (1979), Annals of Statistics 7(1), 1-26. Rubin (1981), The Bayesian bootstrap, Annals
    of Statistics 9(1), 130-134. O'Hagan, Murphy & Gormley (2019), J. Classif. 36, on starts.
    """
    check_integer("n", n, low=1)
    problem.engine.reweighted(problem.plan, evidence.weight)  # what all replicates share is found once

    def replicate(source: np.random.SeedSequence) -> FloatArray:
        weight = draw_weights(evidence.weight, np.random.default_rng(source))
        return fit(_with_weights(problem, network, evidence, weight), parameters)

    sources = np.random.SeedSequence(seed).spawn(n)
    # Replicates share the prepared data: threads, whatever backend surrounds us.
    return np.stack(Parallel(n_jobs=n_jobs, require="sharedmem")(delayed(replicate)(source) for source in sources))


def draw_weights(weight: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Draw the weights of one replicate, with the same sum.

    Whole numbers are taken for records, which are drawn with replacement: multinomial
    weights. Others are drawn from a Dirichlet distribution with the weights as its
    parameters, which is the Bayesian bootstrap. Both have the mean w and, but for a factor of
    ``total / (total + 1)``, the variance ``w * (1 - w / total)``, so that it makes no
    difference whether a weight is one row's or the sum of equal rows'.

    Parameters
    ----------
    weight : float ndarray of shape (n_distinct,)
        In records, > 0.
    rng : numpy.random.Generator
        The source of randomness.

    Returns
    -------
    float ndarray of shape (n_distinct,)
        >= 0.
    """
    total = weight.sum()
    if (weight == np.rint(weight)).all():
        return rng.multinomial(int(total), weight / total).astype(np.float64)
    return rng.dirichlet(weight) * total


def percentile_interval(draws: FloatArray, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Give the interval of each entry that holds this share of the replicates, as much left out below as above.

    Parameters
    ----------
    draws : float ndarray of shape (n, n_cells)
        What `bootstrap` returns.
    level : float, default 0.95
        Share, between 0 and 1.

    Returns
    -------
    low, high : float ndarrays of shape (n_cells,)

    Raises
    ------
    ValueError
        ``level`` is not between 0 and 1.

    Examples
    --------
    >>> low, high = percentile_interval(np.linspace(0, 1, 101)[:, None], level=0.9)
    >>> low.round(2), high.round(2)
    (array([0.05]), array([0.95]))
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be a number between 0 and 1. Got: {level!r}.")
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def _with_weights(problem: Problem, network: Network, evidence: Evidence, weight: FloatArray) -> Problem:
    """Give the rows other weights."""
    plan = problem.engine.reweighted(problem.plan, weight)
    if plan is None:
        plan = problem.engine.prepare(network, rows_with_weight(evidence._replace(weight=weight)))
    return problem._replace(plan=plan)
