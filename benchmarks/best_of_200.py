"""Find the best of 200 plain starts of random problems with latent variables, for the campaign to compare with.

Writes ``tests/best_of_200.json``: for each kind of problem and seed of ``tests/hard_problems.py`` the highest
objective. Starts are of every kind that the estimator knows, and none is dropped. Some hours for all; what is in the
file is kept.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
OUTPUT = TESTS / "best_of_200.json"
STARTS = {
    "discrete": {"random": 160, "near_uniform": 40},
    "mixture": {"kmeans++": 70, "random_from_data": 90, "random": 40},
    "mixed": {"kmeans++": 60, "random_from_data": 60, "lines": 60, "random": 20},
}


def find_best(kind: str, seed: int) -> float:
    """Fit from all starts, and give the highest objective in nats."""
    from hard_problems import KINDS

    problem = KINDS[kind](seed)
    fits = [problem.fit(seed=10_000, n_init=number, init_cpds=start) for start, number in STARTS[kind].items()]
    return max(fit.objective_ for fit in fits)


def main() -> None:
    """Add the problems that are not in the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=200, help="problems of each kind")
    options = parser.parse_args()
    sys.path.insert(0, str(TESTS))
    warnings.simplefilter("ignore")
    known = json.loads(OUTPUT.read_text(encoding="utf-8")) if OUTPUT.exists() else {}
    for seed in range(options.problems):
        for kind in STARTS:
            if str(seed) not in known.setdefault(kind, {}):
                known[kind][str(seed)] = round(find_best(kind, seed), 4)
                OUTPUT.write_text(json.dumps(known, indent=0) + "\n", encoding="utf-8")
                print(kind, seed, known[kind][str(seed)], flush=True)


if __name__ == "__main__":
    main()
