"""What all estimators do around their runs: make them behind a progress bar, tell of them, and warn."""

import logging
import warnings
from typing import Any

import numpy as np
from pgmpy import config
from sklearn.exceptions import ConvergenceWarning

from pgmpy_em_ext.em.method import Method
from pgmpy_em_ext.em.step import Problem
from pgmpy_em_ext.em.stopping import MIN_STEPS_WITH_LATENTS, StoppingRule
from pgmpy_em_ext.exceptions import NotReplicatedWarning
from pgmpy_em_ext.restarts.best_of import Best, Restart, best_of
from pgmpy_em_ext.restarts.checkpoint import Checkpoint
from pgmpy_em_ext.restarts.progress_bar import ProgressBar
from pgmpy_em_ext.start.starts import Starts

logger = logging.getLogger(__name__)


def make_rule(
    estimator: Any, deadline: float | None, total_weight: float, *, has_hidden: bool, one_step: bool, is_exact: bool
) -> StoppingRule:
    """Say when the estimator's runs end.

    Parameters
    ----------
    estimator : object
        With ``tol`` and ``max_iter``, and ``atol`` where it has one.
    deadline : float or None
        As in `StoppingRule`.
    total_weight : float
        In records.
    has_hidden : bool
        Whether there may be several maxima, and saddle points.
    one_step : bool
        Whether no cell is missing.
    is_exact : bool
        Whether objectives are free of noise.
    """
    return StoppingRule(
        tol=estimator.tol,
        atol=getattr(estimator, "atol", None),
        max_iter=estimator.max_iter,
        min_iter=MIN_STEPS_WITH_LATENTS if has_hidden else 0,
        deadline=deadline,
        one_step=one_step,
        total_weight=total_weight,
        probes_saddles=has_hidden and is_exact,
    )


def run_all(
    estimator: Any,
    problem: Problem,
    starts: Starts,
    rule: StoppingRule,
    method: Method[Any],
    checkpoint: Checkpoint | None,
) -> tuple[Best, dict[int, Restart]]:
    """Run EM from all starts, with a progress bar."""
    shown = estimator.show_progress and config.SHOW_PROGRESS
    with ProgressBar(len(starts) - starts.n_reserve, estimator.max_iter, estimator.callback, shown) as bar:
        return best_of(problem, starts, rule, method, estimator.n_jobs, bar.callback, bar.on_finish, checkpoint)


def store_runs(
    estimator: Any,
    best: Best,
    restarts: dict[int, Restart],
    log_likelihood: float,
    n_parameters: int,
    total_weight: float,
    shift: float = 0.0,
) -> None:
    """Set the fitted attributes that tell of the runs.

    Parameters
    ----------
    estimator : object
        Gets them.
    best, restarts
        What `run_all` returned.
    log_likelihood : float
        Of the answer, in nats, without the shift.
    n_parameters : int
        Free ones.
    total_weight : float
        In records.
    shift : float
        Added to all log-likelihoods and objectives: what they have more in the user's units.
    """
    estimator.log_likelihood_ = log_likelihood + shift
    estimator.history_ = [objective + shift for objective in best.history]
    estimator.n_iter_ = len(best.history) - 1
    estimator.restarts_ = [
        record._replace(
            objective=record.objective + shift, log_likelihood=record.log_likelihood + shift, end=record.end + shift
        )
        for record in restarts.values()
    ]
    estimator.n_e_steps_ = sum(record.n_e_steps for record in estimator.restarts_)
    estimator.gap_ = best.gap
    estimator.rate_ = best.rate
    estimator.status_ = restarts[best.number].status
    estimator.converged_ = estimator.status_ == "converged"
    estimator.replicated_ = best.replicated
    estimator.n_starts_ = best.n_starts
    estimator.n_parameters_ = n_parameters
    estimator.aic_ = 2 * n_parameters - 2 * estimator.log_likelihood_
    estimator.bic_ = float(np.log(total_weight)) * n_parameters - 2 * estimator.log_likelihood_


def warn_of_the_end(estimator: Any, best: Best, stacklevel: int) -> None:
    """Warn of whatever kept the runs from a maximum that can be relied on.

    Parameters
    ----------
    estimator : object
        After `store_runs`.
    best : Best
        What the runs have found.
    stacklevel : int
        Of the estimator's ``fit``, as seen from here.
    """
    restarts = estimator.restarts_
    fallen = [(number, record.fell_at) for number, record in enumerate(restarts) if record.fell_at is not None]
    if fallen:
        warnings.warn(
            f"the objective fell at step {fallen[0][1]} of run {fallen[0][0]}, which an exact E-step does not do: "
            "please report the engine and the data.",
            UserWarning,
            stacklevel=stacklevel,
        )
    if estimator.status_ == "max_iter":
        warnings.warn(
            f"EM did not converge within max_iter={estimator.max_iter} steps: raise max_iter or tol.",
            ConvergenceWarning,
            stacklevel=stacklevel,
        )
    _warn_of_replication(estimator, best, stacklevel + 1)
    n_cut = sum(record.status == "max_time" for record in restarts)
    n_starts = len(restarts) + best.n_skipped
    by_callback = any(record.status == "callback" for record in restarts)
    if n_cut or (best.n_skipped and not by_callback):
        warnings.warn(
            f"max_time={estimator.max_time} seconds have passed: of {n_starts} runs {n_cut} were cut short and "
            f"{best.n_skipped} not begun. The best so far is returned. Raise max_time, tol or n_jobs.",
            ConvergenceWarning,
            stacklevel=stacklevel,
        )


RARE = 0.25
"""Share of the starts below which a maximum counts as seldom found, and above which maxima that were found once are
many."""


def _warn_of_replication(estimator: Any, best: Best, stacklevel: int) -> None:
    """Warn where a higher maximum may well have been missed; log how many runs were unfinished."""
    restarts = estimator.restarts_
    if estimator.converged_ and best.contested:
        doubt = _find_doubt(best, estimator.history_[-1])
        if doubt is not None:
            warnings.warn(
                f"not replicated: {doubt}, so that a higher maximum may have been missed. Raise n_init, or give a "
                "prior or CPDs to start from.",
                NotReplicatedWarning,
                stacklevel=stacklevel,
            )
    n_unfinished = sum(record.status == "max_iter" for record in restarts)
    if n_unfinished and estimator.converged_:
        logger.warning(
            "%d of %d runs ended by max_iter=%d before they converged; the best of all did converge.",
            n_unfinished,
            len(restarts),
            estimator.max_iter,
        )


def _find_doubt(best: Best, objective: float) -> str | None:
    """Say why the best maximum may not be the highest; None where nothing speaks for that.

    By the share of maxima that were found once, as of species that were seen once: it estimates how often one more
    start would lead to a maximum that is still unknown (Good 1953, Biometrika 40).
    """
    if best.replicated == 0:
        return (
            f"none of {best.n_starts} starts led to the best objective, {objective:.2f}, only runs from around the "
            "best that these had found"
        )
    if best.replicated < best.n_enough:
        number = "one" if best.replicated == 1 else best.replicated
        return f"only {number} of {best.n_starts} starts led to the best objective, {objective:.2f}"
    many = RARE * best.n_starts
    if best.replicated < many <= best.n_alone:
        return (
            f"{best.replicated} of {best.n_starts} starts led to the best objective, {objective:.2f}, and "
            f"{best.n_alone} to maxima that no other start led to"
        )
    return None
