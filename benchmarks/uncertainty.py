"""Time standard errors, a bootstrap and the test of identifiability on ALARM."""

import time

import common

from pgmpy_em_ext import WeightedEM

NETWORK = "alarm"
N_ROWS = 10_000
N_REPLICATES = 100


def measure(rows: int, threads: str) -> dict[str, float]:
    """Time each after one fit, the second time that it is asked for."""
    example, table = common.simulate(NETWORK, rows)
    model = common.bare_model(example.network)
    fit = WeightedEM(
        state_names=common.state_names(example.network), show_progress=False, n_jobs=common.THREADS[threads], seed=0
    ).fit(model, table)
    found = {}
    for name, ask in {
        "standard_errors": fit.standard_errors,
        "bootstrap": lambda: fit.bootstrap(n=N_REPLICATES),
        "identifiability": fit.identifiability,
    }.items():
        ask()
        begin = time.perf_counter()
        ask()
        found[f"{name}_s"] = time.perf_counter() - begin
    identified = fit.identifiability()
    return {"parameters": identified.n_parameters, "rank": identified.rank, **found}


def main() -> None:
    """Measure with one thread and with all."""
    options = common.arguments(__doc__)
    records = [common.isolated(measure, rows=N_ROWS, threads=threads) for threads in common.THREADS]
    common.save(__file__, options, answers=records)


if __name__ == "__main__":
    main()
