"""Time the first fit of a fresh process, where numba's cache is empty and where it is filled.

The process is `first_fit.py`, which imports nothing of these benchmarks.
"""

import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import common

NETWORK = "alarm"
N_ROWS = 10_000
REPEATS = 3


def run_process(problem: Path, cache: Path, threads: str) -> dict[str, float]:
    """Start a process with this folder as numba's cache, and let it fit."""
    command = [sys.executable, str(common.HERE / "first_fit.py"), str(problem), str(common.THREADS[threads])]
    with common.blas_threads(threads):
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(threads: str) -> list[dict[str, float]]:
    """Take medians over pairs of processes: the first finds an empty cache, the second what the first left there."""
    example, table = common.simulate(NETWORK, N_ROWS)
    pairs = []
    with tempfile.TemporaryDirectory() as folder:
        problem = Path(folder) / "problem.pickle"
        states = common.state_names(example.network)
        problem.write_bytes(pickle.dumps((common.bare_model(example.network), table, states)))
        for number in range(REPEATS):
            cache = Path(folder) / f"cache {number}"
            pairs.append([run_process(problem, cache, threads) for _ in ("cold", "warm")])
            cached = sum(path.is_file() for path in cache.rglob("*"))
    records = []
    for name, runs in zip(("cold", "warm"), zip(*pairs, strict=True), strict=True):
        medians = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        records.append({"cache": name, "threads": threads, "rows": N_ROWS, "cached_files": cached, **medians})
        print(" ", records[-1], flush=True)
    return records


def main() -> None:
    """Measure with one thread and with all."""
    options = common.arguments(__doc__)
    common.save(__file__, options, starts=[record for threads in common.THREADS for record in measure(threads)])


if __name__ == "__main__":
    main()
