"""The method of runs whose E-steps are sampled: no step can be judged by its objective; the end is an average."""

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pgmpy_em_ext.e_step.schedule import Schedule
from pgmpy_em_ext.e_step.statistics import ExpectedStatistics
from pgmpy_em_ext.em.blocks import start_blocks, whole_block
from pgmpy_em_ext.em.method import Method
from pgmpy_em_ext.em.progress import Progress, RunResult
from pgmpy_em_ext.em.step import EMState, Problem
from pgmpy_em_ext.em.stochastic.ascent import advance_surely, last_step, read_batches
from pgmpy_em_ext.em.stochastic.averaging import advance_averaging, wanted
from pgmpy_em_ext.em.stochastic.draws import draw, in_whole_batches, resolution
from pgmpy_em_ext.em.stochastic.judge import judge
from pgmpy_em_ext.em.stochastic.memory import TAIL, NoisyMemory
from pgmpy_em_ext.em.stochastic.precision import Estimate, estimate
from pgmpy_em_ext.em.stochastic.problem import SampledProblem, sampled_problem
from pgmpy_em_ext.em.stopping import StoppingRule
from pgmpy_em_ext.types import BoolArray, FloatArray

FINAL_DRAWS = 20
"""Draws of the last E-step, at least: stuck chains are told by as many."""


class StochasticRun(NamedTuple):
    """A run between two steps.

    Attributes
    ----------
    problem : SampledProblem
        Engine, plan and M-step.
    state : EMState
        The current state, as the last E-steps tell it.
    progress : Progress
        What it needs to go on later.
    """

    problem: SampledProblem
    state: EMState
    progress: Progress


@dataclass(frozen=True)
class StochasticEM(Method[StochasticRun]):
    """EM with sampled E-steps: iterates until the noise that is left is small.

    While the parameters drift, each E-step replaces the one before. Means over stretches of growing length tell when
    they drift no more: what the second of three stretches has moved and what the third has then point in opposite
    directions, as they do for pure noise. From there on the schedule says how much an E-step counts, and the estimate
    is the average. A rule that ends a leg of a race leaves the run as it stands; else the result's state is the
    average, with a log-likelihood that more draws have made precise.

    Parameters
    ----------
    schedule : Schedule
        How E-steps are averaged.

    References
    ----------
    Wei & Tanner (1990), J. Am. Stat. Assoc. 85(411). Pflug (1990), Monte Carlo Methods and Appl. (the test
    for drift). Polyak & Juditsky (1992), SIAM J. Control Optim. 30(4) (averages).
    """

    schedule: Schedule
    is_monotone = False

    def recall(self, arrays: dict[str, Any]) -> NoisyMemory:
        """Make a memory again from its fields."""
        whole = ("seed", "step", "n_steady", "length", "n_partial", "n_drawn")
        for name in whole:
            arrays[name] = int(arrays[name])
        for name in ("rate", "loss"):
            arrays[name] = float(arrays[name])
        arrays["is_done"] = bool(arrays["is_done"])
        return NoisyMemory(**arrays)

    def begin(
        self,
        problem: Problem,
        progress: Progress,
        rule: StoppingRule,
        state: EMState | None,
        racing: BoolArray | None,
    ) -> StochasticRun:
        """Draw at the start, or take up what an interrupted run has left; all blocks climb together."""
        sampled = sampled_problem(problem)
        if state is None:
            state, progress = _begin(sampled, progress, rule, self.schedule)
        return StochasticRun(sampled, state, progress)

    def stop_reason(self, run: StochasticRun, rule: StoppingRule) -> str | None:
        """Say why the run is at its end; None where it is not."""
        return _status(rule, run.progress)

    def advance(self, run: StochasticRun, rule: StoppingRule) -> StochasticRun:
        """Make a step as the schedule says, which may lower the objective."""
        advance = advance_surely if self.schedule.get_tag("ascends") else advance_averaging
        state, progress = advance(run.problem, run.state, run.progress, rule, self.schedule)
        return run._replace(state=state, progress=_note(run.problem, progress, state, rule))

    def conclude(self, run: StochasticRun, rule: StoppingRule, status: str) -> RunResult:
        """Leave the run as it stands at the end of a leg; else put the average in the place of the last step."""
        if rule.is_leg:
            return RunResult(run.state, run.progress, status, None)
        return _finish(run.problem, run.state, run.progress, rule, status)


def _status(rule: StoppingRule, progress: Progress) -> str | None:
    if progress.memory.is_done and rule.tol > 0:
        return "converged"
    if len(progress.history) > rule.max_iter:
        return "max_iter"
    if rule.deadline is not None and time.monotonic() >= rule.deadline:
        return "max_time"
    return None


def _begin(
    problem: SampledProblem, progress: Progress, rule: StoppingRule, schedule: Schedule
) -> tuple[EMState, Progress]:
    """Evaluate the start, or take up what an interrupted run has left."""
    parameters = progress.parameters
    log_priors = problem.family.log_priors(parameters)
    if progress.memory is not None:
        log_likelihood = progress.history[-1] - float(log_priors.sum())
        statistics = ExpectedStatistics(progress.memory.statistics, log_likelihood)
        progress = progress._replace(history=list(progress.history), gaps=list(progress.gaps))
        return EMState(parameters, statistics, log_priors), progress
    ascends = schedule.get_tag("ascends")
    n_samples = problem.engine.usual_draws(problem.plan)
    n_samples = in_whole_batches(n_samples) if ascends else n_samples
    seed = int(np.random.SeedSequence(progress.seed).generate_state(1, np.uint64)[0] >> np.uint64(1))  # fits any file
    chains = problem.engine.start_chains(problem.plan, seed)
    statistics, chains = draw(problem, parameters, chains, n_samples)
    state = EMState(parameters, statistics, log_priors)
    nothing = np.zeros((0, len(parameters)))
    memory = NoisyMemory(
        seed=chains.seed,
        step=chains.step,
        states=chains.states,
        n_drawn=n_samples,
        statistics=statistics.counts,
        n_steady=0,
        sums=np.zeros((len(TAIL), len(parameters))),
        reference=parameters,
        rate=-1.0,
        resolution=resolution(statistics),
        means=nothing,
        length=1,
        partial=np.zeros_like(parameters),
        n_partial=0,
        batches=read_batches(statistics) if ascends else nothing,
        gains=np.zeros(0),
        loss=np.inf,
        is_done=False,
    )
    progress = progress._replace(memory=memory, history=[], gaps=[])
    return state, _note(problem, progress, state, rule)


def _note(problem: SampledProblem, progress: Progress, state: EMState, rule: StoppingRule) -> Progress:
    """Note a step: its objective, and how far it may be from the maximum."""
    memory: NoisyMemory = progress.memory
    progress.history.append(state.objective)  # type: ignore[attr-defined]
    progress.gaps.append(float(memory.loss))  # type: ignore[attr-defined]
    family = problem.family
    blocks = whole_block(len(family.fixed_families()), len(state.parameters), family.n_statistics)
    known = start_blocks(blocks, np.array([state.objective, 0.0]), np.zeros(2, dtype=bool), rule.tol)
    return progress._replace(
        parameters=state.parameters,
        n_e_steps=progress.n_e_steps + 1,
        blocks=known._replace(gap=np.array([memory.loss])),
    )


def _finish(problem: SampledProblem, state: EMState, progress: Progress, rule: StoppingRule, status: str) -> RunResult:
    """Put the estimate in the place of the last step, and look at it closely, if there is time."""
    memory: NoisyMemory = progress.memory
    is_timed_out, has_moved = status == "max_time", len(progress.history) > 1
    found = _estimate(problem, memory, state.parameters, has_moved=has_moved)
    gap, chains = found.loss, memory.chains
    if memory.is_done or len(memory.batches):
        gap = memory.loss
    elif has_moved and not is_timed_out:
        judged = judge(
            problem, found.parameters, memory.resolution, chains, memory.n_drawn, wanted(memory, found), rule.deadline
        )
        if judged is not None:
            gap, chains = found.loss + judged.left(found.rate), judged.chains
    n_samples = memory.n_drawn if is_timed_out else max(memory.n_drawn, FINAL_DRAWS)
    fresh, chains = problem.engine.draw_statistics(problem.plan, found.parameters, chains, n_samples)
    log_likelihood, noise = fresh.log_likelihood, fresh.noise
    if not is_timed_out:
        log_likelihood, error = problem.engine.refine_log_likelihood(problem.plan, found.parameters, chains)
        noise = None if noise is None else noise._replace(log_likelihood_error=error)
    end = EMState(
        found.parameters,
        ExpectedStatistics(found.statistics if has_moved else fresh.counts, log_likelihood, noise=noise),
        problem.family.log_priors(found.parameters),
    )
    assert progress.blocks is not None  # since the run has begun
    progress = progress._replace(
        parameters=end.parameters,
        history=[*progress.history[:-1], end.objective],
        gaps=[*progress.gaps[:-1], gap],
        n_e_steps=progress.n_e_steps + 1,
        blocks=progress.blocks._replace(recent=np.array([[end.objective]]), gap=np.array([gap])),
    )
    return RunResult(end, progress, status, None, errors=found.errors, noisy_rate=found.rate)


def _estimate(problem: SampledProblem, memory: NoisyMemory, parameters: FloatArray, *, has_moved: bool) -> Estimate:
    """Say what a run has found; where no step was made, the start is returned as it is."""
    if len(memory.batches):
        return last_step(problem, memory, parameters)
    found = estimate(problem, memory, parameters)
    return found if has_moved else found._replace(parameters=parameters)
