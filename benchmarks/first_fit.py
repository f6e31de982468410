"""Import the package, fit twice, and print the times as JSON; `cold_start.py` starts this in a fresh process.

Arguments: a pickle of model, table and states; the number of threads.
"""

import json
import pickle
import sys
import time
import warnings
from pathlib import Path

warnings.simplefilter("ignore")


def main(problem: str, n_jobs: str) -> None:
    """Time both imports and both fits, in seconds."""
    moments = [time.perf_counter()]
    import pgmpy.models  # noqa: F401

    moments.append(time.perf_counter())
    from pgmpy_em_ext import WeightedEM

    moments.append(time.perf_counter())
    model, table, states = pickle.loads(Path(problem).read_bytes())
    times = {"import_pgmpy_s": moments[1] - moments[0], "import_s": moments[2] - moments[1]}
    for name in ("first_fit_s", "second_fit_s"):
        begin = time.perf_counter()
        WeightedEM(state_names=states, n_jobs=int(n_jobs), show_progress=False).fit(model, table)
        times[name] = time.perf_counter() - begin
    print(json.dumps(times))


if __name__ == "__main__":
    main(*sys.argv[1:])
