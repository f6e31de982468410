"""Which of several runs go on, block by block: copies of one maximum are run once, and costly runs are halved."""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.types import BoolArray, FloatArray, IntArray


class Pace(NamedTuple):
    """How runs are compared on the way.

    Attributes
    ----------
    first_steps : int
        Steps before the first comparison; after fewer, slow runs that end high look worse than they are.
    last_steps : int
        Steps after which nothing is compared any more, so that the runs that are left go on to their ends.
    survivors : int or None
        Runs of a block that are carried to the end, at least, where the worse half is dropped at each comparison.
        None drops none but copies.
    joins : bool
        Whether a run that is about to end where another one does joins it.
    leaves_low : bool
        Whether a run that is about to end well below another one is left.
    growth : float
        By how much the number of steps grows from one comparison to the next.
    """

    first_steps: int
    last_steps: int
    survivors: int | None
    joins: bool
    leaves_low: bool
    growth: float


PATIENT = Pace(first_steps=16, last_steps=512, survivors=None, joins=True, leaves_low=True, growth=1.25)
"""Every maximum that a start leads to is reached: where E-steps are cheap."""

HALVING = Pace(first_steps=16, last_steps=2**30, survivors=3, joins=True, leaves_low=True, growth=2)
"""Successive halving: where E-steps cost something."""

NOISY_HALVING = Pace(first_steps=16, last_steps=2**30, survivors=2, joins=False, leaves_low=False, growth=2)
"""The same where E-steps are sampled, whose noise hides which runs are copies."""

SAME = 0.05
"""Largest difference between two runs' parameters under which they are about to end at one maximum."""

NEAR = 0.5
"""Largest distance from its limit, in nats, at which a run may be told by its parameters to be a copy."""

VERY_NEAR = 0.1
"""The same where it is told by its objective alone."""


LOW = 1.0
"""Nats below the highest run from which no run that is very near its limit is likely to rise above it."""

ALONGSIDE = 3
"""Runs at one objective that go on to their ends though their parameters differ."""


class Race(NamedTuple):
    """Which runs are still in the race.

    Attributes
    ----------
    racing : bool ndarray of shape (n_runs, n_blocks + 1)
        For each run, the blocks in which it goes on; the last entry stands for the families
        outside all blocks, which cost nothing and go on in every run.
    contested : bool ndarray of shape (n_blocks + 1,)
        Blocks in which the starts differ; the others are run once, by the first run.
    leader : int ndarray of shape (n_runs, n_blocks)
        For each run and block, the run that it has joined since both are heading for one maximum; else itself.
    n_steps : int
        Steps of a run until the next comparison.
    n_entered : int
        Starts that have entered; the later ones are a reserve.
    n_starts : int
        Number of starts, those in reserve included. Runs behind them start near the best maximum.
    perturbed : float ndarray of shape (n_perturbed, n_cells)
        The parameters from which these have started so far.
    highest : float ndarray of shape (n_blocks,)
        The best objective of each block when the last of them entered, in nats.
    n_idle : int
        How many groups of them in a row have found nothing higher.
    is_final : bool
        Whether nothing is left to compare before the end.
    summit : float
        Highest objective of a run at the last comparison, in nats.
    has_readmitted : bool
        Whether runs were taken back, which go on to the end.
    """

    racing: BoolArray
    contested: BoolArray
    leader: IntArray
    n_steps: int
    n_entered: int
    n_starts: int
    perturbed: FloatArray
    highest: FloatArray
    n_idle: int
    is_final: bool
    summit: float = -np.inf
    has_readmitted: bool = False

    @property
    def in_race(self) -> BoolArray:
        """Mark the runs that go on in some block; the first always does."""
        going = np.asarray(self.racing[:, :-1].any(axis=1))
        going[0] |= not going.any()
        return going


class Standing(NamedTuple):
    """Where all runs stand, as far as they have begun.

    Attributes
    ----------
    reached : float ndarray of shape (n_runs, n_blocks)
        The objective of each run in each block, in nats; -inf where it has not begun.
    gap : float ndarray of shape (n_runs, n_blocks)
        The estimated distance of each from its limit, in nats; infinite where unknown.
    predicted : float ndarray of shape (n_runs, n_blocks)
        The objective that each run is expected to reach, as far as EM steps tell; else what it has reached.
    """

    reached: FloatArray
    gap: FloatArray
    predicted: FloatArray


def start_race(differs: BoolArray, n_starts: int, n_reserve: int, n_perturbed: int, pace: Pace) -> Race:
    """Enter the runs; a block that all starts agree on is run once.

    Parameters
    ----------
    differs : bool ndarray of shape (n_blocks,)
        Blocks in which the starts differ.
    n_starts, n_reserve : int
        Number of starts, and how many of them are held in reserve.
    n_perturbed : int
        Number of runs at most that may follow, from near the best maximum.
    pace : Pace
        How they are compared.
    """
    contested = np.append(differs, False)
    n_runs, n_entered = n_starts + n_perturbed, n_starts - n_reserve
    racing = np.zeros((n_runs, len(contested)), dtype=bool)
    racing[:n_entered] = contested
    racing[0] = True
    racing[:, -1] = True
    leader = np.tile(np.arange(n_runs)[:, None], len(differs))
    race = Race(
        racing,
        contested,
        leader,
        pace.first_steps,
        n_entered,
        n_starts,
        np.zeros((0, 0)),
        np.full(len(differs), -np.inf),
        n_idle=0,
        is_final=False,
    )
    return race._replace(is_final=_is_decided(race, pace))


def _is_decided(race: Race, pace: Pace) -> bool:
    """Say whether no comparison can drop another run."""
    most = 1 if pace.survivors is None else pace.survivors
    return race.n_steps > pace.last_steps or bool((race.racing[:, :-1].sum(axis=0) <= most).all())


def compare(race: Race, standing: Standing, signatures: "Signatures", pace: Pace, tol: float) -> Race:
    """Let copies join the run that is ahead of them, drop the worse half where the pace says so, and go on.

    Parameters
    ----------
    race : Race
        Who is in it.
    standing : Standing
        Where the runs are.
    signatures : Signatures
        Their parameters; not looked at where no two runs are close to one objective.
    pace : Pace
        How they are compared.
    tol : float
        Nats within which two objectives are equal.
    """
    if pace.joins:
        race = join_copies(race, standing, signatures, tol)
    if pace.leaves_low:
        race = leave_low(race, standing)
    if pace.survivors is not None:
        race = halve(race, standing.predicted, pace.survivors)
    race = race._replace(n_steps=int(pace.growth * race.n_steps))
    return race._replace(is_final=_is_decided(race, pace))


def halve(race: Race, predicted: FloatArray, survivors: int) -> Race:
    """Keep the better half of each block's runs, but not fewer than some; of equal ones the earliest is better."""
    racing = race.racing.copy()
    for block in np.flatnonzero(race.contested).tolist():
        runs = np.flatnonzero(racing[:, block])
        n_kept = max(survivors, (len(runs) + 1) // 2)
        best_first = np.argsort(-predicted[runs, block], kind="stable")
        racing[runs[best_first[n_kept:]], block] = False
    return race._replace(racing=racing)


def leave_low(race: Race, standing: Standing) -> Race:
    """Leave runs that are about to end well below what another one has reached: their ends are known well enough."""
    highest = np.where(race.racing[:, :-1], standing.reached, -np.inf).max(axis=0)
    is_low = (standing.gap < VERY_NEAR) & (standing.reached < highest - LOW)
    racing = race.racing.copy()
    racing[:, :-1] &= ~(is_low & race.contested[:-1])
    return race._replace(racing=racing)


class Signatures:
    """Parameters of runs in an order that does not depend on how hidden states are numbered.

    Parameters
    ----------
    signatures : dict of float ndarrays of shape (n_cells,)
        By run; see `CPDFamily.signature`.
    of_cell : int ndarray of shape (n_cells,)
        The block of each cell.
    n_blocks : int
        Number of blocks.
    """

    def __init__(self, signatures: dict[int, FloatArray], of_cell: IntArray, n_blocks: int) -> None:
        self._signatures = signatures
        self._cells = np.argsort(of_cell, kind="stable")
        self._bounds = np.searchsorted(of_cell[self._cells], np.arange(n_blocks + 1))

    def are_close(self, one: int, other: int, block: int) -> bool:
        """Say whether two runs' parameters differ little in a block."""
        cells = self._cells[self._bounds[block] : self._bounds[block + 1]]
        difference = np.abs(self._signatures[one][cells] - self._signatures[other][cells])
        return bool(difference.max(initial=0.0) < SAME)


def join_copies(race: Race, standing: Standing, signatures: Signatures, tol: float) -> Race:
    """Let runs that are about to end where another one does join it, so that one of them goes on.

    Two runs near their limits are heading for one maximum if their objectives could meet and their parameters
    are alike but for the numbering of hidden states. The higher one goes on. Where the data does not determine the
    parameters, these differ at one and the same maximum: of runs whose objectives could meet no more than `ALONGSIDE`
    go on.
    """
    racing, leader = race.racing.copy(), race.leader.copy()
    for block in np.flatnonzero(race.contested).tolist():
        gap = standing.gap[:, block]
        runs = np.flatnonzero(racing[:, block] & (gap < NEAR))
        heads: list[int] = []
        for run in runs[np.argsort(-standing.reached[runs, block], kind="stable")].tolist():
            level = standing.reached[run, block] + tol + gap[run]
            alongside = [head for head in heads if standing.reached[head, block] <= level]
            joined = next((head for head in alongside if signatures.are_close(head, run, block)), None)
            if joined is None and len(alongside) >= ALONGSIDE and gap[run] < VERY_NEAR:
                joined = alongside[-1]
            if joined is None:
                heads.append(run)
                continue
            racing[run, block] = False
            leader[leader[:, block] == run, block] = joined
    return race._replace(racing=racing, leader=leader)


def readmit(race: Race, reached: FloatArray, margin: float) -> Race | None:
    """Take runs back that were dropped though they stood higher than where the others have ended.

    Parameters
    ----------
    race : Race
        After the last leg.
    reached : float ndarray of shape (n_runs, n_blocks)
        The objective of each run in each block, in nats.
    margin : float
        By how much, in nats.

    Returns
    -------
    Race or None
        None where there are none.
    """
    highest = np.where(race.racing[:, :-1], reached, -np.inf).max(axis=0)
    missed = race.contested[:-1] & ~race.racing[:, :-1] & (reached > highest + margin)
    if race.has_readmitted or not missed.any():
        return None
    racing = race.racing.copy()
    racing[:, :-1] |= missed
    return race._replace(racing=racing, has_readmitted=True)


def enter_reserve(race: Race, wanted: BoolArray, n_more: int, pace: Pace) -> Race | None:
    """Let some runs of the reserve enter, in the blocks where they are wanted.

    Parameters
    ----------
    race : Race
        After all that were in it have ended.
    wanted : bool ndarray of shape (n_blocks,)
        Blocks whose best maximum was not found twice.
    n_more : int
        Number of runs, if the reserve has as many.
    pace : Pace
        How they are compared.

    Returns
    -------
    Race or None
        None where nothing is wanted, or the reserve is used up.
    """
    n_entered = min(race.n_entered + n_more, race.n_starts)
    wanted = wanted & race.contested[:-1]
    if n_entered == race.n_entered or not wanted.any():
        return None
    racing = race.racing.copy()
    racing[race.n_entered : n_entered, :-1] = wanted
    race = race._replace(racing=racing, n_steps=pace.first_steps, n_entered=n_entered, has_readmitted=False)
    return race._replace(is_final=_is_decided(race, pace))


def enter_perturbed(race: Race, starts: FloatArray, highest: FloatArray, pace: Pace) -> Race:
    """Let runs enter that start near the best maximum.

    Parameters
    ----------
    race : Race
        After all that were in it have ended.
    starts : float ndarray of shape (n_more, n_cells)
        Their parameters.
    highest : float ndarray of shape (n_blocks,)
        The best objective of each block so far, in nats.
    pace : Pace
        How they are compared.
    """
    first = race.n_starts + len(race.perturbed)
    racing = race.racing.copy()
    racing[first : first + len(starts)] |= race.contested
    perturbed = np.vstack([race.perturbed, starts]) if len(race.perturbed) else starts
    race = race._replace(racing=racing, perturbed=perturbed, highest=highest, n_steps=pace.first_steps)
    return race._replace(is_final=_is_decided(race, pace), has_readmitted=False)


def count_replications(race: Race, reached: FloatArray, alike: float) -> IntArray:
    """Count in each block the independent starts that are in the best maximum, or are heading for it.

    Runs from near a maximum that was known are not independent.

    Parameters
    ----------
    race : Race
        After its end.
    reached : float ndarray of shape (n_runs, n_blocks)
        The objective of each run in each block, in nats; only those of runs in the race are looked at.
    alike : float
        Nats within which two objectives are the same maximum.

    Returns
    -------
    int ndarray of shape (n_blocks,)
    """
    racing = race.racing[:, :-1]
    ends = np.where(racing, reached, -np.inf)
    of_leader = np.take_along_axis(ends, race.leader, axis=0)[: race.n_starts]
    return np.asarray((of_leader >= ends.max(axis=0) - alike).sum(axis=0))
