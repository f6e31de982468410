"""Best of N: runs from independent starts, in parallel, of which copies and the unpromising are left on the way."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed

from pgmpy_em_ext.e_step.statistics import Blocks
from pgmpy_em_ext.em.loop import run
from pgmpy_em_ext.em.method import Method
from pgmpy_em_ext.em.progress import Progress, RunResult
from pgmpy_em_ext.em.step import EMState, Problem, choose, find_blocks, objectives
from pgmpy_em_ext.em.stopping import StoppingRule
from pgmpy_em_ext.restarts.checkpoint import Checkpoint
from pgmpy_em_ext.restarts.perturbation import NAME, n_e_steps_before, perturb
from pgmpy_em_ext.restarts.race import (
    HALVING,
    LOW,
    NOISY_HALVING,
    PATIENT,
    VERY_NEAR,
    Pace,
    Race,
    Signatures,
    Standing,
    compare,
    count_replications,
    enter_perturbed,
    enter_reserve,
    readmit,
    start_race,
)
from pgmpy_em_ext.start.starts import Start, Starts
from pgmpy_em_ext.types import BoolArray, FloatArray

ALIKE = 0.1
"""Nats within which two objectives count as the same maximum."""

CHEAP = 2.5e5
"""Operations of an E-step, some millisecond, up to which every start is worth being carried to its end."""

N_MORE = 8
"""Starts of the reserve that enter together."""

ENOUGH = 2
"""Starts that must be heading for the best maximum before no more enter."""

RARE = 0.125
"""Share of the starts that must be exceeded as well: a maximum that fewer lead to is often not the highest."""

N_NEARBY = 4
"""Runs that start together from near the best maximum."""

PATIENCE = 4
"""Such groups that must find nothing higher before no more follow."""

MOST_NEARBY = 1.0
"""E-steps of such runs at most, in units of those that all other runs have made, before no more follow."""

PATIENCE_IF_COMMON = 2
"""The same where at least half of the starts lead to the best maximum, so that it is easily found."""

N_COMPARED = 4
"""Starts that are looked at to tell in which blocks they differ."""


class Iteration(NamedTuple):
    """What a callback sees after each step.

    Attributes
    ----------
    run : int
        Number of the restart, from 0.
    n_iter : int
        Steps made; 0 at the start.
    log_likelihood, log_prior, objective : float
        Of the current parameters, in nats.
    gap : float
        Estimated distance of the objective from its limit, in nats; infinite while unknown.
    """

    run: int
    n_iter: int
    log_likelihood: float
    log_prior: float
    objective: float
    gap: float


Callback = Callable[[Iteration], Any]


class Restart(NamedTuple):
    """The record of a run, for ``restarts_``.

    Attributes
    ----------
    seed : int
        With ``n_init=1``, this seed and ``init_cpds=start`` the same start is made again.
    start : str
        The strategy that made the start; "init_cpds" where CPDs were given.
    objective, log_likelihood : float
        Where the run ended or was left, in nats; after a fall, of the best state seen.
    n_iter : int
        Steps made.
    n_e_steps : int
        E-steps made: the start, the steps, and those of the looks beyond a run's end.
    status : {"converged", "joined", "dropped", "max_iter", "max_time", "callback"}
        Why it ended: "joined" where, in every block, it was left to a run that is heading for the same maximum;
        "dropped" where others promised more, or it was about to end well below another.
    fell_at : int or None
        The first step at which the objective fell under an exact engine, which is a fault.
    log_likelihood_error : float
        Monte Carlo standard error of the log-likelihood, in nats; 0 under an exact engine.
    end : float
        Objective of the maximum that the start leads to, in nats: where the run ended, or the run that it joined;
        of one that was dropped, where its last steps were heading.
    """

    seed: int
    start: str
    objective: float
    log_likelihood: float
    n_iter: int
    n_e_steps: int
    status: str
    fell_at: int | None = None
    log_likelihood_error: float = 0.0
    end: float = -np.inf


class Best(NamedTuple):
    """What all runs together have found.

    Attributes
    ----------
    state : EMState
        The best of each block.
    history : tuple of float
        Objectives of the run that came highest as a whole; where other runs were better in
        some blocks, the last entry is that of all blocks' best together.
    number : int
        That run's number.
    gap : float
        Estimated distance of the objective from its limit, in nats.
    rate : float
        EM's rate of convergence there, 0 to 1; see `Progress.rate`.
    replicated : int
        How many starts lead to the maximum, within `ALIKE` nats, in the block where these are fewest.
    n_starts : int
        Independent starts that were begun.
    n_alone : int
        How many of these lead to a maximum that no other start leads to; 0 where runs were dropped before that could be
        told.
    n_enough : int
        How many starts must lead to the maximum for it to count as found more than by chance.
    contested : bool
        Whether several runs started from different points in some block.
    n_skipped : int
        Runs that were not begun, because time was up or the callback had stopped all.
    errors : float ndarray of shape (n_cells,) or None
        Monte Carlo standard errors of the parameters; None under an exact engine.
    """

    state: EMState
    history: tuple[float, ...]
    number: int
    gap: float
    rate: float
    replicated: int
    n_starts: int
    n_alone: int
    n_enough: int
    contested: bool
    n_skipped: int
    errors: FloatArray | None = None


class _Watcher:
    """Passes every iteration of every run on to the callback and the checkpoint."""

    def __init__(self, callback: Callback | None, checkpoint: Checkpoint | None) -> None:
        self.callback = callback
        self.checkpoint = checkpoint
        self.stopped = False

    def observe(self, number: int, state: EMState, progress: Progress) -> bool:
        if self.checkpoint is not None:
            self.checkpoint.record(number, progress)
        if self.callback is None:
            return self.stopped
        iteration = Iteration(
            run=number,
            n_iter=len(progress.history) - 1,
            log_likelihood=state.log_likelihood,
            log_prior=state.log_prior,
            objective=state.objective,
            gap=progress.gaps[-1],
        )
        self.stopped = bool(self.callback(iteration)) or self.stopped
        return self.stopped


def best_of(
    problem: Problem,
    starts: Starts,
    rule: StoppingRule,
    method: Method[Any],
    n_jobs: int = 1,
    callback: Callback | None = None,
    on_finish: Callable[[RunResult], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[Best, dict[int, Restart]]:
    """Run EM from every start, leave copies and what promises little, and put the best together.

    Runs are compared on the way; one that is about to end at the maximum of another joins it, and one that is about
    to end well below another is left. Where E-steps are cheap all others go on to their ends; then runs from around
    the best look for a higher one, and while few starts have led to the best, starts of the reserve enter. Where
    E-steps are costly the better half goes on at each comparison, until three are left. Blocks of families that the
    data does not join are problems of their own: each has its own race, and blocks on which all starts agree are
    run once. The runs share the prepared data and nothing else, so that the answer does not depend on ``n_jobs``;
    of equal objectives the earliest run wins. They run in threads.

    Parameters
    ----------
    problem : Problem
        Engine, plan and M-step.
    starts : Starts
        At least one.
    rule : StoppingRule
        The same for all runs. A run whose turn comes after the deadline is not begun,
        except the first.
    method : Method
        What a step is.
    n_jobs : int
        As joblib has it.
    callback : callable, optional
        Called with an `Iteration` after every evaluation, from several threads where
        ``n_jobs`` says so. A true result stops all runs, each after its step.
    on_finish : callable, optional
        Called with the result of each run that has ended or been dropped.
    checkpoint : Checkpoint, optional
        Where runs go on from, and where their progress is kept.

    Returns
    -------
    best : Best
        The best of each block.
    restarts : dict of Restart
        One for each run that was begun, by its number.

    References
    ----------
    Chickering & Heckerman (1997), Mach. Learn. 29, 181-212, section 4. Jamieson & Talwalkar
    (2016), AISTATS, algorithm 1. Elidan, Ninio, Friedman & Schuurmans (2002), AAAI.
    """
    runs = _Runs(problem, starts, method, _Watcher(callback, checkpoint), checkpoint)
    blocks = find_blocks(problem, starts[0].parameters)
    pace = choose_pace(problem)
    race = None if checkpoint is None else checkpoint.race
    if race is None:
        differs = _differing_blocks(blocks, starts, rule)
        race = start_race(differs, len(starts), starts.n_reserve, starts.n_perturbed, pace)
    runs.recall_dropped(race, rule)
    finished: set[int] = set()
    try:
        while True:
            results = runs.go_on(race, rule, n_jobs)
            is_cut = runs.watcher.stopped or _is_late(rule)
            following = None if is_cut else _next_leg(problem, starts, blocks, race, results, pace, rule.tol)
            is_over = following is None
            is_whole_leg = race.n_steps <= rule.max_iter  # else a fit with a larger max_iter decides anew
            if following is not None:
                race = following._replace(summit=max(result.state.objective for result in results.values()))
            for number in sorted(results.keys() - finished):
                if on_finish is not None and (is_over or not race.in_race[number]):
                    on_finish(results[number])
                    finished.add(number)
            if is_over:
                break
            if checkpoint is not None and is_whole_leg:
                checkpoint.record_race(race)
    finally:
        runs.watcher.stopped = True  # also after an interruption, which reaches the main thread alone
    if checkpoint is not None:
        checkpoint.flush()
    return _conclude(problem, starts, blocks, race, results, rule, pace, is_cut=is_cut)


def _conclude(
    problem: Problem,
    starts: Starts,
    blocks: Blocks,
    race: Race,
    results: dict[int, RunResult],
    rule: StoppingRule,
    pace: Pace,
    *,
    is_cut: bool,
) -> tuple[Best, dict[int, Restart]]:
    """Put the best together, and tell of all runs."""
    states = _fill_in(problem, blocks, race, results)
    standing = _survey(blocks, race, results)
    ends = _find_ends(race, standing, states)
    cut_by = "max_time" if _is_late(rule) else "callback"
    records = {
        number: _record(
            start_of(starts, race, number),
            results[number],
            states[number],
            _status(race, results[number], number, rule, cut_by),
            ends[number],
            n_e_steps_before(problem, number) if number >= race.n_starts else 0,
        )
        for number in states
    }
    best = _put_together(problem, blocks, race, results, states, standing, is_cut=is_cut)
    independent = [record for number, record in records.items() if number < race.n_starts]
    best = best._replace(n_starts=len(independent))
    if pace.survivors is None:  # else some were left before their ends were known
        best = best._replace(n_alone=_count_alone(independent), n_enough=enough(len(independent)))
    return best, records


def _count_alone(records: Sequence[Restart]) -> int:
    """Count the starts that lead to an end which no other start leads to, as far as their ends are known."""
    records = sorted(records, key=lambda record: record.end)
    doubt = np.array([VERY_NEAR if record.status == "dropped" else 0.0 for record in records])
    differs = np.diff([record.end for record in records]) > ALIKE + np.maximum(doubt[1:], doubt[:-1])
    is_apart = np.concatenate([[True], differs, [True]])
    return int((is_apart[1:] & is_apart[:-1]).sum())


def choose_pace(problem: Problem) -> Pace:
    """Say how the runs of a problem are compared: by what an E-step costs, never by a clock."""
    if not problem.is_exact:
        return NOISY_HALVING
    return PATIENT if problem.engine.n_operations(problem.plan) <= CHEAP else HALVING


def _differing_blocks(blocks: Blocks, starts: Starts, rule: StoppingRule) -> BoolArray:
    """Mark the blocks in which the first starts differ, as far as there is time to make them: shape (n_blocks,)."""
    differs = np.zeros(blocks.n_blocks + 1, dtype=bool)
    first = starts[0].parameters
    for number in range(1, min(N_COMPARED, len(starts))):
        if _is_late(rule) or differs[:-1].all():
            break
        differs[blocks.of_cell[starts[number].parameters != first]] = True
    return differs[:-1]


def _next_leg(
    problem: Problem,
    starts: Starts,
    blocks: Blocks,
    race: Race,
    results: dict[int, RunResult],
    pace: Pace,
    tol: float,
) -> Race | None:
    """Say which runs go on; None where all have ended, and nothing is left to look for."""
    standing = _survey(blocks, race, results)
    if not race.is_final:
        known = {number: problem.family.signature(result.state.parameters) for number, result in results.items()}
        return compare(race, standing, Signatures(known, blocks.of_cell, blocks.n_blocks), pace, tol)
    following = readmit(race, standing.reached, tol)
    if following is not None or pace.survivors is not None:
        return following
    return _look_around(problem, starts, blocks, race, results, standing.reached, pace)


def _look_around(
    problem: Problem,
    starts: Starts,
    blocks: Blocks,
    race: Race,
    results: dict[int, RunResult],
    reached: FloatArray,
    pace: Pace,
) -> Race | None:
    """Start near the best maximum until that finds nothing higher; then from the reserve, if few starts led to it.

    None where neither is left to do.
    """
    if any(results[number].status != "converged" for number in np.flatnonzero(race.in_race).tolist()):
        return None  # cut by max_iter: what they have reached is no maximum yet, and a longer fit decides anew
    highest = np.where(race.racing[:, :-1], reached, -np.inf).max(axis=0)
    has_risen = bool((highest > race.highest + ALIKE)[race.contested[:-1]].any())
    race = race._replace(n_idle=0 if has_risen else race.n_idle + 1)
    n_more = min(N_NEARBY, starts.n_perturbed - len(race.perturbed))
    replications = count_replications(race, reached, ALIKE)
    is_common = (2 * replications >= race.n_entered)[race.contested[:-1]].all()
    patience = PATIENCE_IF_COMMON if is_common else PATIENCE
    if race.n_idle < patience and n_more > 0 and race.contested.any() and _is_affordable(problem, race, results):
        state = _find_best(problem, blocks, race, {number: result.state for number, result in results.items()})
        first = race.n_starts + len(race.perturbed)
        nearby = [perturb(problem, starts, state, first + place).parameters for place in range(n_more)]
        return enter_perturbed(race, np.array(nearby), highest, pace)
    return enter_reserve(race, replications < enough(race.n_entered), N_MORE, pace)


def enough(n_starts: int) -> int:
    """Say how many of all starts must lead to the best maximum for it to count as found more than by chance."""
    return max(ENOUGH, math.floor(RARE * n_starts) + 1)


def _is_affordable(problem: Problem, race: Race, results: dict[int, RunResult]) -> bool:
    """Say whether runs from near the best have made fewer E-steps than their share, starts of their own included."""
    spent = {number: result.progress.n_e_steps for number, result in results.items()}
    nearby = sum(spent[number] + n_e_steps_before(problem, number) for number in spent if number >= race.n_starts)
    return nearby < MOST_NEARBY * sum(spent[number] for number in spent if number < race.n_starts)


def start_of(starts: Starts, race: Race, number: int) -> Start:
    """Give a run's start: one of those that were laid out, or one near a maximum."""
    if number < race.n_starts:
        return starts[number]
    return Start(starts.further_seed(number), NAME, race.perturbed[number - race.n_starts])


def _is_late(rule: StoppingRule) -> bool:
    return rule.deadline is not None and time.monotonic() >= rule.deadline


class _Runs:
    """All runs of a fit, as far as they have come."""

    def __init__(
        self,
        problem: Problem,
        starts: Starts,
        method: Method[Any],
        watcher: _Watcher,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.problem, self.starts, self.method = problem, starts, method
        self.watcher, self.checkpoint = watcher, checkpoint
        self.results: dict[int, RunResult] = {}
        self._ended: dict[int, BoolArray] = {}  # runs that have ended by themselves, and the blocks they were in

    def recall_dropped(self, race: Race, rule: StoppingRule) -> None:
        """Evaluate the runs that were dropped before an interruption, for their records."""
        at_once = rule._replace(max_iter=0, min_iter=0, deadline=None, probes_saddles=False, is_leg=True)
        for number in np.flatnonzero(~race.in_race).tolist():
            saved = None if self.checkpoint is None else self.checkpoint.resume(number)
            if saved is not None:
                self.results[number] = run(self.problem, saved, at_once, method=self.method)

    def go_on(self, race: Race, rule: StoppingRule, n_jobs: int) -> dict[int, RunResult]:
        """Carry all runs that are in the race to its next comparison, or to the end."""
        leg = rule
        if not race.is_final:
            leg = rule._replace(max_iter=min(rule.max_iter, race.n_steps), probes_saddles=False, is_leg=True)
        elif race.contested.sum() == 1:  # with more blocks a run's sum does not tell how good each is
            leg = rule._replace(doubts_above=race.summit - LOW)
        numbers = np.flatnonzero(race.in_race).tolist()
        calls = (delayed(self._go_on_one)(number, leg, race) for number in numbers)
        if len(numbers) == 1 or n_jobs == 1:
            found: Iterable[RunResult | None] = (call(*arguments) for call, arguments, _ in calls)
        else:  # runs share the prepared data, the callback and the checkpoint: threads, whatever surrounds us
            found = Parallel(n_jobs=n_jobs, require="sharedmem", return_as="generator")(calls)
        for number, result in zip(numbers, found, strict=True):
            if result is not None:
                self.results[number] = result
            if race.is_final:
                self._ended[number] = race.racing[number]
        return self.results

    def _go_on_one(self, number: int, leg: StoppingRule, race: Race) -> RunResult | None:
        racing = race.racing[number]
        known = self.results.get(number)
        ended_in = self._ended.get(number)
        if known is None:
            if number > 0 and (self.watcher.stopped or _is_late(leg)):
                return None
            saved = None if self.checkpoint is None else self.checkpoint.resume(number)
            start = start_of(self.starts, race, number)
            progress, state = saved or Progress(start.parameters, seed=start.seed), None
        elif known.fell_at is not None or (ended_in is not None and not (racing & ~ended_in).any()):
            return known  # it has ended; or it fell, which is a fault, on which nothing is built
        else:
            progress, state = known.progress, known.state
        try:
            result = run(
                self.problem,
                progress,
                leg,
                lambda state, now: self.watcher.observe(number, state, now),
                self.method,
                state=state,
                racing=racing,
            )
            if self.checkpoint is not None and result.progress.ended_in is not None:
                self.checkpoint.record(number, result.progress)  # with what the look beyond its end has found
        except BaseException:
            self.watcher.stopped = True  # a thread cannot be ended from outside: the others see this after their step
            raise
        return result


def _survey(blocks: Blocks, race: Race, results: dict[int, RunResult]) -> Standing:
    """Say where each run stands in each block, and where it is heading."""
    shape = (len(race.racing), blocks.n_blocks)
    reached, gap, predicted = np.full(shape, -np.inf), np.full(shape, np.inf), np.full(shape, -np.inf)
    for number, result in results.items():
        progress = result.progress.blocks
        assert progress is not None  # since the run has begun
        reached[number] = objectives(blocks, result.state)[:-1]
        gap[number] = progress.gap
        tells = (progress.n_em >= 2) & np.isfinite(progress.gap)
        predicted[number] = progress.recent[-1] + np.where(tells, progress.gap, 0.0)
    return Standing(reached, gap, predicted)


def _fill_in(problem: Problem, blocks: Blocks, race: Race, results: dict[int, RunResult]) -> dict[int, EMState]:
    """Give every run the first one's end in the blocks that only the first has run."""
    first = ~race.contested
    first[-1] = False
    return {
        number: choose(problem, blocks, first, results[0].state, results[number].state) if number else results[0].state
        for number in sorted(results)
    }


def _find_winners(blocks: Blocks, race: Race, states: dict[int, EMState]) -> tuple[int, dict[int, BoolArray]]:
    """Find the run that came highest as a whole, and the blocks in which each run came highest.

    Parameters
    ----------
    blocks : Blocks
        Which families belong together.
    race : Race
        Says in which blocks a run counts.
    states : dict of EMState
        Where the runs stand, by number.

    Returns
    -------
    main : int
        That run; of equal ones the earliest.
    won : dict of bool ndarrays of shape (n_blocks + 1,)
        By run; those that have won nothing are left out.
    """
    numbers = sorted(number for number in states if race.in_race[number])
    main = max(numbers, key=lambda number: (states[number].objective, -number))
    reached = np.array([objectives(blocks, states[number]) for number in numbers])
    winner = np.where(race.racing[numbers], reached, -np.inf).argmax(axis=0)
    return main, {numbers[place]: winner == place for place in np.unique(winner).tolist()}


def _find_best(problem: Problem, blocks: Blocks, race: Race, states: dict[int, EMState]) -> EMState:
    """Put the best of each block together, beginning with the run that came highest as a whole."""
    main, won = _find_winners(blocks, race, states)
    state = states[main]
    for number, is_won in won.items():
        better = is_won & (objectives(blocks, states[number]) > objectives(blocks, state))
        better[-1] = False
        if better.any():
            state = choose(problem, blocks, better, states[number], state)
    return state


def _put_together(
    problem: Problem,
    blocks: Blocks,
    race: Race,
    results: dict[int, RunResult],
    states: dict[int, EMState],
    standing: Standing,
    *,
    is_cut: bool,
) -> Best:
    """Take each block from the run that is best in it, the earliest of equal ones.

    Of the runs that were carried to the end, unless all were cut short before.
    """
    counted = race._replace(racing=np.ones_like(race.racing)) if is_cut else race
    main, won = _find_winners(blocks, counted, states)
    state = _find_best(problem, blocks, counted, states)
    best = results[main]
    contested = race.contested[:-1]
    numbers = [number for number in states if counted.in_race[number]]
    noise = max(log_likelihood_error(states[number]) for number in numbers)
    replications = count_replications(counted, standing.reached, ALIKE + 2 * noise)
    is_mixed = state is not best.state
    gap = sum(float(_block_gaps(results[number])[is_won[:-1]].sum()) for number, is_won in won.items())
    return Best(
        state=state,
        history=(*best.history, state.objective) if is_mixed else best.history,
        number=main,
        gap=gap if is_mixed else best.gap,
        rate=max(results[number].rate for number, is_won in won.items() if is_won[:-1].any() or number == main),
        replicated=int(replications[contested].min()) if contested.any() else 1,
        n_starts=0,
        n_alone=0,
        n_enough=ENOUGH,
        contested=bool(contested.any()),
        n_skipped=int(race.in_race.sum()) - sum(race.in_race[number] for number in states),
        errors=best.errors,
    )


def log_likelihood_error(state: EMState) -> float:
    """Monte Carlo standard error of a state's log-likelihood, in nats; 0 under an exact engine."""
    return 0.0 if state.statistics.noise is None else state.statistics.noise.log_likelihood_error


def _block_gaps(result: RunResult) -> FloatArray:
    assert result.progress.blocks is not None  # since the run has begun
    return result.progress.blocks.gap


def _find_ends(race: Race, standing: Standing, states: dict[int, EMState]) -> dict[int, float]:
    """Say where each start leads to: the objective where its run has ended, or the run that it joined, in nats."""
    heading = np.where(race.racing[:, :-1], standing.reached, standing.predicted)
    contested = np.flatnonzero(race.contested)
    return {
        number: state.objective
        + float((heading[race.leader[number, contested], contested] - standing.reached[number, contested]).sum())
        for number, state in states.items()
    }


def _status(race: Race, result: RunResult, number: int, rule: StoppingRule, cut_by: str) -> str:
    """Say why a run ended; ``cut_by`` says what would have ended it on the way."""
    if not race.in_race[number]:
        has_joined = race.leader[number] != number
        return "joined" if has_joined[race.contested[:-1]].all() else "dropped"
    if result.status == "max_iter" and result.n_iter < rule.max_iter:  # a leg's end, not the rule's
        return cut_by
    return result.status


def _record(start: Start, result: RunResult, state: EMState, status: str, end: float, n_before: int) -> Restart:
    """Tell of a run; ``n_before`` E-steps have led to its start."""
    return Restart(
        seed=start.seed,
        start=start.strategy,
        objective=state.objective,
        log_likelihood=state.log_likelihood,
        n_iter=result.n_iter,
        n_e_steps=result.progress.n_e_steps + n_before,
        status=status,
        fell_at=result.fell_at,
        log_likelihood_error=log_likelihood_error(state),
        end=end,
    )
