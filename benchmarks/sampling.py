"""Compare sampled E-steps by the time that one takes to bring its counts close to the exact ones.

At the true parameters, on rows where exact inference tells the right answer. The engines of a setting take turns in
one process, seed by seed, so that whatever else the machine does meets them all alike; they are timed by processor
time, with one thread.
"""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import common
import numpy as np

from pgmpy_em_ext import ApproxInferenceEStep, EStep, ExactEStep, GibbsEStep, LikelihoodWeightingEStep, Network
from pgmpy_em_ext.data.reduction import reduce_rows, to_evidence
from pgmpy_em_ext.data.rows import EncodedData, Evidence
from pgmpy_em_ext.exceptions import DegenerateWeightsError
from pgmpy_em_ext.types import FloatArray

TARGET = 0.02
"""Records that the counts may be off, in the root mean square over all cells."""

SETTINGS = [("alarm", 300, 0.2), ("insurance", 300, 0.2), ("insurance", 300, 0.5)]
SETTING_FOR_PGMPY = ("alarm", 30, 0.2)
SEEDS, FULL_SEEDS = 5, 20
REPEATS = 20

REFERENCE = "blocked Gibbs, 64"
SINGLE_SITE, STATES = "single-site Gibbs", "its states counted"
BLOCKS = {"blocked Gibbs, 512": 512, REFERENCE: 64, "blocked Gibbs, 8": 8, SINGLE_SITE: 1}
CHAIN_DRAWS, WEIGHTED_DRAWS, PGMPY_DRAWS = (4, 32, 128), (250, 1000, 4000), (500, 2000)


class Contender(NamedTuple):
    """An engine, its plan, and the numbers of draws that it is measured at."""

    engine: EStep
    plan: Any
    draws: tuple[int, ...]


class Trials(NamedTuple):
    """What a contender did: seconds and errors of shape (n_seeds, n_sizes) and (n_seeds, n_sizes, n_cells).

    Errors are in records, NaN where the engine refused its draws.
    """

    seconds: FloatArray
    errors: FloatArray


def make_evidence(example: common.Example, rows: int, share: float) -> Evidence:
    """Draw rows with holes."""
    codes = common.punch_holes(common.draw_codes(example, rows), share)
    return to_evidence(reduce_rows(EncodedData(codes, np.ones(rows), np.arange(rows))))


def make_contenders(network: Network, evidence: Evidence, beside_pgmpy: bool) -> dict[str, Contender]:
    """Prepare all engines. Beside pgmpy's sampler, which counts barren variables, all of them do."""
    pruned = {"prune_barren": not beside_pgmpy}
    engines: dict[str, tuple[EStep, tuple[int, ...]]] = {
        label: (GibbsEStep(max_table_size=size, **pruned), CHAIN_DRAWS) for label, size in BLOCKS.items()
    }
    # The constructor's n_samples is the least that this engine draws.
    engines["likelihood weighting"] = LikelihoodWeightingEStep(2, max_table_size=1, **pruned), WEIGHTED_DRAWS
    if beside_pgmpy:
        engines["pgmpy's sampler"] = ApproxInferenceEStep(), PGMPY_DRAWS
    return {
        label: Contender(engine, engine.prepare(network, evidence), draws) for label, (engine, draws) in engines.items()
    }


def draw_counts(contender: Contender, parameters: FloatArray, seed: int, n_draws: int) -> FloatArray | None:
    """Make one E-step from new chains; None where the engine refuses its draws."""
    engine, plan, _ = contender
    try:
        return engine.draw_statistics(plan, parameters, engine.start_chains(plan, seed), n_draws)[0].counts
    except DegenerateWeightsError:
        return None


def try_out(contender: Contender, parameters: FloatArray, exact: FloatArray, seed: int) -> Trials:
    """Make an E-step of each number of draws."""
    seconds, errors = [], []
    for n_draws in contender.draws:
        work = partial(draw_counts, contender, parameters, seed, n_draws)
        taken, counts = common.clock(work, timer=time.process_time)
        seconds.append(taken)
        errors.append(np.full(len(exact), np.nan) if counts is None else counts - exact)
    return Trials(np.array(seconds), np.array(errors))


def completed_counts(contender: Contender, parameters: FloatArray, seed: int) -> Iterator[FloatArray]:
    """Count the states of chains, sweep after sweep, where the engine counts expectations.

    Yields
    ------
    float ndarray of shape (n_cells,)
        Counts of the families of all sampled components, in records, of one completion.
    """
    engine, plan, _ = contender
    network, tasks = plan.network, plan.tasks
    owner = np.repeat(np.arange(tasks.n_tasks), np.diff(tasks.family_first))
    places = [owner[tasks.family == node] for node in range(network.n_nodes)]
    chains = engine.start_chains(plan, seed)
    while True:
        _, chains = engine.draw_statistics(plan, parameters, chains, 1)
        counts = np.zeros(network.n_cells)
        for node, of_node in enumerate(places):
            cells = network.cells(node, chains.states[tasks.chain[of_node]])
            counts += np.bincount(cells, tasks.weight[of_node], network.n_cells)
        yield counts


def count_states(contender: Contender, parameters: FloatArray, exact: FloatArray, seed: int) -> FloatArray:
    """Give the errors of counts of states; those of fewer draws are of the first part of the same chains."""
    engine, plan, sizes = contender
    known = engine.exact_engine().expected_statistics(plan.exact, parameters).counts
    hasty = contender._replace(engine=engine.clone().set_params(n_likelihood=2))
    completions = completed_counts(hasty, parameters, seed)
    total, done, errors = np.zeros(len(exact)), 0, []
    for n_draws in sizes:
        total += sum(next(completions) for _ in range(n_draws - done))
        done = n_draws
        errors.append(known + total / n_draws - exact)
    return np.array(errors)


def seconds_to(trials: Trials, draws: tuple[int, ...]) -> float | None:
    """Tell the time to the target: the error falls as one over the root of the draws, the time is linear in them.

    Where an engine refuses few draws, it is at least the time of as many as it accepted from every seed.
    """
    seconds, error, accepted = np.median(trials.seconds, axis=0), root_mean_square(trials), is_accepted(trials)
    if not accepted.any():
        return None
    needed = draws[-1] * (error[-1] / TARGET) ** 2
    needed = max(needed, 1 if accepted.all() else draws[int(np.argmax(accepted))])
    each = (seconds[-1] - seconds[0]) / (draws[-1] - draws[0])
    return float(max(seconds[0] - each * draws[0], 0.0) + each * needed)


def root_mean_square(trials: Trials) -> FloatArray:
    """Average over cells and the seeds that were not refused, for each number of draws; NaN where all were."""
    squares = (trials.errors**2).mean(axis=2)
    n = np.isfinite(squares).sum(axis=0)
    return np.sqrt(np.divide(np.nansum(squares, axis=0), n, out=np.full(len(n), np.nan), where=n > 0))


def is_accepted(trials: Trials) -> np.ndarray:
    """Mark the numbers of draws that were refused from no seed."""
    return np.isfinite(trials.errors).all(axis=(0, 2))


def fit_slope(draws: tuple[int, ...], error: FloatArray) -> float | None:
    """Fit the power of the number of draws by which the error changes; None where it is not two errors."""
    usable = np.isfinite(error) & (error > 0)
    if usable.sum() < 2:
        return None
    return float(np.polyfit(np.log(np.array(draws)[usable]), np.log(error[usable]), 1)[0])


def summarize(trials: Trials, draws: tuple[int, ...]) -> dict[str, Any]:
    """Make a contender's record.

    ``mean_rms`` is the error of the mean over seeds, of the most draws: the root of the number of seeds times less than
    ``rms`` where there is no bias.
    """
    error = root_mean_square(trials)
    refused = np.isnan(trials.errors).any(axis=2).sum(axis=0)
    return {
        "draws": list(draws),
        "ms": (np.median(trials.seconds, axis=0) * 1e3).tolist(),
        "rms": [value if np.isfinite(value) else None for value in error.tolist()],
        "refused": refused.tolist(),
        "slope": fit_slope(draws, error),
        "mean_rms": float(np.sqrt((trials.errors[:, -1].mean(axis=0) ** 2).mean())) if not refused[-1] else None,
        "to_target_s": seconds_to(trials, draws),
    }


def run_all(
    contenders: dict[str, Contender], parameters: FloatArray, exact: FloatArray, seeds: int
) -> dict[str, Trials]:
    """Let all take turns, after a first E-step that is not timed.

    To count states costs about as much as to count expectations, which is a small part of a sweep: where the states of
    the single-site chains are counted, the seconds are those of the same sweeps with expectations.
    """
    found: dict[str, list[Trials]] = {}
    for contender in contenders.values():
        draw_counts(contender, parameters, 0, contender.draws[0])
    for seed in range(seeds):
        for label, contender in contenders.items():
            trials = try_out(contender, parameters, exact, seed)
            found.setdefault(label, []).append(trials)
            if label == SINGLE_SITE:
                errors = count_states(contender, parameters, exact, seed)
                found.setdefault(STATES, []).append(trials._replace(errors=errors))
    return {label: Trials(*map(np.array, zip(*each, strict=True))) for label, each in found.items()}


def n_sampled(label: str, contender: Contender) -> int | None:
    """Count the components that are left to chance; None for pgmpy's sampler, which does not tell them apart."""
    if isinstance(contender.engine, ApproxInferenceEStep):
        return None
    tasks = contender.plan.tasks
    if label == STATES or isinstance(contender.engine, LikelihoodWeightingEStep):
        return tasks.n_tasks
    return int((np.diff(tasks.block_first) > 1).sum())


def measure(name: str, rows: int, share: float, seeds: int, beside_pgmpy: bool) -> dict[str, Any]:
    """Measure all engines on the same rows."""
    example = common.load(name)
    parameters, evidence = example.parameters, make_evidence(example, rows, share)
    engine = ExactEStep(prune_barren=not beside_pgmpy)
    plan = engine.prepare(example.network, evidence)
    exact = engine.expected_statistics(plan, parameters).counts
    exact_s, _ = common.clock(lambda: engine.expected_statistics(plan, parameters), REPEATS, time.process_time)
    contenders = make_contenders(example.network, evidence, beside_pgmpy)
    lines = [{"engine": "exact", "sampled": 0, "ms": [exact_s * 1e3], "rms": [0.0], "to_target_s": exact_s}]
    for label, trials in run_all(contenders, parameters, exact, seeds).items():
        contender = contenders[SINGLE_SITE if label == STATES else label]
        sampled = n_sampled(label, contender)
        lines.append({"engine": label, "sampled": sampled, **summarize(trials, contender.draws)})
    reference = next(line["to_target_s"] for line in lines if line["engine"] == REFERENCE)
    for line in lines:
        line["ratio"] = line["to_target_s"] and line["to_target_s"] / reference
    return {
        "target": TARGET,
        "cells": len(exact),
        "largest_table": contenders[REFERENCE].plan.largest_table,
        "engines": lines,
    }


def main() -> None:
    """Measure all settings."""
    options = common.arguments(__doc__)
    seeds = FULL_SEEDS if options.full else SEEDS
    settings = [(*setting, False) for setting in SETTINGS] + [(*SETTING_FOR_PGMPY, True)]
    records = [
        common.isolated(measure, name=name, rows=rows, share=share, seeds=seeds, beside_pgmpy=beside_pgmpy)
        for name, rows, share, beside_pgmpy in settings
    ]
    common.save(__file__, options, settings=records)


if __name__ == "__main__":
    main()
