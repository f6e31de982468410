"""Whole fits where exact inference is out of reach: time to convergence, and held-out rows beside complete cases."""

import time
import warnings
from typing import Any

import common
import numpy as np

from pgmpy_em_ext import ExactEStep, GibbsEStep, MemoryBudgetError, WeightedEM
from pgmpy_em_ext.arrays.network import build_network

SIDE = 12
HELD_OUT = 200
PROBLEMS = {"link, 60 % missing": (1000, 256), "grid of 12 x 12": (500, 64), "munin1, half hidden": (500, 256)}
"""Rows, and cells of the largest table."""


def grid() -> common.Example:
    """Make a grid of hidden binary nodes, each like its neighbours above and to the left, and seen through noise."""
    cells = [(i, j) for i in range(SIDE) for j in range(SIDE)]
    hidden, seen = [f"h{i}_{j}" for i, j in cells], [f"x{i}_{j}" for i, j in cells]
    parents = {
        f"h{i}_{j}": [f"h{a}_{b}" for a, b in ((i - 1, j), (i, j - 1)) if a >= 0 and b >= 0] for i, j in cells
    } | {f"x{i}_{j}": [f"h{i}_{j}"] for i, j in cells}
    network = build_network(hidden + seen, parents, {name: [0, 1] for name in hidden + seen})
    parameters = np.zeros(network.n_cells)
    for node, family in enumerate(network.families):
        share = np.indices(network.shapes[node][:-1]).sum(axis=0) / max(len(family.parents), 1)
        on = 0.5 if not family.parents else (0.15 + 0.7 * share if node >= len(hidden) else 0.05 + 0.9 * share)
        network.block(parameters, node)[...] = np.stack([1 - np.asarray(on), np.asarray(on)], axis=-1)
    return common.Example(network, parameters, 0.0)


def make_problem(name: str, n_rows: int) -> tuple[common.Example, np.ndarray, list]:
    """Draw rows, and say which variables are hidden."""
    if name.startswith("grid"):
        example = grid()
        hidden = np.arange(example.network.n_nodes) < SIDE**2
    else:
        example = common.load(name.split(",")[0])
        hidden = np.random.default_rng(0).random(example.network.n_nodes) < (0.5 if "hidden" in name else 0.0)
    codes = common.draw_codes(example, n_rows)
    codes = common.punch_holes(codes, 0.6) if "missing" in name else codes
    codes[:, hidden] = -1
    return example, codes, [example.network.names[node] for node in np.flatnonzero(hidden)]


def measure(name: str, rows: int, limit: int) -> dict[str, Any]:
    """Fit, and compare with complete cases on held-out rows."""
    warnings.simplefilter("ignore")
    example, codes, hidden = make_problem(name, rows + HELD_OUT)
    network = example.network
    data = common.to_table(network, codes[:rows]).drop(columns=hidden)
    held_out = common.to_table(network, codes[rows:]).drop(columns=hidden)
    model = common.bare_model(network, hidden)
    settings = {
        "state_names": common.state_names(network),
        "seed": 0,
        "prior": "BDeu",
        "n_init": 1,
        "n_jobs": -1,
        "show_progress": False,
    }
    try:
        WeightedEM(e_step=ExactEStep(), max_iter=0, **settings).fit(model, data)
        refused = None
    except MemoryBudgetError as error:
        refused = str(error).split(". ")[0]
    engine = GibbsEStep(max_table_size=limit)
    begin = time.perf_counter()
    fit = WeightedEM(e_step=engine, **settings).fit(model, data)
    seconds = time.perf_counter() - begin
    counted = WeightedEM(e_step=engine, max_iter=0, init_cpds="complete_case", **settings).fit(model, data)
    return {
        "exact_refuses": refused,
        "sampled": fit.reduction_.engine.get("n_sampled_components", 0),
        "n_parameters": fit.n_parameters_,
        "seconds": seconds,
        "n_iter": fit.n_iter_,
        "status": fit.status_,
        "gap": fit.gap_,
        "log_likelihood": fit.log_likelihood_,
        "log_likelihood_error": fit.mc_standard_error_.log_likelihood,
        "held_out": fit.score(held_out),
        "held_out_complete_case": counted.score(held_out),
    }


def main() -> None:
    """Fit all problems."""
    options = common.arguments(__doc__)
    records = [common.isolated(measure, name=name, rows=rows, limit=limit) for name, (rows, limit) in PROBLEMS.items()]
    common.save(__file__, options, problems=records)


if __name__ == "__main__":
    main()
