"""The starts of all runs of a fit, each made when its run begins."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, overload

import numpy as np

from pgmpy_em_ext.types import BoolArray, FloatArray

DEFAULT = 16
"""Starts where runs may end at different maxima."""

RESERVE = 24
"""Further starts, which enter while few starts led to the best maximum."""

PERTURBED = 24
"""Runs at most that start near the best maximum that was found, to look for a higher one around it."""


class Start(NamedTuple):
    """One run's seed, the name of its strategy, and the starting parameters."""

    seed: int
    strategy: str
    parameters: FloatArray


class Starts(Sequence[Start]):
    """Starts that are made when they are first asked for, and then kept.

    Parameters
    ----------
    make : callable
        From a run's number and seed to its start.
    seeds : sequence of int
        One for each run.
    n_reserve : int
        How many of them, the last ones, only enter where the others do not suffice.
    hidden : sequence of callables
        For each hidden variable one that marks the parameters of its own and its children's families, a bool ndarray
        of shape (n_cells,).
    """

    def __init__(
        self,
        make: Callable[[int, int], Start],
        seeds: Sequence[int],
        n_reserve: int = 0,
        hidden: Sequence[Callable[[], BoolArray]] = (),
    ) -> None:
        self.seeds = seeds
        self.n_reserve = n_reserve
        self.hidden = hidden
        self._make = make
        self._made: dict[int, Start] = {}

    @property
    def n_perturbed(self) -> int:
        """Number of further runs that may start near the best maximum: none where the user says how many runs."""
        return PERTURBED if self.n_reserve else 0

    def __len__(self) -> int:
        """Count all starts, those in reserve included."""
        return len(self.seeds)

    @overload
    def __getitem__(self, number: int) -> Start: ...
    @overload
    def __getitem__(self, number: slice) -> list[Start]: ...
    def __getitem__(self, number: int | slice) -> Start | list[Start]:
        """Give one start, which is made if it was not, or several."""
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        number = range(len(self))[number]
        if number not in self._made:
            self._made[number] = self._make(number, self.seeds[number])
        return self._made[number]

    def further_seed(self, number: int) -> int:
        """Give the seed of a run behind all starts."""
        return run_seeds(self.seeds[0], number + 1)[number]

    def draw(self, number: int, seed: int) -> FloatArray:
        """Make the parameters of a start with another seed."""
        return self._make(number % len(self), seed).parameters


def run_seeds(seed: int | None, n_runs: int) -> list[int]:
    """Give every run a seed; the first run's is the fit's own, or fresh entropy where there is none."""
    root = np.random.SeedSequence(seed)
    drawn = [int(child.generate_state(1, np.uint64)[0] >> np.uint64(1)) for child in root.spawn(n_runs)]
    return drawn if seed is None else [seed, *drawn[1:]]


def lay_out_starts(
    make: Callable[[int, int], Start], seed: int | None, n_init: int | None, hidden: Sequence[Callable[[], BoolArray]]
) -> Starts:
    """Say how many starts there are, and how many of them in reserve.

    Parameters
    ----------
    make : callable
        As in `Starts`.
    seed : int or None
        The fit's.
    n_init : int or None
        Number of runs, where the user says it: then there is no reserve.
    hidden : sequence of callables
        As in `Starts`; empty where all runs would be the same, or end at the same maximum.
    """
    if n_init is not None:
        starts = Starts(make, run_seeds(seed, n_init), hidden=hidden)
    elif hidden:
        starts = Starts(make, run_seeds(seed, DEFAULT + RESERVE), RESERVE, hidden)
    else:
        starts = Starts(make, run_seeds(seed, 1))
    _ = starts[0]  # what is wrong with it is said before any work
    return starts
