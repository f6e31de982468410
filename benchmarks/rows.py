"""Time fits of ALARM against the number of rows, at 20 % missing cells, from a DataFrame to convergence."""

import common

NETWORK = "alarm"
ROWS = [1_000, 10_000, 100_000, 1_000_000]
LARGE = 100_000
"""From here on one fit is timed, and categorical columns as well as object columns."""


def measure(rows: int, threads: str, columns: str) -> dict[str, float]:
    """Time one size."""
    example, table = common.simulate(NETWORK, rows, kind=columns)
    states = common.state_names(example.network)
    model = common.bare_model(example.network)
    repeats = 1 if rows >= LARGE else 5
    with common.peak_memory() as memory:
        fit = common.time_fit(model, table, states, repeats, n_jobs=common.THREADS[threads])
    return {**fit, **memory}


def main() -> None:
    """Measure all sizes with one thread and with all."""
    options = common.arguments(__doc__)
    records = [
        common.isolated(measure, rows=rows, threads=threads, columns=columns)
        for rows in ROWS
        for threads in common.THREADS
        for columns in ("object", "category")
        if columns == "object" or (rows >= LARGE and threads == "all")
    ]
    common.save(__file__, options, fits=records)


if __name__ == "__main__":
    main()
