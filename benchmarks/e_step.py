"""Time the exact E-step and whole fits on the networks that pgmpy ships, and pgmpy's own inference on the same rows.

The stages are timed one by one with one thread, whole fits with one thread and with all.
"""

import common
import numpy as np

from pgmpy_em_ext import ExactEStep, VariableEliminationEStep
from pgmpy_em_ext.data.encoding import encode_table, read_table
from pgmpy_em_ext.data.reduction import reduce_rows, to_evidence

NETWORKS = ["asia", "alarm", "insurance", "hailfinder", "win95pts", "hepar2"]
N_ROWS = 10_000
ROWS_FOR_PGMPY = 20
REPEATS = 15


def measure_stages(name: str, rows: int) -> dict[str, float]:
    """Time encoding, reducing, compiling and one E-step at the true parameters, with one thread."""
    example, table = common.simulate(name, rows)
    network, parameters = example.network, example.parameters
    exact = ExactEStep()
    encode_s, encoded = common.clock(lambda: encode_table(network, read_table(table, network.names), np.ones(rows)), 3)
    reduce_s, evidence = common.clock(lambda: to_evidence(reduce_rows(encoded)), 3)
    exact.expected_statistics(exact.prepare(network, evidence), parameters)
    compile_s, plan = common.clock(lambda: exact.prepare(network, evidence), 3)
    e_step_s, _ = common.clock(lambda: exact.expected_statistics(plan, parameters), REPEATS)
    few = type(evidence)(*(part[:ROWS_FOR_PGMPY] for part in evidence))
    theirs = VariableEliminationEStep()
    theirs_s, _ = common.clock(lambda: theirs.expected_statistics(theirs.prepare(network, few), parameters))
    return {
        **exact.summary(plan),
        "encode_ms": encode_s * 1e3,
        "reduce_ms": reduce_s * 1e3,
        "compile_ms": compile_s * 1e3,
        "e_step_ms": e_step_s * 1e3,
        "variable_elimination_ratio": (theirs_s / len(few.weight)) / (e_step_s / len(evidence.weight)),
    }


def measure_fit(name: str, rows: int, threads: str) -> dict[str, float]:
    """Time fits to convergence."""
    example, table = common.simulate(name, rows)
    states = common.state_names(example.network)
    model = common.bare_model(example.network)
    with common.peak_memory() as memory:
        fit = common.time_fit(model, table, states, n_jobs=common.THREADS[threads])
    return {**fit, **memory}


def main() -> None:
    """Measure all networks."""
    options = common.arguments(__doc__)
    stages = [common.isolated(measure_stages, name=name, rows=N_ROWS) for name in NETWORKS]
    fits = [
        common.isolated(measure_fit, name=name, rows=N_ROWS, threads=threads)
        for name in NETWORKS
        for threads in common.THREADS
    ]
    common.save(__file__, options, stages=stages, fits=fits)


if __name__ == "__main__":
    main()
