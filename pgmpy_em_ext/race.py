"""Successive halving: which runs go on, block by block. Pure functions of the objectives."""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.types import BoolArray, FloatArray

FIRST_STEPS = 16
"""Steps before the first comparison; after fewer, slow runs that end high look worse than they are."""

SURVIVORS = 2
"""Runs of a block that are carried to the end: one to be the best, one to confirm it."""


class Race(NamedTuple):
    """Which runs are still in the race.

    Attributes
    ----------
    racing : bool ndarray of shape (n_runs, n_blocks + 1)
        For each run, the blocks in which it goes on; the last entry stands for the families
        outside all blocks, which cost nothing and go on in every run.
    contested : bool ndarray of shape (n_blocks + 1,)
        Blocks in which the starts differ; the others are run once, by the first run.
    n_steps : int
        Steps of a run until the next comparison.
    has_readmitted : bool
        Whether runs were taken back, which go on to the end.
    """

    racing: BoolArray
    contested: BoolArray
    n_steps: int
    has_readmitted: bool = False

    @property
    def is_decided(self) -> bool:
        """Whether nothing is left to compare before the end."""
        return self.has_readmitted or bool((self.racing[:, :-1].sum(axis=0) <= SURVIVORS).all())

    @property
    def in_race(self) -> BoolArray:
        """Mark the runs that go on in some block; the first always does."""
        going = np.asarray(self.racing[:, :-1].any(axis=1))
        going[0] |= not going.any()
        return going


def start_race(parameters: list[FloatArray], block_of_cell: np.ndarray, n_blocks: int) -> Race:
    """Enter all runs; a block that all starts agree on is run once.

    Parameters
    ----------
    parameters : list of float ndarrays of shape (n_cells,)
        The starts.
    block_of_cell : int ndarray of shape (n_cells,)
        See `Blocks`.
    n_blocks : int
        Number of blocks.
    """
    differs = np.zeros(n_blocks + 1, dtype=bool)
    for start in parameters[1:]:
        differs[block_of_cell[start != parameters[0]]] = True
    differs[-1] = False
    racing = np.tile(differs, (len(parameters), 1))
    racing[0] = True
    racing[:, -1] = True
    return Race(racing, differs, FIRST_STEPS)


def halve(race: Race, predicted: FloatArray) -> Race:
    """Keep the better half of each block's runs, but not fewer than `SURVIVORS`; the next leg is as long as all so far.

    Parameters
    ----------
    race : Race
        Who is in it.
    predicted : float ndarray of shape (n_runs, n_blocks + 1)
        The objective that each run is expected to reach in each block, in nats. Of equal ones
        the earliest is better.
    """
    racing = race.racing.copy()
    for block in range(racing.shape[1] - 1):
        runs = np.flatnonzero(racing[:, block])
        n_kept = max(SURVIVORS, (len(runs) + 1) // 2)
        best_first = np.argsort(-predicted[runs, block], kind="stable")
        racing[runs[best_first[n_kept:]], block] = False
    return race._replace(racing=racing, n_steps=2 * race.n_steps)


def readmit(race: Race, reached: FloatArray, margin: float) -> Race:
    """Take runs back that were dropped though they stood higher than where the others have ended.

    Parameters
    ----------
    race : Race
        After the last leg.
    reached : float ndarray of shape (n_runs, n_blocks + 1)
        The objective of each run in each block, in nats.
    margin : float
        By how much, in nats.

    Returns
    -------
    Race
        The same object where there are none.
    """
    highest = np.where(race.racing, reached, -np.inf).max(axis=0)
    missed = race.contested & ~race.racing & (reached > highest + margin)
    return race._replace(racing=race.racing | missed, has_readmitted=True) if missed.any() else race
