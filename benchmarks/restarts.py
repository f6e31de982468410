"""Compare ways to run several starts: how high they come, and how many E-steps they take.

On those problems of ``latent_problems.py`` that have several maxima. "default" is what a fit does, by what an E-step
costs; "patient" what it does where E-steps are cheap, "halving" where they are not; "plain" runs every start to its
end.
"""

import time
from unittest.mock import patch

import acceleration
import common
import numpy as np

from pgmpy_em_ext.em.acceleration import ACCELERATIONS
from pgmpy_em_ext.em.exact import ExactEM
from pgmpy_em_ext.prepare.tables import make_starts
from pgmpy_em_ext.restarts import best_of as restarts
from pgmpy_em_ext.restarts.best_of import choose_pace
from pgmpy_em_ext.restarts.race import HALVING, PATIENT

PROBLEMS = ["child, 3 hidden", "alarm, 4 hidden", "latent tree", "latent chain", "big five", "asia, 3 hidden"]
PACES = {"patient": PATIENT, "halving": HALVING, "plain": PATIENT._replace(joins=False, leaves_low=False)}
WAYS: dict[str, list[int | None]] = {"default": [None], "patient": [None], "halving": [4, 16, 32], "plain": [1, 4, 16]}
QUICK_SEEDS, FULL_SEEDS = 10, 40


def measure(problem: str, way: str, n_init: int | None, n_seeds: int) -> dict[str, float]:
    """Fit from many seeds."""
    prepared_problem, prepared, _ = acceleration.build(problem, 1)
    stop = acceleration.rule(prepared, 1e-3, True)
    objectives, n_e_steps, seconds = [], [], []
    with patch.object(restarts, "choose_pace", lambda problem: PACES.get(way) or choose_pace(problem)):
        for seed in range(n_seeds):
            begin = time.perf_counter()
            starts = make_starts(prepared, seed, n_init)
            best, records = restarts.best_of(prepared_problem, starts, stop, ExactEM(ACCELERATIONS["auto"]))
            seconds.append(time.perf_counter() - begin)
            objectives.append(best.state.objective)
            n_e_steps.append(sum(record.n_e_steps for record in records.values()))
    return {
        "e_steps": float(np.mean(n_e_steps)),
        "seconds": float(np.median(seconds)),
        "objective": float(np.mean(objectives)),
        "highest": float(np.max(objectives)),
    }


def main() -> None:
    """Measure all ways with several numbers of starts."""
    options = common.arguments(__doc__)
    n_seeds = FULL_SEEDS if options.full else QUICK_SEEDS
    records = [
        common.isolated(measure, problem=problem, way=way, n_init=n_init, n_seeds=n_seeds)
        for problem in PROBLEMS
        for way, counts in WAYS.items()
        for n_init in counts
    ]
    common.save(__file__, options, fits=records)


if __name__ == "__main__":
    main()
