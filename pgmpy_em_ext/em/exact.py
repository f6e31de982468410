"""The method of runs whose E-steps are exact: propose, evaluate, accept block by block, look beyond the end."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from pgmpy_em_ext.e_step.statistics import Blocks
from pgmpy_em_ext.em.acceleration._base import Accelerator, PlainEM, Point, Proposal
from pgmpy_em_ext.em.blocks import (
    BlockProgress,
    advance_blocks,
    describe_move,
    rest_blocks,
    start_blocks,
    steps_left,
    wake_blocks,
)
from pgmpy_em_ext.em.method import Method
from pgmpy_em_ext.em.probe import look_beyond
from pgmpy_em_ext.em.progress import Progress, RunResult
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


class _Stand(NamedTuple):
    """A state, and what the loop needs to know of it."""

    state: EMState
    point: Point
    objectives: FloatArray


class ExactRun(NamedTuple):
    """A run between two steps.

    Attributes
    ----------
    whole : Problem
        The problem as it was given.
    problem : Problem
        The same without what zeros that stay zero make zero.
    blocks : Blocks
        Which families the data joins.
    stand : _Stand
        The current state.
    progress : Progress
        What it needs to go on later.
    racing : bool ndarray of shape (n_blocks + 1,) or None
        Blocks that climb; all where None.
    had_ended : bool
        Whether nothing was left to do, by the same rule, when the run was laid down.
    fell_at : int or None
        The first step that was refused because an EM step lowered the objective.
    """

    whole: Problem
    problem: Problem
    blocks: Blocks
    stand: _Stand
    progress: Progress
    racing: BoolArray | None
    had_ended: bool
    fell_at: int | None = None

    @property
    def state(self) -> EMState:
        """The current state."""
        return self.stand.state


@dataclass(frozen=True)
class ExactEM(Method[ExactRun]):
    """EM with exact E-steps, which never lowers the objective.

    Parameters
    ----------
    accelerator : Accelerator
        Where the next E-step is made; by default where an EM step leads.

    References
    ----------
    Dempster, Laird & Rubin (1977), J. R. Stat. Soc. B 39(1), 1-38.
    """

    accelerator: Accelerator = field(default_factory=PlainEM)
    is_monotone = True

    def recall(self, arrays: dict[str, Any]) -> Any:
        """Make the accelerator's memory again from its fields."""
        return self.accelerator.recall(arrays)

    def begin(
        self,
        problem: Problem,
        progress: Progress,
        rule: StoppingRule,
        state: EMState | None,
        racing: BoolArray | None,
    ) -> ExactRun:
        """Evaluate the start, or where an interrupted run stood."""
        reduced = _without(problem, progress.zero)
        if state is None:
            state = init(reduced, progress.parameters)
        blocks = find_blocks(reduced, state.parameters)
        stand = _stand(reduced, blocks, self.accelerator, state)
        had_ended = _has_ended(progress, rule, racing)
        if not had_ended:
            progress = _begin(reduced, progress, stand, blocks, self.accelerator, rule, racing)
        return ExactRun(problem, reduced, blocks, stand, progress, racing, had_ended)

    def has_ended(self, run: ExactRun) -> bool:
        """Say whether the run had converged by the same rule before it was laid down."""
        return run.had_ended

    def stop_reason(self, run: ExactRun, rule: StoppingRule) -> str | None:
        """Ask the rule, but for the steps that a resumed run makes at least."""
        progress = run.progress
        least = rule._replace(min_iter=max(rule.min_iter, progress.not_before))
        return stop_reason(least, progress.history, progress.gaps, progress.largest_change)

    def look_beyond(self, run: ExactRun, rule: StoppingRule) -> tuple[ExactRun, bool]:
        """Leave saddle points and valleys, some times."""
        if not rule.probes_saddles or run.fell_at is not None or run.progress.n_resumptions >= MAX_RESUMPTIONS:
            return run, False
        beyond, progress = _probe(run.problem, run.blocks, self.accelerator, run.stand, run.progress, rule, run.racing)
        run = run._replace(progress=progress)
        return (run, False) if beyond is None else (run._replace(stand=beyond), True)

    def advance(self, run: ExactRun, rule: StoppingRule) -> ExactRun:
        """Make a step that lowers no block's objective."""
        # Entries that have become zero for good make the plan smaller.
        absorbing = run.problem.family.absorbing(run.state.parameters)
        if _is_many_more(absorbing, run.progress.zero):
            run = run._replace(problem=_without(run.whole, absorbing), progress=run.progress._replace(zero=absorbing))
        stand, progress, lost = _advance(run.problem, run.blocks, self.accelerator, run.stand, run.progress, rule)
        # A fall that was refused is a fault of the engine's, if it is more than rounding.
        now, fell_at = stand.state.objective, run.fell_at
        if lost > rule.tol and has_fallen([now, now - lost], rule.total_weight):
            fell_at = fell_at or len(progress.history) - 1
        return run._replace(stand=stand, progress=progress, fell_at=fell_at)

    def conclude(self, run: ExactRun, rule: StoppingRule, status: str) -> RunResult:
        """Note where the run has ended for good."""
        progress = run.progress
        is_new_end = status == "converged" and rule.probes_saddles and run.fell_at is None
        if is_new_end and not run.had_ended:
            everywhere = np.ones_like(run.stand.objectives, dtype=bool)
            progress = progress._replace(ended_in=everywhere if run.racing is None else run.racing)
        return RunResult(run.state, progress, status, run.fell_at)


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
