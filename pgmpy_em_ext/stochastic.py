"""One run of EM with sampled E-steps: no step of it can be judged by its objective, and the end is an average."""

import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pgmpy_em_ext.acceleration._base import Accelerator
from pgmpy_em_ext.blocks import start_blocks, whole_block
from pgmpy_em_ext.em import EMState, Problem
from pgmpy_em_ext.monitor import StoppingRule
from pgmpy_em_ext.run import Observer, Progress, RunResult
from pgmpy_em_ext.schedule import Schedule
from pgmpy_em_ext.types import Chains, ExpectedStatistics, FloatArray, IntArray

MAX_MEANS = 16
"""Means over equally many steps that are kept; when there are more, pairs of them are joined."""

ENOUGH_MEANS = 12
"""Means that it takes to tell drift from noise: three parts of four."""

FLOOR = 1e-3
"""Part of a draw's weight that a count keeps which no draw has met, lest by chance it becomes zero, and stays so."""

FINAL_DRAWS = 20
"""Draws of the E-step at the end, by which stuck chains are told."""

N_BATCHES = 5
"""Batches from which the error of a step is told, while draws are added; amounts are multiples of it."""

LARGEST_RATE = 0.95
"""EM's rate of convergence is not believed to be larger than this: so few steps cannot tell."""

DRIFT = 0.25
"""Part of the precision that a stretch may still move."""

SURE = 2.0
"""Standard deviations beyond which movement in one direction is more than noise."""


TAIL = ("statistics", "target", "target^2", "point", "point^2", "target*point", "target*last", "last")
"""What is added up over the steps after the drift, but for the last row: smoothed statistics; the EM step's
target; the point that it starts from; the target before."""


class NoisyMemory(NamedTuple):
    """What a run needs to go on, bit for bit.

    Attributes
    ----------
    seed, step : int
        Of its chains.
    states : int ndarray of shape (n_chains, n_nodes)
        Of its chains.
    statistics : float ndarray of shape (n_cells,)
        Expected counts, smoothed as the schedule says.
    n_steady : int
        Steps since the parameters have ceased to drift; 0 before.
    sums : float ndarray of shape (len(`TAIL`), n_cells)
        Over these steps; see `TAIL`.
    reference : float ndarray of shape (n_cells,)
        Parameters when they began, from which the sums count.
    resolution : float ndarray of shape (n_cells,)
        See `SamplingNoise`.
    means : float ndarray of shape (at most `MAX_MEANS`, n_cells)
        Of the E-steps' counts over ``length`` steps each.
    length : int
        See there.
    partial : float ndarray of shape (n_cells,)
        Sum over the steps of the mean that is not complete.
    n_partial : int
        How many these are.
    batches : float ndarray of shape (`N_BATCHES` or 0, n_cells)
        Of the draws for the current parameters, where steps are made when they are sure.
    n_drawn : int
        How many draws these are.
    gains : float ndarray of shape (at most 4,)
        What the last steps have gained, in nats.
    loss : float
        What noise costs the estimate, in nats; infinite while it is not known.
    is_done : bool
        Whether the run has met its precision.
    """

    seed: int
    step: int
    states: IntArray
    statistics: FloatArray
    n_steady: int
    sums: FloatArray
    reference: FloatArray
    resolution: FloatArray
    means: FloatArray
    length: int
    partial: FloatArray
    n_partial: int
    batches: FloatArray
    n_drawn: int
    gains: FloatArray
    loss: float
    is_done: bool

    @property
    def chains(self) -> Chains:
        """Where the random draws stand."""
        return Chains(int(self.seed), int(self.step), self.states)

    def follow(self, chains: Chains) -> "NoisyMemory":
        """Note where the random draws stand now."""
        return self._replace(step=chains.step, states=chains.states)


class Estimate(NamedTuple):
    """What the steps after the drift say.

    Attributes
    ----------
    parameters : float ndarray of shape (n_cells,)
        The estimate.
    errors : float ndarray of shape (n_cells,)
        Monte Carlo standard errors; infinite where they are not known.
    loss : float
        What the errors cost the objective, in nats.
    rate : float
        EM's rate of convergence.
    """

    parameters: FloatArray
    errors: FloatArray
    loss: float
    rate: float


@dataclass(frozen=True)
class StochasticEM:
    """The method of a run whose E-steps are sampled, as `restarts` needs it.

    Parameters
    ----------
    schedule : Schedule
        How E-steps are averaged.
    """

    schedule: Schedule

    def recall(self, arrays: dict[str, Any]) -> NoisyMemory:
        """Make a memory again from its fields."""
        whole = ("seed", "step", "n_steady", "length", "n_partial", "n_drawn")
        for name in whole:
            arrays[name] = int(arrays[name])
        arrays["loss"], arrays["is_done"] = float(arrays["loss"]), bool(arrays["is_done"])
        return NoisyMemory(**arrays)


Method = Accelerator | StochasticEM
"""How a run goes on from step to step: under an exact engine, and under one that is not."""


def run_stochastic(
    problem: Problem,
    progress: Progress,
    rule: StoppingRule,
    observer: Observer | None,
    method: StochasticEM,
    state: EMState | None = None,
) -> RunResult:
    """Iterate until the noise that is left is small.

    While the parameters drift, each E-step replaces the one before. Means over stretches of
    growing length tell when they drift no more: what the second of three stretches has moved and what
    the third has then point in opposite directions, as they do for pure noise. From there on the
    schedule says how much an E-step counts, and the estimate is the average.

    Parameters
    ----------
    problem, progress, rule, observer, state
        As in `run.run`. A rule that ends a leg of a race leaves the run as it stands; else the
        result's state is the average, with a log-likelihood that more draws have made precise.
    method : StochasticEM
        The schedule.

    References
    ----------
    Wei & Tanner (1990), J. Am. Stat. Assoc. 85(411). Pflug (1990), Monte Carlo Methods and Appl. (the test
    for drift). Polyak & Juditsky (1992), SIAM J. Control Optim. 30(4) (averages).
    """
    is_new = state is None
    if state is None:
        state, progress = _begin(problem, progress, rule, method)
    advance = _advance_surely if method.schedule.get_tag("ascends") else _advance_averaging
    while True:
        status = _status(rule, progress)
        is_stopped = observer is not None and is_new and observer(state, progress)
        is_new = True
        if is_stopped:
            status = status or "callback"
        if status is not None:
            break
        state, progress = advance(problem, state, progress, rule, method.schedule)
    if rule.is_leg:
        return RunResult(state, progress, status, None)
    return _finish(problem, state, progress, status)


def _status(rule: StoppingRule, progress: Progress) -> str | None:
    if progress.memory.is_done and rule.tol > 0:
        return "converged"
    if len(progress.history) > rule.max_iter:
        return "max_iter"
    if rule.deadline is not None and time.monotonic() >= rule.deadline:
        return "max_time"
    return None


def _begin(problem: Problem, progress: Progress, rule: StoppingRule, method: StochasticEM) -> tuple[EMState, Progress]:
    """Evaluate the start, or take up what an interrupted run has left."""
    parameters = progress.parameters
    log_priors = problem.family.log_priors(parameters)
    if progress.memory is not None:
        log_likelihood = progress.history[-1] - float(log_priors.sum())
        statistics = ExpectedStatistics(progress.memory.statistics, log_likelihood)
        progress = progress._replace(history=list(progress.history), gaps=list(progress.gaps))
        return EMState(parameters, statistics, log_priors), progress
    n_samples = _at_least(problem, N_BATCHES) if method.schedule.get_tag("ascends") else None
    seed = int(np.random.SeedSequence(progress.seed).generate_state(1, np.uint64)[0] >> np.uint64(1))  # fits any file
    chains = problem.engine.start_chains(problem.plan, seed)
    statistics, chains = _draw(problem, parameters, chains, n_samples)
    state = EMState(parameters, statistics, log_priors)
    nothing = np.zeros((0, len(parameters)))
    memory = NoisyMemory(
        seed=chains.seed,
        step=chains.step,
        states=chains.states,
        statistics=statistics.counts,
        n_steady=0,
        sums=np.zeros((len(TAIL), len(parameters))),
        reference=parameters,
        resolution=_resolution(statistics),
        means=nothing,
        length=1,
        partial=np.zeros_like(parameters),
        n_partial=0,
        batches=nothing if n_samples is None else _batches(statistics),
        n_drawn=n_samples or 0,
        gains=np.zeros(0),
        loss=np.inf,
        is_done=False,
    )
    progress = progress._replace(memory=memory, history=[], gaps=[])
    return state, _note(problem, progress, state, memory, rule)


def _at_least(problem: Problem, n_samples: int) -> int:
    """Choose how much to draw: as much as the engine draws anyway, in whole batches."""
    usual = int(getattr(problem.engine, "n_samples", 1))
    return max(n_samples, -(-usual // N_BATCHES) * N_BATCHES)


def _draw(
    problem: Problem, parameters: FloatArray, chains: Chains, n_samples: int | None
) -> tuple[ExpectedStatistics, Chains]:
    """Make an E-step; counts that no draw has met keep something, where that is by chance."""
    statistics, chains = problem.engine.draw_statistics(problem.plan, parameters, chains, n_samples)
    if statistics.noise is None:
        return statistics, chains
    # No column keeps more than a part of what it holds: one draw of a heavy row would outweigh a light row's column.
    floor = FLOOR * np.minimum(statistics.noise.resolution, problem.family.column_totals(statistics.counts))
    counts = np.where((parameters > 0) & (statistics.counts == 0), floor, statistics.counts)
    return statistics._replace(counts=counts), chains


def _note(problem: Problem, progress: Progress, state: EMState, memory: NoisyMemory, rule: StoppingRule) -> Progress:
    """Note a step: its objective, what noise costs, and the run's memory."""
    progress.history.append(state.objective)  # type: ignore[attr-defined]
    progress.gaps.append(float(memory.loss))  # type: ignore[attr-defined]
    blocks = whole_block(len(problem.family.fixed_families()), len(state.parameters))
    known = start_blocks(blocks, np.array([state.objective, 0.0]), np.zeros(2, dtype=bool), rule.tol)
    return progress._replace(
        parameters=state.parameters,
        n_e_steps=progress.n_e_steps + 1,
        memory=memory,
        blocks=known._replace(gap=np.array([memory.loss])),
    )


def _precision(problem: Problem, rule: StoppingRule, schedule: Schedule) -> float:
    """Say what noise may cost at the end, in nats."""
    return max(rule.tol, schedule.precision * problem.family.n_free / 2)


def _advance_averaging(
    problem: Problem, state: EMState, progress: Progress, rule: StoppingRule, schedule: Schedule
) -> tuple[EMState, Progress]:
    """Maximise, draw, and let the draw count for as much as the schedule says."""
    memory: NoisyMemory = progress.memory
    parameters = problem.family.maximize(memory.statistics, state.parameters)
    statistics, chains = _draw(problem, parameters, memory.chains, None)
    n_steady = memory.n_steady + 1 if memory.n_steady else 0
    size = schedule.step_size(n_steady) if n_steady else 1.0
    smooth = memory.statistics + size * (statistics.counts - memory.statistics)
    following = EMState(parameters, statistics, problem.family.log_priors(parameters))
    memory = memory.follow(chains)._replace(statistics=smooth, n_steady=n_steady, resolution=_resolution(statistics))
    if n_steady:
        target = problem.family.linear_step(statistics.counts, parameters, smooth)
        memory = memory._replace(sums=_add_step(memory, target, parameters))
    memory, is_complete = _push(memory, statistics.counts)
    if is_complete and len(memory.means) >= ENOUGH_MEANS:
        objectives = [*progress.history, following.objective][-len(memory.means) * memory.length :]
        memory = _judge(problem, following, memory, objectives, _precision(problem, rule, schedule))
    return following, _note(problem, progress, following, memory, rule)


def _resolution(statistics: ExpectedStatistics) -> FloatArray:
    return np.zeros_like(statistics.counts) if statistics.noise is None else statistics.noise.resolution


def _add_step(memory: NoisyMemory, target: FloatArray, point: FloatArray) -> FloatArray:
    """Add a step to the sums, all parameters counted from the reference, lest digits are lost."""
    target, point = target - memory.reference, point - memory.reference
    last = memory.sums[-1]
    products = [memory.statistics, target, target**2, point, point**2, target * point, target * last]
    return np.vstack([memory.sums[:-1] + products, target[None]])


def _push(memory: NoisyMemory, counts: FloatArray) -> tuple[NoisyMemory, bool]:
    """Add an E-step to the means; says whether a mean has become complete."""
    partial, n_partial = memory.partial + counts, memory.n_partial + 1
    if n_partial < memory.length:
        return memory._replace(partial=partial, n_partial=n_partial), False
    means, length = np.vstack([memory.means, partial / n_partial]), memory.length
    if len(means) == MAX_MEANS:
        means, length = means.reshape(MAX_MEANS // 2, 2, -1).mean(axis=1), 2 * length
    return memory._replace(means=means, length=length, partial=np.zeros_like(partial), n_partial=0), True


def _judge(
    problem: Problem,
    state: EMState,
    memory: NoisyMemory,
    objectives: list[float],
    precision: float,
) -> NoisyMemory:
    """See whether the drift has ended, or the precision is met."""
    if memory.n_steady:
        found = estimate(problem, memory, state.parameters)
        return memory._replace(loss=found.loss, is_done=found.loss <= precision)
    moves = drifts(problem, memory.means, state.parameters, memory.length, DRIFT * precision)
    if moves and rises(np.reshape(objectives, (len(memory.means), -1)).mean(axis=1)):
        return memory
    # From here on averages are taken, and looked at as often as it took to tell noise from drift: chains remember.
    return memory._replace(
        n_steady=1,
        reference=state.parameters,
        means=memory.means[:0],
        partial=np.zeros_like(memory.partial),
        n_partial=0,
    )


def drifts(problem: Problem, means: FloatArray, previous: FloatArray, pace: float, negligible: float) -> bool:
    """Tell a drift from noise, by means over stretches of equal length.

    What the second of three parts has moved and what the third has then point in opposite
    directions if all is noise: their inner product has the expectation of minus the variance of a part,
    here in the metric of the complete-data information. A drift matters if it still gains something: a
    step of EM follows the gradient in that metric, so that what a part has gained is the square of what
    it has moved over the steps that it took.

    Parameters
    ----------
    problem : Problem
        The M-step.
    means : float ndarray of shape (n_means, n_cells)
        Of expected counts.
    previous : float ndarray of shape (n_cells,)
        Parameters of columns without data.
    pace : float
        How many EM steps each mean stands for.
    negligible : float
        Gain of a part that does not matter, in nats.

    References
    ----------
    Pflug (1990), Monte Carlo Methods and Applications in Economics and Finance. Chee & Toulis (2018), AISTATS.
    """
    family, part = problem.family, len(means) // 3
    used = means[len(means) - 3 * part :]
    parameters = np.array([family.maximize(mean, previous) for mean in used]).reshape(3, part, -1)
    metric = family.information(used.mean(axis=0), parameters.mean(axis=(0, 1)))
    first, second, third = parameters.mean(axis=1)
    moved = float((metric * (second - first) * (third - second)).sum())
    noise = metric * parameters.var(axis=1, ddof=1).mean(axis=0) / part
    gain = (float((metric * (third - second) ** 2).sum()) - 2 * float(noise.sum())) / (part * pace)
    return gain > negligible and moved > SURE * np.sqrt(5 * float((noise**2).sum())) - float(noise.sum())


def rises(objectives: FloatArray) -> bool:
    """Tell whether the objective still rises, by its means over stretches of equal length.

    Where the data hardly determines some parameters, they wander without end, and nothing comes of it.
    """
    part = len(objectives) // 3
    parts = objectives[len(objectives) - 3 * part :].reshape(3, part)
    error = np.sqrt(parts[1:].var(axis=1, ddof=1).sum() / part)
    return not parts[2].mean() - parts[1].mean() <= SURE * error


def estimate(problem: Problem, memory: NoisyMemory, previous: FloatArray) -> Estimate:
    """Average the steps after the drift, and say how precise the average is.

    Parameters
    ----------
    problem : Problem
        The M-step.
    memory : NoisyMemory
        Of the run.
    previous : float ndarray of shape (n_cells,)
        Parameters of columns without data.

    Notes
    -----
    Each E-step gives a target t = F(p) + noise for the point p that it was made at. The average over
    n steps has the noise of their mean, amplified by 1 / (1 - r), where r is EM's rate of convergence: F moves
    with p. The regression of t on p, over all parameters together in the metric of the
    complete-data information, estimates r, and what it leaves is the noise; the correlation of neighbouring
    targets tells by how much the chains' memory widens it. What a single draw weighs is added: completions that no
    draw has met leave no trace.

    What the errors cost is half their square in the metric of the observed information, which is 1 - r times
    that of the complete data.
    """
    family, n = problem.family, memory.n_steady - 1
    if n < 2:
        return Estimate(previous, np.full_like(previous, np.inf), np.inf, 0.0)
    statistics, target, squares, point, point_squares, products, following, _ = memory.sums / n
    parameters = family.maximize(statistics, previous)
    metric = family.information(statistics, parameters)
    point_variance = np.maximum(point_squares - point**2, 0.0)
    target_variance = np.maximum(squares - target**2, 0.0)
    covariance = products - target * point
    moved, noise = float(metric @ point_variance), float(metric @ target_variance)
    rate = float(metric @ covariance) / moved if moved > 0 else 0.0
    rate = float(np.clip(rate, 0.0, LARGEST_RATE))
    variance = np.maximum(target_variance - 2 * rate * covariance + rate**2 * point_variance, 0.0)
    common = float(metric @ (following - target**2)) / noise if noise > 0 else 0.0
    common = float(np.clip(common, 0.0, LARGEST_RATE))
    single = _share_of_one_draw(problem, memory.resolution / n, statistics)
    square = variance / (n - 1) * (1 + common) / (1 - common) / (1 - rate) ** 2 + single**2
    square = np.where(metric > 0, square, 0.0)  # what is fixed, or zero for good, is known
    return Estimate(parameters, np.sqrt(square), float(metric @ square) / 2 * (1 - rate), rate)


def _share_of_one_draw(problem: Problem, resolution: FloatArray, statistics: FloatArray) -> FloatArray:
    """Tell by how much a single draw can move each entry: its weight beside that of the column, at most all of it."""
    total = problem.family.column_totals(statistics)
    return np.divide(resolution, total, out=np.ones_like(total), where=total > resolution)


def _batches(statistics: ExpectedStatistics) -> FloatArray:
    """Join the batches of an E-step to `N_BATCHES`."""
    noise = statistics.noise
    if noise is None or len(noise.batch_counts) % N_BATCHES:
        raise ValueError(
            "schedule='ascent' needs an e_step that tells the error of its counts, by batches of draws. "
            "Use schedule='saem' or 'fixed'."
        )
    return noise.batch_counts.reshape(N_BATCHES, -1, noise.batch_counts.shape[1]).mean(axis=1)


def _advance_surely(
    problem: Problem, state: EMState, progress: Progress, rule: StoppingRule, schedule: Any
) -> tuple[EMState, Progress]:
    """Make an EM step if it is surely one upwards; else draw a third more for the current parameters."""
    memory: NoisyMemory = progress.memory
    family = problem.family
    gain, error = _gain(problem, memory, state.parameters)
    loss = max(gain + schedule.z * error, 0.0) + _last_step(problem, memory, state.parameters).loss
    memory = memory._replace(loss=loss, is_done=loss <= _precision(problem, rule, schedule))
    if gain > schedule.z * error:
        target = family.maximize(memory.statistics, state.parameters)
        statistics, chains = _draw(problem, target, memory.chains, memory.n_drawn)
        state = EMState(target, statistics, family.log_priors(target))
        memory = memory.follow(chains)._replace(
            statistics=statistics.counts,
            resolution=_resolution(statistics),
            batches=_batches(statistics),
            gains=np.append(memory.gains, gain)[-4:] if np.isfinite(gain) else memory.gains,
        )
    else:
        more = N_BATCHES * -(-memory.n_drawn // (3 * N_BATCHES))
        statistics, chains = _draw(problem, state.parameters, memory.chains, more)
        old, new = memory.n_drawn, memory.n_drawn + more
        pooled = (old * memory.statistics + more * statistics.counts) / new
        memory = memory.follow(chains)._replace(
            statistics=pooled,
            resolution=_resolution(statistics) * more / new,
            batches=(old * memory.batches + more * _batches(statistics)) / new,
            n_drawn=new,
        )
        state = state._replace(statistics=statistics._replace(counts=pooled))
    return state, _note(problem, progress, state, memory, rule)


def _gain(problem: Problem, memory: NoisyMemory, parameters: FloatArray) -> tuple[float, float]:
    """Compute what a step gains in expected complete-data log-likelihood plus log prior, and its standard error.

    Each batch of draws judges the step that the others make: judged by the draws that it was made
    from, a step always gains, the more the more parameters there are.
    """
    family, gains = problem.family, np.empty(N_BATCHES)
    before = family.log_priors(parameters).sum()
    if np.isneginf(before):  # a start of prior density zero: whatever leaves it gains
        return np.inf, 0.0
    for number in range(N_BATCHES):
        others = (memory.batches.sum(axis=0) - memory.batches[number]) / (N_BATCHES - 1)
        target = family.maximize(np.maximum(others, FLOOR * memory.resolution), parameters)
        moved = (target > 0) & (parameters > 0)
        ratio = np.log(np.where(moved, target, 1.0) / np.where(moved, parameters, 1.0))
        with np.errstate(invalid="ignore"):
            prior = family.log_priors(target).sum() - before
        gains[number] = memory.batches[number] @ ratio + (prior if np.isfinite(prior) else 0.0)
    return float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(N_BATCHES))


def _last_step(problem: Problem, memory: NoisyMemory, parameters: FloatArray) -> Estimate:
    """Say how precise the end of a run is that was sure of its steps.

    The error is that of one step, widened by what earlier steps' errors leave: with rate r of EM, by
    1 / (1 - r^2) in variance. Gains shrink with the square of the rate.
    """
    family = problem.family
    steps = [family.linear_step(batch, parameters, memory.statistics) for batch in memory.batches]
    ratios = memory.gains[1:] / np.maximum(memory.gains[:-1], np.finfo(float).tiny)
    rate_square = float(np.clip(np.median(ratios), 0.0, LARGEST_RATE)) if len(ratios) else 0.0
    single = _share_of_one_draw(problem, memory.resolution, memory.statistics)
    square = np.var(steps, axis=0, ddof=1) / N_BATCHES / (1 - rate_square) + single**2
    metric = family.information(memory.statistics, parameters)
    square = np.where(metric > 0, square, 0.0)  # what is fixed, or zero for good, is known
    rate = float(np.sqrt(rate_square))
    return Estimate(parameters, np.sqrt(square), float(metric @ square) / 2 * (1 - rate), rate)


def _finish(problem: Problem, state: EMState, progress: Progress, status: str) -> RunResult:
    """Put the estimate in the place of the last step, and look at it closely, if there is time."""
    memory: NoisyMemory = progress.memory
    if len(memory.batches):
        found, statistics = _last_step(problem, memory, state.parameters), memory.statistics
    elif memory.n_steady > 2:
        found, statistics = estimate(problem, memory, state.parameters), memory.sums[0] / (memory.n_steady - 1)
    else:  # the last half of what there is
        half = memory.means[len(memory.means) // 2 :]
        statistics = half.mean(axis=0) if len(half) else memory.statistics
        found = estimate(problem, memory, state.parameters)
        if len(progress.history) > 1:
            found = found._replace(parameters=problem.family.maximize(statistics, state.parameters))
    fresh, chains = problem.engine.draw_statistics(
        problem.plan, found.parameters, memory.chains, None if status == "max_time" else _at_least(problem, FINAL_DRAWS)
    )
    log_likelihood, noise = fresh.log_likelihood, fresh.noise
    if status != "max_time":
        log_likelihood, error = problem.engine.refine_log_likelihood(problem.plan, found.parameters, chains)
        noise = None if noise is None else noise._replace(log_likelihood_error=error)
    counts = statistics if len(progress.history) > 1 else fresh.counts
    end = EMState(
        found.parameters,
        ExpectedStatistics(counts, log_likelihood, noise=noise),
        problem.family.log_priors(found.parameters),
    )
    assert progress.blocks is not None  # since the run has begun
    progress = progress._replace(
        parameters=end.parameters,
        history=[*progress.history[:-1], end.objective],
        gaps=[*progress.gaps[:-1], found.loss],
        n_e_steps=progress.n_e_steps + 1,
        blocks=progress.blocks._replace(recent=np.array([[end.objective]]), gap=np.array([found.loss])),
    )
    return RunResult(end, progress, status, None, errors=found.errors, noisy_rate=found.rate)
