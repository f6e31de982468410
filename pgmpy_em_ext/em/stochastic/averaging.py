"""Noisy steps of which all are made, and averaged."""

import numpy as np

from pgmpy_em_ext.e_step.schedule import Schedule
from pgmpy_em_ext.em.progress import Progress
from pgmpy_em_ext.em.step import EMState
from pgmpy_em_ext.em.stochastic.draws import MAX_DRAWS, draw, resolution
from pgmpy_em_ext.em.stochastic.drift import drifts, forget_means, push_mean, rises
from pgmpy_em_ext.em.stochastic.judge import judge, lift
from pgmpy_em_ext.em.stochastic.memory import TAIL, NoisyMemory
from pgmpy_em_ext.em.stochastic.precision import Estimate, estimate
from pgmpy_em_ext.em.stochastic.problem import SampledProblem
from pgmpy_em_ext.em.stochastic.rate import measure_rate
from pgmpy_em_ext.em.stopping import StoppingRule
from pgmpy_em_ext.types import FloatArray

DRIFT = 0.25
"""Part of the precision that a stretch may still move."""

GROWTH = 4
"""By how much an E-step's draws grow where noise keeps the run from the maximum."""


def advance_averaging(
    problem: SampledProblem, state: EMState, progress: Progress, rule: StoppingRule, schedule: Schedule
) -> tuple[EMState, Progress]:
    """Maximise, draw, and let the draw count for as much as the schedule says."""
    memory: NoisyMemory = progress.memory
    parameters = problem.family.maximize(memory.statistics, state.parameters)
    statistics, chains = draw(problem, parameters, memory.chains, memory.n_drawn)
    n_steady = memory.n_steady + 1 if memory.n_steady else 0
    size = schedule.step_size(n_steady) if n_steady else 1.0
    smooth = memory.statistics + size * (statistics.counts - memory.statistics)
    following = EMState(parameters, statistics, problem.family.log_priors(parameters))
    memory = memory.follow(chains)._replace(statistics=smooth, n_steady=n_steady, resolution=resolution(statistics))
    if n_steady:
        target = problem.family.linear_step(statistics.counts, parameters, smooth)
        memory = memory._replace(sums=_add_step(memory, target, parameters))
    memory, is_time = push_mean(memory, statistics.counts)
    progress = progress._replace(memory=memory)
    if not is_time:
        return following, progress
    precision = schedule.nats(problem.family.n_free, rule.tol)
    if memory.n_steady:
        return following, _look_at_average(problem, following, progress, rule, precision)
    objectives = [*progress.history, following.objective][-len(memory.means) * memory.length :]
    by_mean = np.reshape(objectives, (len(memory.means), -1)).mean(axis=1)
    if not (drifts(problem, memory.means, parameters, memory.length, DRIFT * precision) and rises(by_mean)):
        # From here on averages are taken, and looked at as often as it took to tell noise from drift: chains remember.
        progress = progress._replace(memory=forget_means(memory)._replace(n_steady=1, reference=parameters))
    return following, progress


def _add_step(memory: NoisyMemory, target: FloatArray, point: FloatArray) -> FloatArray:
    """Add a step to the sums, all parameters counted from the reference, lest digits are lost."""
    target, point = target - memory.reference, point - memory.reference
    last = memory.sums[-1]
    products = [memory.statistics, target, target**2, point, point**2, target * point, target * last]
    return np.vstack([memory.sums[:-1] + products, target[None]])


def _look_at_average(
    problem: SampledProblem, state: EMState, progress: Progress, rule: StoppingRule, precision: float
) -> Progress:
    """See whether the average is precise enough, and if so, whether it is the maximum.

    Noise moves the point around which the steps scatter, by as much as it bends the E-step. The
    average does not know, but as many draws at that point do: if a step from there gains,
    the run goes on from where it leads, with more draws in every E-step.
    """
    memory: NoisyMemory = progress.memory
    found = estimate(problem, memory, state.parameters)
    if found.loss <= precision and memory.rate < 0:
        progress = _measure_rate(problem, found, progress, rule, precision)
        memory = progress.memory
        found = estimate(problem, memory, state.parameters)
    memory = memory._replace(loss=found.loss)
    if found.loss > precision or memory.is_done:  # where tol=0 lets a run go on, one judgement is enough
        return progress._replace(memory=memory)
    judged = judge(
        problem,
        found.parameters,
        memory.resolution,
        memory.chains,
        memory.n_drawn,
        wanted(memory, found),
        rule.deadline,
    )
    if judged is None:
        return progress._replace(memory=memory)
    memory = memory.follow(judged.chains)._replace(loss=found.loss + judged.left(found.rate))
    if judged.gain - judged.error <= precision * (1 - found.rate) and judged.growth <= precision:
        memory = memory._replace(is_done=True)
    else:
        memory = forget_means(memory)._replace(
            n_drawn=max(memory.n_drawn, min(GROWTH * memory.n_drawn, MAX_DRAWS)),
            statistics=lift(problem, judged.statistics.counts, judged.grows),
            n_steady=0,
            sums=np.zeros_like(memory.sums),
            rate=-1.0,
            length=1,
        )
    return progress._replace(memory=memory, n_e_steps=progress.n_e_steps + judged.n_e_steps)


def _measure_rate(
    problem: SampledProblem, found: Estimate, progress: Progress, rule: StoppingRule, precision: float
) -> Progress:
    """Measure EM's rate where the average lies: its few steps hardly tell."""
    memory: NoisyMemory = progress.memory
    direction = (memory.sums[TAIL.index("target")] - memory.sums[TAIL.index("point")]) / (memory.n_steady - 1)
    amounts = precision, memory.chains, memory.n_drawn, wanted(memory, found), rule.deadline
    measured = measure_rate(problem, found.parameters, found.statistics, direction, *amounts)
    if measured is None:
        return progress
    rate, chains, n_e_steps = measured
    memory = memory.follow(chains)._replace(rate=rate)
    return progress._replace(memory=memory, n_e_steps=progress.n_e_steps + n_e_steps)


def wanted(memory: NoisyMemory, found: Estimate) -> float:
    """Say how many draws have no more noise than the average: EM's rate has amplified that of its draws."""
    return memory.n_drawn * memory.n_steady * (1 - found.rate)
