"""Time the exact E-step beside pgmpy's own inference, on the networks that pgmpy ships.

Run it with ``make bench``. Both sides work on the same rows in the same run; the ratio is
the figure to keep, since machines differ and are shared. Times are medians over repeats.
"""

import gzip
import platform
import statistics
import sys
import time
import warnings
from importlib.metadata import version
from importlib.resources import files

import numpy as np

warnings.simplefilter("ignore", FutureWarning)  # pgmpy 1.1 imports its own deprecated modules

from pgmpy.models import DiscreteBayesianNetwork  # noqa: E402
from pgmpy.readwrite import BIFReader  # noqa: E402

from pgmpy_em_ext import ExactEStep, VariableEliminationEStep, WeightedEM  # noqa: E402
from pgmpy_em_ext.cpd_family.categorical import read_cpd  # noqa: E402
from pgmpy_em_ext.encoding import encode_table  # noqa: E402
from pgmpy_em_ext.network import build_network  # noqa: E402
from pgmpy_em_ext.reduction import reduce_rows, to_evidence  # noqa: E402
from pgmpy_em_ext.structure import declared_states, read_structure  # noqa: E402

NETWORKS = ["asia", "alarm", "insurance", "hailfinder", "win95pts", "hepar2"]
N_ROWS = 10_000
MISSING_SHARE = 0.2
ROWS_FOR_PGMPY = 20
REPEATS = 15


def read_model(name: str) -> DiscreteBayesianNetwork:
    """Read a network from the pgmpy package."""
    packed = (files("pgmpy") / f"utils/example_models/{name}.bif.gz").read_bytes()
    return BIFReader(string=gzip.decompress(packed).decode()).get_model()


def clock(work, repeats: int = 1):
    """Time a call: the median in seconds, and its last result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def measure(name: str) -> dict[str, float]:
    """Take all figures of one network."""
    model = read_model(name)
    data = model.simulate(N_ROWS, seed=0, show_progress=False)[list(model.nodes())].astype(object)
    data = data.mask(np.random.default_rng(0).random(data.shape) < MISSING_SHARE)
    structure = read_structure(model)
    network = build_network(structure.names, structure.parents, declared_states(structure.cpds))
    parameters = np.concatenate([read_cpd(network, structure.cpds[n], name).ravel() for n in network.names])
    encode, encoded = clock(lambda: encode_table(network, data, np.ones(len(data))), 3)
    reduce, evidence = clock(lambda: to_evidence(reduce_rows(encoded)), 3)
    exact = ExactEStep()
    compile_, plan = clock(lambda: exact.prepare(network, evidence), 3)
    exact.expected_statistics(plan, parameters)
    e_step, _ = clock(lambda: exact.expected_statistics(plan, parameters), REPEATS)
    bare = DiscreteBayesianNetwork(model.edges())
    bare.add_nodes_from(model.nodes())
    estimator = WeightedEM(state_names=declared_states(structure.cpds), show_progress=False)
    fit, _ = clock(lambda: estimator.fit(bare, data), 3)
    few = type(evidence)(*(part[:ROWS_FOR_PGMPY] for part in evidence))
    theirs = VariableEliminationEStep()
    slow, _ = clock(lambda: theirs.expected_statistics(theirs.prepare(network, few), parameters))
    per_row_ratio = (slow / len(few.weight)) / (e_step / len(evidence.weight))
    return {
        "steps": plan.graph.n_steps,
        "cells": plan.graph.n_table_cells,
        "encode ms": encode * 1e3,
        "reduce ms": reduce * 1e3,
        "compile ms": compile_ * 1e3,
        "E-step ms": e_step * 1e3,
        "whole fit ms": fit * 1e3,
        "iterations": estimator.n_iter_,
        "pgmpy VE / ours": per_row_ratio,
    }


def main(names: list[str]) -> None:
    """Print one line a network, as a Markdown table."""
    versions = ", ".join(f"{package} {version(package)}" for package in ("pgmpy", "numpy", "pgmpy_em_ext"))
    print(
        f"Python {platform.python_version()}, {versions}; {N_ROWS:,} rows, {MISSING_SHARE:.0%} of the cells missing\n"
    )
    for position, name in enumerate(names):
        figures = measure(name)
        if position == 0:
            print("| network | " + " | ".join(figures) + " |")
            print("| --- |" + " ---: |" * len(figures))
        cells = (f"{v:,.0f}" if v >= 100 or float(v).is_integer() else f"{v:.2f}" for v in figures.values())
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or NETWORKS)
