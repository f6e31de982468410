"""Fit the networks on which no other tool was found to run EM, at 20 % missing cells.

The time that pgmpy's reader takes stands beside, and is in no other figure.
"""

import common

NETWORKS = ["andes", "pigs", "link", "diabetes", "munin1", "munin", "pathfinder", "mildew", "barley", "water"]
TARGETS = ["munin1", "link", "diabetes", "munin"]
"""Fitted to 10,000 rows also where time is short."""

QUICK_LIMIT, FULL_LIMIT = 300.0, 1200.0
"""Seconds that a fit may take: EM ends after the step in which they pass, the process after as much again."""


def measure(name: str, rows: int, threads: str, limit: float) -> dict[str, float]:
    """Time one fit from a DataFrame to convergence."""
    example, table = common.simulate(name, rows)
    states = common.state_names(example.network)
    model = common.bare_model(example.network)
    sizes = {"variables": example.network.n_nodes, "parameters": example.network.n_cells, "read_s": example.read_s}
    with common.peak_memory() as memory:
        fit = common.time_fit(model, table, states, 1, n_jobs=common.THREADS[threads], max_time=limit)
    return {**sizes, **fit, **memory}


def main() -> None:
    """Measure; without ``--full`` all networks on 1,000 rows and some on 10,000, with all threads."""
    options = common.arguments(__doc__)
    limit = FULL_LIMIT if options.full else QUICK_LIMIT
    for name in NETWORKS:
        common.load(name)
    records = [
        common.isolated(measure, timeout=2 * limit, name=name, rows=rows, threads=threads, limit=limit)
        for rows in (1_000, 10_000)
        for name in NETWORKS
        for threads in (common.THREADS if options.full else ["all"])
        if options.full or rows == 1_000 or name in TARGETS
    ]
    common.save(__file__, options, fits=records)


if __name__ == "__main__":
    main()
