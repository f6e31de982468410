"""Time EM by StepMix and by `WeightedEM` on a latent class model with holes, from the same parameters.

StepMix draws its own start; its parameters after one step are where both begin to be timed.
"""

import common
import numpy as np
import pandas as pd
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DiscreteBayesianNetwork

N_ROWS, N_ITEMS, N_CLASSES = 100_000, 10, 3
MISSING_SHARE = 0.1
STEPS = 21
REPEATS = 3
ITEMS = [f"item {number}" for number in range(N_ITEMS)]


def draw_answers(rows: int, seed: int = 0) -> np.ndarray:
    """Draw binary answers of three classes, NaN where missing."""
    rng = np.random.default_rng(seed)
    chance = rng.uniform(0.1, 0.9, (N_CLASSES, N_ITEMS))
    kinds = rng.choice(N_CLASSES, size=rows, p=[0.5, 0.3, 0.2])
    answers = (rng.random((rows, N_ITEMS)) < chance[kinds]).astype(float)
    answers[rng.random(answers.shape) < MISSING_SHARE] = np.nan
    return answers


def to_cpds(mixture) -> dict[str, TabularCPD]:
    """Read StepMix's parameters as CPDs of a class variable and its items."""
    names = {"class": list(range(N_CLASSES))}
    cpds = {"class": TabularCPD("class", N_CLASSES, mixture.weights_[:, None], state_names=names)}
    yes = np.asarray(mixture.get_parameters()["measurement"]["pis"])  # a row for each class
    for item, chance in zip(ITEMS, yes.T, strict=True):
        members = {item: [0, 1], **names}
        cpds[item] = TabularCPD(item, 2, [1 - chance, chance], ["class"], [N_CLASSES], state_names=members)
    return cpds


def run_stepmix(answers: np.ndarray, **arguments):
    """Fit StepMix once."""
    from stepmix.stepmix import StepMix

    mixture = StepMix(N_CLASSES, measurement="binary_nan", n_init=1, random_state=0, progress_bar=0, **arguments)
    return mixture.fit(answers)


def measure(rows: int, threads: str) -> dict[str, float]:
    """Time one iteration and whole fits."""
    answers = draw_answers(rows)
    table = pd.DataFrame(answers, columns=ITEMS).astype("Int8")
    model = DiscreteBayesianNetwork([("class", item) for item in ITEMS], latents={"class"})
    states = {"class": list(range(N_CLASSES)), **{item: [0, 1] for item in ITEMS}}
    n_jobs = common.THREADS[threads]
    timer = common.peer_timer(threads)
    first_s, first = common.clock(lambda: run_stepmix(answers, max_iter=1, abs_tol=0), REPEATS, timer)
    with common.peak_memory() as their_memory:
        longer_s, longer = common.clock(lambda: run_stepmix(answers, max_iter=STEPS, abs_tol=0), REPEATS, timer)
    whole_s, whole = common.clock(lambda: run_stepmix(answers), 1, timer)
    start = to_cpds(first)
    common_arguments = {"init_cpds": start, "n_jobs": n_jobs}
    with common.peak_memory() as our_memory:
        ours = common.time_fit(model, table, states, **common_arguments, max_iter=STEPS - 1, **common.STEP_BY_STEP)
    our_whole = common.time_fit(model, table, states, **common_arguments)
    theirs_ms = (longer_s - first_s) / (STEPS - 1) * 1e3
    return {
        "distinct_rows": len(table.drop_duplicates()),
        "theirs_ms": theirs_ms,
        "ours_ms": ours["iteration_ms"],
        "ratio": theirs_ms / ours["iteration_ms"],
        "steps_compared": STEPS - 1,
        "theirs_log_likelihood": common.score(model, to_cpds(longer).values(), table),
        "ours_log_likelihood": ours["log_likelihood"],
        "theirs_work_mb": their_memory["work_mb"],
        "ours_work_mb": our_memory["work_mb"],
        "theirs_whole_s": whole_s,
        "theirs_whole_iterations": whole.n_iter_,
        "theirs_whole_log_likelihood": common.score(model, to_cpds(whole).values(), table),
        "ours_whole_s": our_whole["fit_s"],
        "ours_whole_iterations": our_whole["n_iter"],
        "ours_whole_log_likelihood": our_whole["log_likelihood"],
        "whole_ratio": whole_s / our_whole["fit_s"],
    }


def main() -> None:
    """Measure with one thread and with all."""
    options = common.arguments(__doc__)
    common.require("stepmix", "StepMix")
    records = [common.isolated(measure, rows=N_ROWS, threads=threads) for threads in common.THREADS]
    common.save(__file__, options, mixture=records)


if __name__ == "__main__":
    main()
