"""Time fits of ALARM against the number of rows, at 20 % missing cells, from a DataFrame to convergence."""

import common
import numpy as np

from pgmpy_em_ext import ExactEStep
from pgmpy_em_ext.data.reduction import Reduction, merge, reduce_rows, to_evidence
from pgmpy_em_ext.data.rows import EncodedData

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


CHUNKS, CHUNK_ROWS = 10, 1_000_000
"""More rows than are held at once: reduced chunk by chunk, and merged."""


def reduce_chunk(example: common.Example, number: int) -> tuple[float, Reduction]:
    """Draw and reduce one chunk; the time is that of reducing."""
    codes = common.punch_holes(common.draw_codes(example, CHUNK_ROWS, number), 0.2, number)
    rows = np.arange(CHUNK_ROWS) + number * CHUNK_ROWS
    data = EncodedData(np.asfortranarray(codes.astype(np.int8)), np.ones(CHUNK_ROWS), rows)
    return common.clock(lambda: reduce_rows(data))


def merge_all(parts: list[Reduction]) -> Reduction:
    """Merge pairs, then pairs of pairs."""
    while len(parts) > 1:
        parts = [merge(*parts[i : i + 2]) if i + 1 < len(parts) else parts[i] for i in range(0, len(parts), 2)]
    return parts[0]


def measure_chunks(rows: int) -> dict[str, float]:
    """Time the stages from encoded chunks to one E-step at the true parameters, with all threads."""
    example = common.load(NETWORK)
    chunks = [reduce_chunk(example, number) for number in range(CHUNKS)]
    merge_s, evidence = common.clock(lambda: to_evidence(merge_all([reduction for _, reduction in chunks])))
    engine = ExactEStep(n_jobs=-1)
    compile_s, plan = common.clock(lambda: engine.prepare(example.network, evidence))
    engine.expected_statistics(plan, example.parameters)
    e_step_s, _ = common.clock(lambda: engine.expected_statistics(plan, example.parameters), 3)
    return {
        "distinct": len(evidence.weight),
        "reduce_s": sum(seconds for seconds, _ in chunks),
        "merge_s": merge_s,
        "compile_s": compile_s,
        "e_step_ms": e_step_s * 1e3,
        "peak_mb": common.peak_mb(),
    }


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
    chunks = [common.isolated(measure_chunks, rows=CHUNKS * CHUNK_ROWS)]
    common.save(__file__, options, fits=records, chunks=chunks)


if __name__ == "__main__":
    main()
