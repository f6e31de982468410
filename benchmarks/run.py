"""Run all benchmarks, or those that are named, each in a process of its own.

``python benchmarks/run.py [names] [--full]``; then ``python benchmarks/page.py`` writes the page.
"""

import argparse
import subprocess
import sys
import time

from common import EXIT_NO_PEER, HERE, RESULTS, Path

NAMES = [
    "e_step",
    "sampling",
    "out_of_reach",
    "against_pyagrum",
    "against_discrete_em",
    "against_stepmix",
    "rows",
    "missing_share",
    "large_networks",
    "questions",
    "acceleration",
    "restarts",
    "mixtures",
    "gaussian_networks",
    "uncertainty",
    "cold_start",
]


def run(name: str, full: bool, results: Path) -> int:
    """Run one benchmark; give its exit status."""
    print(f"{name}:", flush=True)
    begin = time.perf_counter()
    command = [sys.executable, str(HERE / f"{name}.py"), "--results", str(results), *["--full"] * full]
    status = subprocess.run(command, check=False).returncode
    print(f"  {time.perf_counter() - begin:.0f} s", flush=True)
    return status


def main() -> int:
    """Run what is asked for, also where one fails; an absent peer is no failure when all are run."""
    parser = argparse.ArgumentParser(description="Run the benchmarks.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(NAMES)}; by default all")
    parser.add_argument("--full", action="store_true", help="also what takes long: more rows, the peers' whole fits")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the results")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"unknown benchmarks {unknown}. Known: {NAMES}.")
    statuses = [run(name, options.full, options.results) for name in options.names or NAMES]
    allowed = {0} if options.names else {0, EXIT_NO_PEER}
    return int(not allowed.issuperset(statuses))


if __name__ == "__main__":
    sys.exit(main())
