"""Where a run stands, and how it ended."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pgmpy_em_ext.em.blocks import BlockProgress
from pgmpy_em_ext.em.step import EMState
from pgmpy_em_ext.types import BoolArray, FloatArray


class Progress(NamedTuple):
    """Where a run stands: what it needs to go on, under a deterministic engine bit for bit.

    Attributes
    ----------
    parameters : float ndarray of shape (n_cells,)
        The current parameters.
    history : sequence of float
        Objective per step up to and including the current one; empty before the start
        has been evaluated. The run's own list: whoever keeps it copies it.
    gaps : sequence of float
        Estimated distance of each of these from the limit, in nats. The run's own list too.
    largest_change : float
        Of any parameter in the last EM step; infinite before the first.
    n_e_steps : int
        E-steps made.
    blocks : BlockProgress or None
        How far the independent blocks have come; None before the start.
    zero : bool ndarray of shape (n_cells,) or None
        Parameters that the plan has been told are zero and stay so.
    memory : NamedTuple or None
        What the method of acceleration remembers; None before the start.
    n_resumptions : int
        How often it had stopped and went on, because it was at a saddle point or in a valley.
    not_before : int
        The number of steps before which it may not stop again.
    seed : int
        Of the random draws of sampled E-steps, until the memory has it.
    ended_in : bool ndarray of shape (n_blocks + 1,) or None
        Blocks in which the run has converged and looked beyond its end; None before.
    """

    parameters: FloatArray
    history: Sequence[float] = ()
    gaps: Sequence[float] = ()
    largest_change: float = np.inf
    n_e_steps: int = 0
    blocks: BlockProgress | None = None
    zero: BoolArray | None = None
    memory: Any = None
    n_resumptions: int = 0
    not_before: int = 0
    seed: int = 0
    ended_in: BoolArray | None = None

    @property
    def rate(self) -> float:
        """EM's rate of convergence near the limit, 0 to 1: what part of the distance a step leaves.

        The slowest that the last steps have met. 0 after complete data, which take one step.
        """
        smallest = np.inf if self.blocks is None else self.blocks.curvature.min(initial=np.inf)
        if np.isfinite(smallest):
            return float(np.clip(1.0 - smallest, 0.0, 1.0))
        gains = np.diff(self.history[-3:])
        if len(gains) < 2 or not 0 < gains[1] < gains[0]:
            return 0.0
        return float(np.sqrt(gains[1] / gains[0]))  # gains shrink with the square of the distance


Observer = Callable[[EMState, Progress], bool]
"""Called after every evaluation; a true result stops the run."""


class RunResult(NamedTuple):
    """How a run ended.

    Attributes
    ----------
    state : EMState
        The last state, which under an exact engine is the best one seen.
    progress : Progress
        With it the run goes on.
    status : {"converged", "max_iter", "max_time", "callback"}
        Why the run ended.
    fell_at : int or None
        The first step that was refused because an EM step lowered the objective, by more than rounding and ``tol``.
    errors : float ndarray of shape (n_cells,) or None
        Monte Carlo standard errors of the parameters, where E-steps were sampled and the run was
        carried to its end.
    noisy_rate : float or None
        EM's rate of convergence, as sampled E-steps tell it.
    """

    state: EMState
    progress: Progress
    status: str
    fell_at: int | None
    errors: FloatArray | None = None
    noisy_rate: float | None = None

    @property
    def history(self) -> tuple[float, ...]:
        """Objective per step, the start included."""
        return tuple(self.progress.history)

    @property
    def n_iter(self) -> int:
        """Steps made."""
        return len(self.progress.history) - 1

    @property
    def gap(self) -> float:
        """Estimated distance of the objective from its limit, in nats."""
        return self.progress.gaps[-1]

    @property
    def rate(self) -> float:
        """EM's rate of convergence near the limit, 0 to 1; see `Progress.rate`."""
        return self.progress.rate if self.noisy_rate is None else self.noisy_rate
