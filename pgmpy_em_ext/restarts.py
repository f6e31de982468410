"""Best of N: runs from independent starts, in parallel, of which the unpromising are dropped on the way."""

import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed

from pgmpy_em_ext.checkpoint import Checkpoint
from pgmpy_em_ext.em import EMState, Problem, choose, find_blocks, objectives
from pgmpy_em_ext.monitor import StoppingRule
from pgmpy_em_ext.race import Race, halve, readmit, start_race
from pgmpy_em_ext.run import Observer, Progress, RunResult, run
from pgmpy_em_ext.stochastic import Method, StochasticEM, run_stochastic
from pgmpy_em_ext.types import Blocks, BoolArray, FloatArray

ALIKE = 0.1
"""Nats within which two objectives count as the same maximum."""


class Start(NamedTuple):
    """One run's seed, the name of its strategy, and the starting parameters."""

    seed: int
    strategy: str
    parameters: FloatArray


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
        At the run's end, in nats; after a fall, of the best state seen.
    n_iter : int
        Steps made.
    n_e_steps : int
        E-steps made: the start, the steps, and those of the looks beyond a run's end.
    status : {"converged", "dropped", "max_iter", "max_time", "callback"}
        Why it ended; "dropped" where other runs promised more, in every block.
    fell_at : int or None
        The first step at which the objective fell under an exact engine, which is a fault.
    log_likelihood_error : float
        Monte Carlo standard error of the log-likelihood, in nats; 0 under an exact engine.
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
        In how many runs to the end the maximum was found, within `ALIKE` nats: the number of
        that block which has fewest.
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
    contested: bool
    n_skipped: int
    errors: FloatArray | None = None


def run_one(
    problem: Problem,
    progress: Progress,
    rule: StoppingRule,
    observer: Observer | None,
    method: Method,
    state: EMState | None = None,
    racing: BoolArray | None = None,
) -> RunResult:
    """Make a run, or go on with it, as the method asks."""
    if isinstance(method, StochasticEM):
        return run_stochastic(problem, progress, rule, observer, method, state)
    return run(problem, progress, rule, observer, method, state=state, racing=racing)


def run_seeds(seed: int | None, n_init: int) -> list[int]:
    """Give every run a seed; the first run's is the fit's own, or fresh entropy where there is none."""
    root = np.random.SeedSequence(seed)
    drawn = [int(child.generate_state(1, np.uint64)[0] >> np.uint64(1)) for child in root.spawn(n_init)]
    return drawn if seed is None else [seed, *drawn[1:]]


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
    starts: list[Start],
    rule: StoppingRule,
    method: Method,
    n_jobs: int = 1,
    callback: Callback | None = None,
    on_finish: Callable[[RunResult], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> tuple[Best, dict[int, Restart]]:
    """Run EM from every start, drop what promises little, and put the best together.

    Successive halving: all runs make a few steps; the better half goes on for as many more
    as it has made, and so forth until two are left, which go on to the end. Blocks
    of families that the data does not join are problems of their own: each has its own
    race, and blocks on which all starts agree are run once. The runs share the prepared
    data and nothing else, so that the answer does not depend on ``n_jobs``; of equal
    objectives the earliest run wins. They run in threads.

    Parameters
    ----------
    problem : Problem
        Engine, plan and M-step.
    starts : list of Start
        At least one.
    rule : StoppingRule
        The same for all runs. A run whose turn comes after the deadline is not begun,
        except the first.
    method : Accelerator or StochasticEM
        Where the next E-step is made; or how sampled ones are averaged.
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
    (2016), AISTATS, algorithm 1.
    """
    runs = _Runs(problem, starts, method, _Watcher(callback, checkpoint), checkpoint)
    blocks = find_blocks(problem, starts[0].parameters)
    race = None if checkpoint is None else checkpoint.race
    if race is None:
        race = start_race([start.parameters for start in starts], blocks.of_cell, blocks.n_blocks)
    runs.recall_dropped(race)
    finished: set[int] = set()
    try:
        while True:
            results = runs.go_on(race, rule, n_jobs)
            is_cut = runs.watcher.stopped or _is_late(rule)
            following = _next_leg(blocks, race, results, rule.tol)
            is_over = is_cut or following is race
            is_whole_leg = race.n_steps <= rule.max_iter  # else a fit with a larger max_iter decides anew
            race = race if is_over else following
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
    states = _fill_in(problem, blocks, race, results)
    cut_by = "max_time" if _is_late(rule) else "callback"
    records = {
        number: _record(starts[number], results[number], states[number], rule, cut_by if race.in_race[number] else None)
        for number in states
    }
    return _put_together(problem, blocks, race, results, states, is_cut=is_cut), records


def _next_leg(blocks: Blocks, race: Race, results: dict[int, RunResult], tol: float) -> Race:
    """Say which runs go on; the same race where all have ended."""
    if race.is_decided:
        return readmit(race, _reached(blocks, race, results), tol)
    return halve(race, _predict(race, results))


def _is_late(rule: StoppingRule) -> bool:
    return rule.deadline is not None and time.monotonic() >= rule.deadline


class _Runs:
    """All runs of a fit, as far as they have come."""

    def __init__(
        self,
        problem: Problem,
        starts: list[Start],
        method: Method,
        watcher: _Watcher,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.problem, self.starts, self.method = problem, starts, method
        self.watcher, self.checkpoint = watcher, checkpoint
        self.results: dict[int, RunResult] = {}
        self._ended: dict[int, BoolArray] = {}  # runs that have ended by themselves, and the blocks they were in

    def recall_dropped(self, race: Race) -> None:
        """Evaluate the runs that were dropped before an interruption, for their records."""
        for number in np.flatnonzero(~race.in_race).tolist():
            saved = None if self.checkpoint is None else self.checkpoint.resume(number)
            if saved is not None:
                at_once = StoppingRule(tol=0, atol=None, max_iter=0, min_iter=0, deadline=None, is_leg=True)
                self.results[number] = run_one(self.problem, saved, at_once, None, self.method)

    def go_on(self, race: Race, rule: StoppingRule, n_jobs: int) -> dict[int, RunResult]:
        """Carry all runs that are in the race to its next comparison, or to the end."""
        leg = rule
        if not race.is_decided:
            leg = rule._replace(max_iter=min(rule.max_iter, race.n_steps), probes_saddles=False, is_leg=True)
        numbers = np.flatnonzero(race.in_race).tolist()
        calls = (delayed(self._go_on_one)(number, leg, race.racing[number]) for number in numbers)
        if len(numbers) == 1 or n_jobs == 1:
            found: Iterable[RunResult | None] = (call(*arguments) for call, arguments, _ in calls)
        else:  # runs share the prepared data, the callback and the checkpoint: threads, whatever surrounds us
            found = Parallel(n_jobs=n_jobs, require="sharedmem", return_as="generator")(calls)
        for number, result in zip(numbers, found, strict=True):
            if result is not None:
                self.results[number] = result
            if race.is_decided:
                self._ended[number] = race.racing[number]
        return self.results

    def _go_on_one(self, number: int, leg: StoppingRule, racing: BoolArray) -> RunResult | None:
        known = self.results.get(number)
        ended_in = self._ended.get(number)
        if known is None:
            if number > 0 and (self.watcher.stopped or _is_late(leg)):
                return None
            saved = None if self.checkpoint is None else self.checkpoint.resume(number)
            start = self.starts[number]
            progress, state = saved or Progress(start.parameters, seed=start.seed), None
        elif known.fell_at is not None or (ended_in is not None and (ended_in == racing).all()):
            return known  # it has ended; or it fell, which is a fault, on which nothing is built
        else:
            progress, state = known.progress, known.state
        try:
            return run_one(
                self.problem,
                progress,
                leg,
                lambda state, now: self.watcher.observe(number, state, now),
                self.method,
                state=state,
                racing=racing,
            )
        except BaseException:
            self.watcher.stopped = True  # a thread cannot be ended from outside: the others see this after their step
            raise


def _predict(race: Race, results: dict[int, RunResult]) -> FloatArray:
    """Say where each run is heading in each block, as far as EM steps tell; else where it stands."""
    predicted = np.full(race.racing.shape, -np.inf)
    for number, result in results.items():
        blocks = result.progress.blocks
        assert blocks is not None  # since the run has begun
        tells = (blocks.n_em >= 2) & np.isfinite(blocks.gap)
        predicted[number, :-1] = blocks.recent[-1] + np.where(tells, blocks.gap, 0.0)
    return predicted


def _reached(blocks: Blocks, race: Race, results: dict[int, RunResult]) -> FloatArray:
    """Say where each run stands in each block; a run that was not begun stands nowhere."""
    reached = np.full(race.racing.shape, -np.inf)
    for number, result in results.items():
        reached[number] = objectives(blocks, result.state)
    return reached


def _fill_in(problem: Problem, blocks: Blocks, race: Race, results: dict[int, RunResult]) -> dict[int, EMState]:
    """Give every run the first one's end in the blocks that only the first has run."""
    first = ~race.contested
    first[-1] = False
    return {
        number: choose(problem, blocks, first, results[0].state, results[number].state) if number else results[0].state
        for number in sorted(results)
    }


def _put_together(
    problem: Problem,
    blocks: Blocks,
    race: Race,
    results: dict[int, RunResult],
    states: dict[int, EMState],
    *,
    is_cut: bool,
) -> Best:
    """Take each block from the run that is best in it, the earliest of equal ones.

    Of the runs that were carried to the end, unless all were cut short before.
    """
    numbers = [number for number in states if is_cut or race.in_race[number]]
    main = max(numbers, key=lambda number: (states[number].objective, -number))
    reached = np.array([objectives(blocks, states[number]) for number in numbers])
    if not is_cut:
        reached[~race.racing[numbers]] = -np.inf
    winner = reached.argmax(axis=0)
    state = states[main]
    for position in np.unique(winner[:-1]).tolist():
        better = (winner == position) & (reached[position] > objectives(blocks, state))
        better[-1] = False
        if better.any():
            state = choose(problem, blocks, better, states[numbers[position]], state)
    best = results[main]
    contested = race.contested[:-1]
    noise = max(log_likelihood_error(states[number]) for number in numbers)
    alike = (reached >= reached.max(axis=0) - ALIKE - 2 * noise)[:, :-1].sum(axis=0)
    gaps = np.array([_block_gaps(results[number]) for number in numbers])
    is_mixed = state is not best.state
    return Best(
        state=state,
        history=(*best.history, state.objective) if is_mixed else best.history,
        number=main,
        gap=float(gaps[winner[:-1], np.arange(blocks.n_blocks)].sum()) if is_mixed else best.gap,
        rate=max(results[numbers[position]].rate for position in {*winner[:-1].tolist(), numbers.index(main)}),
        replicated=int(alike[contested].min()) if contested.any() else len(numbers),
        contested=bool(contested.any()),
        n_skipped=int(race.in_race.sum()) - sum(race.in_race[number] for number in numbers),
        errors=best.errors,
    )


def log_likelihood_error(state: EMState) -> float:
    """Monte Carlo standard error of a state's log-likelihood, in nats; 0 under an exact engine."""
    return 0.0 if state.statistics.noise is None else state.statistics.noise.log_likelihood_error


def _block_gaps(result: RunResult) -> FloatArray:
    assert result.progress.blocks is not None  # since the run has begun
    return result.progress.blocks.gap


def _record(start: Start, result: RunResult, state: EMState, rule: StoppingRule, cut_by: str | None) -> Restart:
    """Tell of a run; ``cut_by`` says what would have ended it on the way, None that it was dropped."""
    status = "dropped" if cut_by is None else result.status
    if status == "max_iter" and result.n_iter < rule.max_iter:  # a leg's end, not the rule's
        status = str(cut_by)
    return Restart(
        seed=start.seed,
        start=start.strategy,
        objective=state.objective,
        log_likelihood=state.log_likelihood,
        n_iter=result.n_iter,
        n_e_steps=result.progress.n_e_steps,
        status=status,
        fell_at=result.fell_at,
        log_likelihood_error=log_likelihood_error(state),
    )
