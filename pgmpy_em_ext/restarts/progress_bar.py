"""The progress bar."""

from typing import Any

import numpy as np
from tqdm.auto import tqdm

from pgmpy_em_ext.em.progress import RunResult
from pgmpy_em_ext.restarts.best_of import Callback, Iteration


class ProgressBar:
    """Counts the steps of a single run, or the runs of several, and shows the log-likelihood.

    Parameters
    ----------
    n_runs : int
        Number of runs that are foreseen.
    max_iter : int
        Steps at most in a run.
    callback : callable or None
        The user's, called behind the bar's own.
    shown : bool
        Whether to show anything at all.
    """

    def __init__(self, n_runs: int, max_iter: int, callback: Callback | None, shown: bool) -> None:
        self._callback = callback
        self._single = n_runs == 1
        total, unit = (max_iter, "step") if self._single else (n_runs, "run")
        self._bar = tqdm(total=total, unit=unit, disable=not shown)
        self._best = -np.inf

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    @property
    def callback(self) -> Callback | None:
        """The user's callback, behind the bar's own where a single run's steps are counted."""
        return self._on_step if self._single and not self._bar.disable else self._callback

    def _on_step(self, iteration: Iteration) -> Any:
        self._bar.update(iteration.n_iter - self._bar.n)
        self._bar.set_postfix(log_likelihood=f"{iteration.log_likelihood:.4f}", refresh=False)
        return self._callback is not None and self._callback(iteration)

    def on_finish(self, result: RunResult) -> None:
        """Count a run that has ended."""
        if self._single:
            return
        if result.state.objective > self._best:
            self._best = result.state.objective
            self._bar.set_postfix(log_likelihood=f"{result.state.log_likelihood:.4f}", refresh=False)
        if self._bar.total is not None and self._bar.n >= self._bar.total:
            self._bar.total += 1  # a run that was not foreseen, from near the best or from the reserve
        self._bar.update(1)
