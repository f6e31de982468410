"""Fit pgmpy's own linear Gaussian networks to data with holes, from a DataFrame to convergence."""

import warnings

import common
import numpy as np
from pgmpy.models import LinearGaussianBayesianNetwork
from pgmpy.utils import get_example_model

from pgmpy_em_ext import LinearGaussianEM

NETWORKS = ("ecoli70", "magic-niab", "arth150")
N_ROWS = 10_000
MISSING_SHARE = 0.2


def measure(network: str, rows: int, threads: str) -> dict[str, float]:
    """Time one fit, and compare its likelihood with that of the network that made the data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pgmpy's loader is deprecated, but its successor asks the internet
        truth = get_example_model(network)
    table = truth.simulate(rows, seed=0)
    table = table.mask(np.random.default_rng(0).random(table.shape) < MISSING_SHARE)
    bare = LinearGaussianBayesianNetwork(truth.edges())
    bare.add_nodes_from(truth.nodes())
    arguments = {"n_jobs": common.THREADS[threads], "show_progress": False}
    given = {cpd.variable: cpd for cpd in truth.cpds}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        true = LinearGaussianEM(init_cpds=given, max_iter=0, **arguments).fit(bare, table)
    with common.peak_memory() as memory:
        seconds, found = common.clock(lambda: LinearGaussianEM(**arguments).fit(bare, table), 3)
    return {
        "nodes": len(bare.nodes()),
        "edges": len(bare.edges()),
        "fit_s": seconds,
        "n_iter": found.n_iter_,
        "converged": found.converged_,
        "log_likelihood": found.log_likelihood_,
        "above_the_truth": found.log_likelihood_ - true.log_likelihood_,
        "n_parameters": found.n_parameters_,
        **memory,
    }


def main() -> None:
    """Measure all networks with one thread and with all."""
    options = common.arguments(__doc__)
    records = [
        common.isolated(measure, network=network, rows=N_ROWS, threads=threads)
        for network in NETWORKS
        for threads in common.THREADS
    ]
    common.save(__file__, options, gaussian_networks=records)


if __name__ == "__main__":
    main()
