"""One run of EM: from a start to its end, plain or accelerated."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pgmpy_em_ext.e_step.statistics import Blocks
from pgmpy_em_ext.em.acceleration import PlainEM
from pgmpy_em_ext.em.acceleration._base import Accelerator, Point, Proposal
from pgmpy_em_ext.em.blocks import (
    BlockProgress,
    advance_blocks,
    describe_move,
    rest_blocks,
    start_blocks,
    steps_left,
    wake_blocks,
)
from pgmpy_em_ext.em.probe import look_beyond
from pgmpy_em_ext.em.step import EMState, Problem, choose, evaluate, find_blocks, init, objectives
from pgmpy_em_ext.em.stopping import ROUNDING, StoppingRule, aitken_gap, has_fallen, stop_reason
from pgmpy_em_ext.exceptions import ImpossibleEvidenceError
from pgmpy_em_ext.types import BoolArray, FloatArray

FEWER = 0.8
"""When so few of the parameters that were positive are left, the plan is made anew for them: entries that the data
speaks against sink until they are zero."""

MAX_RESUMPTIONS = 10
"""How often a run that has stopped may go on, because it was at a saddle point or in a valley."""

MAX_DOUBTS = 5
"""Resumptions after which a run ends in a valley that may go on beyond its predicted maximum: its gap says so."""

FIRST_RESUMPTION = 5
"""Steps that it makes at least when it goes on; each time twice as many, since what has deceived its estimates before
would do so again."""


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


class _Stand(NamedTuple):
    """A state, and what the loop needs to know of it."""

    state: EMState
    point: Point
    objectives: FloatArray


def run(
    problem: Problem,
    progress: Progress,
    rule: StoppingRule,
    observer: Observer | None = None,
    accelerator: Accelerator | None = None,
    state: EMState | None = None,
    racing: BoolArray | None = None,
) -> RunResult:
    """Iterate until the rule says stop.

    Parameters
    ----------
    problem : Problem
        Engine, plan and M-step.
    progress : Progress
        Starting parameters, or where an interrupted run stood.
    rule : StoppingRule
        When to stop.
    observer : callable, optional
        Called after every evaluation; a true result stops the run.
    accelerator : Accelerator, optional
        By default plain EM.
    state : EMState, optional
        That of the progress, where it is known and has been observed; else it is evaluated.
    racing : bool ndarray of shape (n_blocks + 1,), optional
        Blocks that climb; by default all.

    References
    ----------
    Dempster, Laird & Rubin (1977), J. R. Stat. Soc. B 39(1), 1-38.
    """
    accelerator = accelerator or PlainEM()
    whole = problem
    problem = _without(whole, progress.zero)
    is_new = state is None
    if state is None:
        state = init(problem, progress.parameters)
    blocks = find_blocks(problem, state.parameters)
    if _has_ended(progress, rule, racing):
        return RunResult(state, progress, "converged", None)
    stand = _stand(problem, blocks, accelerator, state)
    progress = _begin(problem, progress, stand, blocks, accelerator, rule, racing)
    fell_at = None
    while True:
        least = rule._replace(min_iter=max(rule.min_iter, progress.not_before))
        status = stop_reason(least, progress.history, progress.gaps, progress.largest_change)
        is_stopped = observer is not None and is_new and observer(stand.state, progress)
        is_new = True
        may_go_on = fell_at is None and not is_stopped and progress.n_resumptions < MAX_RESUMPTIONS
        if status == "converged" and rule.probes_saddles and may_go_on:
            beyond, progress = _probe(problem, blocks, accelerator, stand, progress, rule, racing)
            if beyond is not None:
                stand = beyond
                continue
        if is_stopped:
            status = status or "callback"
        if status is not None:
            return _conclude(stand, progress, status, fell_at, rule, racing)
        absorbing = problem.family.absorbing(stand.state.parameters)
        if _is_many_more(absorbing, progress.zero):
            progress = progress._replace(zero=absorbing)
            problem = _without(whole, absorbing)
        stand, progress, lost = _advance(problem, blocks, accelerator, stand, progress, rule)
        now = stand.state.objective
        if lost > rule.tol and has_fallen([now, now - lost], rule.total_weight):
            fell_at = fell_at or len(progress.history) - 1


def _conclude(
    stand: _Stand,
    progress: Progress,
    status: str,
    fell_at: int | None,
    rule: StoppingRule,
    racing: BoolArray | None,
) -> RunResult:
    """Note where a run has ended for good."""
    if status == "converged" and rule.probes_saddles and fell_at is None:
        progress = progress._replace(ended_in=np.ones_like(stand.objectives, dtype=bool) if racing is None else racing)
    return RunResult(stand.state, progress, status, fell_at)


def _has_ended(progress: Progress, rule: StoppingRule, racing: BoolArray | None) -> bool:
    """Say whether nothing is left to do in any block that races, by the same rule."""
    if progress.ended_in is None or progress.blocks is None or progress.blocks.tol != rule.tol:
        return False
    return bool(progress.ended_in.all()) if racing is None else not (racing & ~progress.ended_in).any()


def _stand(problem: Problem, blocks: Blocks, accelerator: Accelerator, state: EMState) -> _Stand:
    family, counts = problem.family, state.statistics.counts
    chart = family.chart(state.parameters, counts) if accelerator.uses_chart else None
    target = family.maximize(counts, state.parameters)
    return _Stand(state, Point(state.parameters, target, chart), objectives(blocks, state))


def _begin(
    problem: Problem,
    progress: Progress,
    stand: _Stand,
    blocks: Blocks,
    accelerator: Accelerator,
    rule: StoppingRule,
    racing: BoolArray | None,
) -> Progress:
    """Complete the progress of a run that has just been evaluated."""
    if not progress.history:
        progress = progress._replace(history=[stand.state.objective], gaps=[np.inf], n_e_steps=1)
    kept = progress.blocks
    if kept is None or kept.tol != rule.tol:
        resting = ~_free(problem, blocks)
        fresh = start_blocks(blocks, stand.objectives, resting, rule.tol)
        if kept is not None and rule.tol > kept.tol:  # what was known to be left suffices to stop
            fresh = fresh._replace(gap=kept.gap)
        progress = progress._replace(blocks=fresh)
    if racing is not None and progress.blocks is not None:
        progress = progress._replace(blocks=rest_blocks(progress.blocks, ~racing))
    if progress.memory is None:
        progress = progress._replace(memory=accelerator.start(blocks))
    return progress._replace(history=list(progress.history), gaps=list(progress.gaps))


def _advance(
    problem: Problem,
    blocks: Blocks,
    accelerator: Accelerator,
    stand: _Stand,
    progress: Progress,
    rule: StoppingRule,
) -> tuple[_Stand, Progress, float]:
    """Make one step: propose, evaluate, accept block by block; says what EM steps would have lost, in nats."""
    known, memory = progress.blocks, progress.memory
    assert known is not None  # since _begin
    proposal = accelerator.propose(memory, stand.point, problem.family, blocks)
    trial, n_e_steps, proposal_failed = _try(problem, blocks, stand, proposal, known.active)
    is_em = (proposal.is_em | proposal_failed) & known.active
    accepted, state, lost = _accept(problem, blocks, stand, trial, is_em)
    if lost.sum() <= ROUNDING * (abs(stand.state.objective) + rule.total_weight):
        lost = np.zeros_like(lost)
    following = _stand(problem, blocks, accelerator, state)
    move = describe_move(blocks, following.objectives, is_em, lost, stand.point.chart, following.point.chart)
    progress.history.append(following.state.objective)  # type: ignore[attr-defined]
    may_rest = rule.tol > 0 and blocks.n_blocks > 1
    known = advance_blocks(known, move, rule, len(progress.history) - 1, may_rest=may_rest)
    gap = max(_gap(progress.history, known, rule), float(lost.sum()))
    progress.gaps.append(gap)  # type: ignore[attr-defined]
    left = steps_left(known, rule.tol, rule.total_weight)
    unheeded = ~accepted | (proposal_failed & ~proposal.is_em)
    memory = accelerator.learn(memory, stand.point, following.point, unheeded, left, blocks)
    climbs = progress.blocks.active[blocks.of_cell]  # type: ignore[union-attr]
    change = float(np.abs(stand.point.target - stand.point.parameters).max(where=climbs, initial=0.0))
    progress = progress._replace(
        parameters=following.state.parameters,
        largest_change=change,
        n_e_steps=progress.n_e_steps + n_e_steps,
        blocks=known,
        memory=memory,
    )
    return following, progress, float(lost.sum())


def _accept(
    problem: Problem, blocks: Blocks, stand: _Stand, trial: EMState, is_em: BoolArray
) -> tuple[BoolArray, EMState, FloatArray]:
    """Keep of a trial the blocks whose objective it does not lower: the one place that sees to it.

    An EM step raises the objective, but for rounding, which is large where variances are small. One that lowers it
    all the same is refused too. Then nothing moves any more, and what it would have lost is what is not known. An
    engine that is not exact cannot tell, so that its EM steps are made.

    Returns
    -------
    accepted : bool ndarray of shape (n_blocks + 1,)
        Which blocks were kept.
    state : EMState
        These, and the others where they were.
    lost : float ndarray of shape (n_blocks + 1,)
        By how much refused EM steps would have lowered the objective, in nats.
    """
    found, lost = objectives(blocks, trial), np.zeros(len(is_em))
    accepted = found >= stand.objectives
    if not problem.is_exact:
        accepted |= is_em
        return accepted, choose(problem, blocks, accepted, trial, stand.state), lost
    refused = is_em & ~accepted
    lost[refused] = stand.objectives[refused] - found[refused]
    state = choose(problem, blocks, accepted, trial, stand.state)
    fall = stand.state.objective - state.objective
    if fall > 0:  # what blocks gain is less than the rounding of their sum, or the engine's sum is not theirs
        return np.zeros_like(accepted), stand.state, np.where(is_em, fall / max(is_em.sum(), 1), 0.0)
    return accepted, state, lost


def _probe(
    problem: Problem,
    blocks: Blocks,
    accelerator: Accelerator,
    stand: _Stand,
    progress: Progress,
    rule: StoppingRule,
    racing: BoolArray | None,
) -> tuple[_Stand | None, Progress]:
    """Look beyond the end of a run; None where there is nothing higher."""
    known = progress.blocks
    assert known is not None  # since _begin
    looked_at = _free(problem, blocks) if racing is None else _free(problem, blocks) & racing
    may_doubt = progress.n_resumptions < MAX_DOUBTS and stand.state.objective > rule.doubts_above
    beyond = look_beyond(problem, blocks, stand.state, looked_at, rule.tol, may_doubt=may_doubt)
    progress = progress._replace(n_e_steps=progress.n_e_steps + beyond.n_e_steps)
    if not beyond.unfinished.any():
        gap = np.maximum(known.gap, beyond.gap[:-1])
        progress.gaps[-1] = max(progress.gaps[-1], float(gap.sum()))  # type: ignore[index]
        return None, progress._replace(blocks=known._replace(gap=gap))
    following = _stand(problem, blocks, accelerator, beyond.state)
    progress.history.append(following.state.objective)  # type: ignore[attr-defined]
    progress.gaps.append(np.inf)  # type: ignore[attr-defined]
    return following, progress._replace(
        parameters=following.state.parameters,
        n_resumptions=progress.n_resumptions + 1,
        not_before=len(progress.history) + FIRST_RESUMPTION * 2**progress.n_resumptions,
        blocks=wake_blocks(known, beyond.unfinished, following.objectives),
        memory=accelerator.forget(progress.memory, beyond.left, blocks),
    )


def _free(problem: Problem, blocks: Blocks) -> BoolArray:
    """Mark the blocks that have something to fit; all where the engine cannot leave any out."""
    if problem.engine.blocks(problem.plan) is None:
        return np.ones(blocks.n_blocks + 1, dtype=bool)
    free = np.bincount(blocks.of_family, weights=~problem.family.fixed_families(), minlength=blocks.n_blocks + 1) > 0
    free[-1] = True
    return free


def _try(
    problem: Problem, blocks: Blocks, stand: _Stand, proposal: Proposal, active: BoolArray
) -> tuple[EMState, int, bool]:
    """Evaluate a proposal; one under which some row is impossible is replaced by an EM step.

    Returns
    -------
    trial : EMState
        What was evaluated.
    n_e_steps : int
        E-steps that it took.
    failed : bool
        Whether it was replaced.
    """
    try:
        return evaluate(problem, stand.state, proposal.parameters, active), 1, False
    except ImpossibleEvidenceError:
        if proposal.is_em.all():
            raise
    return evaluate(problem, stand.state, stand.point.target, active), 2, True


def _gap(history: Sequence[float], known: BlockProgress, rule: StoppingRule) -> float:
    """Estimate the distance to the limit: of all blocks together while EM steps are made, else of each."""
    if rule.one_step:  # and one has been made
        return 0.0
    if (known.n_em[known.active[:-1]] >= 2).all():
        return aitken_gap(history[-3:], rule.total_weight)
    return float(known.gap.sum())


def _is_many_more(absorbing: BoolArray, zero: BoolArray | None) -> bool:
    """Whether so many more parameters have become zero for good that it is worth a new plan."""
    known = 0 if zero is None else int(zero.sum())
    return len(absorbing) - int(absorbing.sum()) < FEWER * (len(absorbing) - known)


def _without(problem: Problem, zero: BoolArray | None) -> Problem:
    """Leave out what zeros that stay zero make zero."""
    return problem if zero is None else problem._replace(plan=problem.engine.without_zeros(problem.plan, zero))
