"""Time fits of ALARM against the share of missing cells, on 10,000 rows."""

import common
import numpy as np

from pgmpy_em_ext import ExactEStep
from pgmpy_em_ext.data.encoding import encode_table, read_table
from pgmpy_em_ext.data.reduction import reduce_rows, to_evidence

NETWORK = "alarm"
N_ROWS = 10_000
SHARES = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7]


def measure(share: float, threads: str) -> dict[str, float]:
    """Time one share, and count what is left to compute."""
    example, table = common.simulate(NETWORK, N_ROWS, share)
    states = common.state_names(example.network)
    model = common.bare_model(example.network)
    with common.peak_memory() as memory:
        fit = common.time_fit(model, table, states, n_jobs=common.THREADS[threads])
    exact, network = ExactEStep(), example.network
    evidence = to_evidence(reduce_rows(encode_table(network, read_table(table, network.names), np.ones(N_ROWS))))
    return {**exact.summary(exact.prepare(example.network, evidence)), **fit, **memory}


def main() -> None:
    """Measure all shares with one thread and with all."""
    options = common.arguments(__doc__)
    records = [common.isolated(measure, share=share, threads=threads) for share in SHARES for threads in common.THREADS]
    common.save(__file__, options, fits=records)


if __name__ == "__main__":
    main()
