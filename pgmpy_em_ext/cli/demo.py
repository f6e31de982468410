"""The main job on a real network: ALARM with holes and a hidden variable, against the truth."""

import gzip
from importlib.resources import files
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import pandas as pd
from pgmpy.factors.discrete import TabularCPD
from pgmpy.inference import VariableElimination
from pgmpy.models import DiscreteBayesianNetwork
from pgmpy.readwrite import BIFReader

from pgmpy_em_ext.arrays.network import Network, build_network
from pgmpy_em_ext.cli.columns import align
from pgmpy_em_ext.cpd_family.categorical import read_cpd, write_cpd
from pgmpy_em_ext.data.encoding import encode_table, read_table
from pgmpy_em_ext.data.reduction import family_counts
from pgmpy_em_ext.estimators.weighted_em import WeightedEM
from pgmpy_em_ext.io.networks import read_network, write_network
from pgmpy_em_ext.networks.structure import declared_states, read_structure
from pgmpy_em_ext.types import MISSING, FloatArray, IntArray

HIDDEN = "LVFAILURE"
"""Never observed; its three children tell its states apart."""

MISSING_SHARE = 0.2
RESTARTS = 4
EVIDENCE = {"HISTORY": "TRUE", "STROKEVOLUME": "LOW"}
FILE_NAME = "alarm-fitted.bif"


class Truth(NamedTuple):
    """What the fit is compared with: the true network, and the rows before holes were made."""

    model: DiscreteBayesianNetwork
    network: Network
    parameters: FloatArray
    rows: pd.DataFrame


def run_demo(n_rows: int, seed: int, folder: str | Path) -> Path:
    """Fit ALARM to incomplete data, print how near it comes to the truth, and write it.

    Parameters
    ----------
    n_rows : int
        Rows to draw.
    seed : int
        Of the rows, the holes and the starts.
    folder : path
        Where the fitted network goes; made if it is not there.

    Returns
    -------
    pathlib.Path
        The file that was written, a BIF file.
    """
    truth = draw_truth(n_rows, seed)
    data = make_holes(truth.rows, seed)
    click.echo(
        f"ALARM, {n_rows:,} rows: {MISSING_SHARE:.0%} of the cells removed at random, {HIDDEN} never observed.\n"
    )
    estimator = fit(truth, data, seed)
    fitted = align_hidden(truth, vector_of(truth.network, estimator.parameters_))
    click.echo(describe_fit(estimator, n_complete(data)) + "\n")
    click.echo(compare(truth, data, fitted) + "\n")
    path = Path(folder) / FILE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    cpds = cpds_of(truth.network, fitted)
    write_network(path, cpds, "alarm")
    again = read_network(path)
    check_same(truth.network, cpds, again)
    click.echo(f"Written to {path}, and read back with the same CPDs.\n")
    click.echo(answer(truth.model, again))
    return path


def load_alarm() -> DiscreteBayesianNetwork:
    """Read the ALARM network that pgmpy carries."""
    packed = (files("pgmpy") / "utils" / "example_models" / "alarm.bif.gz").read_bytes()
    return BIFReader(string=gzip.decompress(packed).decode()).get_model()


def draw_truth(n_rows: int, seed: int) -> Truth:
    """Draw complete rows from the true network."""
    model = load_alarm()
    structure = read_structure(model)
    network = build_network(structure.names, structure.parents, declared_states(structure.cpds))
    rows = model.simulate(n_rows, seed=seed, show_progress=False)
    return Truth(model, network, vector_of(network, model.get_cpds()), rows[list(network.names)])


def make_holes(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Drop the hidden variable's column and remove cells completely at random."""
    data = rows.drop(columns=HIDDEN)
    return data.mask(np.random.default_rng(seed).random(data.shape) < MISSING_SHARE)


def fit(truth: Truth, data: pd.DataFrame, seed: int) -> WeightedEM:
    """Fit the true structure, whose CPDs serve only to name the states."""
    model = truth.model.copy()
    model.latents = {HIDDEN}
    return WeightedEM(n_init=RESTARTS, seed=seed, show_progress=False).fit(model, data)


def vector_of(network: Network, cpds: list[TabularCPD]) -> FloatArray:
    """Put CPDs into one flat vector."""
    blocks = {cpd.variable: read_cpd(network, cpd, "the network") for cpd in cpds}
    return np.concatenate([blocks[name].ravel() for name in network.names])


def cpds_of(network: Network, parameters: FloatArray) -> list[TabularCPD]:
    """Take a flat vector apart into CPDs."""
    return [write_cpd(network, node, parameters) for node in range(network.n_nodes)]


def count(network: Network, codes: IntArray) -> FloatArray:
    """Estimate every family by the rows that show all of it, plus one for each cell.

    Nothing shows the hidden variable: its own CPD and its children's become uniform.
    """
    counts = family_counts(network, codes, np.ones(len(codes))) + 1
    return network.normalize(counts)


def n_complete(data: pd.DataFrame) -> int:
    """Count the rows without a hole."""
    return int(data.notna().all(axis=1).sum())


def log_likelihood(network: Network, parameters: FloatArray, data: pd.DataFrame) -> float:
    """Log-likelihood of the observed cells."""
    model = DiscreteBayesianNetwork()
    model.add_nodes_from(network.names)
    cpds = cpds_of(network, parameters)
    model.add_edges_from((parent, cpd.variable) for cpd in cpds for parent in cpd.variables[1:])
    model.add_cpds(*cpds)
    return float(WeightedEM.from_model(model).score_samples(data).sum())


def distance(truth: Truth, parameters: FloatArray) -> float:
    """Mean total-variation distance to the true CPDs.

    A column weighs as much as its parent configuration occurs in the complete rows; all
    families weigh the same.
    """
    network = truth.network
    codes = encode_table(network, read_table(truth.rows, network.names), np.ones(len(truth.rows))).codes
    reached = network.column_sums(family_counts(network, codes, np.ones(len(codes))))
    columns = network.column_sums(np.abs(parameters - truth.parameters)) / 2
    return float(columns @ reached / reached.sum())


def align_hidden(truth: Truth, parameters: FloatArray) -> FloatArray:
    """Name the hidden variable's states as in the true network: the order that comes nearest to it."""
    network = truth.network
    hidden = network.index[HIDDEN]
    orders = permutations(range(network.cardinalities[hidden]))
    candidates = [relabel(network, parameters, hidden, order) for order in orders]
    return min(candidates, key=lambda candidate: distance(truth, candidate))


def relabel(network: Network, parameters: FloatArray, hidden: int, order: tuple[int, ...]) -> FloatArray:
    """Put one variable's states into another order, in its own family and its children's."""
    result = parameters.copy()
    for family in network.families:
        if hidden in family.members:
            block = network.block(parameters, family.child)
            network.block(result, family.child)[...] = block.take(order, axis=family.members.index(hidden))
    return result


def describe_fit(estimator: WeightedEM, n_whole: int) -> str:
    """Say what was fitted and how it went."""
    reduction = estimator.reduction_
    rows = [
        ("rows", f"{reduction.n_rows:,}"),
        ("rows without a hole", f"{n_whole:,}"),
        ("holes", f"{reduction.n_missing_cells:,}"),
        ("distinct rows", f"{reduction.n_distinct_rows:,}"),
        ("local problems", f"{reduction.engine['n_local_problems']:,}"),
        ("runs", f"{len(estimator.restarts_):,}"),
        ("iterations of the best", f"{estimator.n_iter_:,}"),
        ("converged", "yes" if estimator.converged_ else f"no ({estimator.status_})"),
    ]
    return align(rows, "<>")


def compare(truth: Truth, data: pd.DataFrame, fitted: FloatArray) -> str:
    """Put the estimates beside each other."""
    network = truth.network
    codes = encode_table(network, read_table(data, network.names), np.ones(len(data))).codes
    observable = [node for node in range(network.n_nodes) if node != network.index[HIDDEN]]
    whole = (codes[:, observable] != MISSING).all(axis=1)
    estimates = [
        ("EM, all rows", fitted),
        ("counting, complete rows *", count(network, codes[whole])),
        ("counting, complete families *", count(network, codes)),
        ("the true network", truth.parameters),
    ]
    rows = [("", "log-likelihood", "distance from truth")]
    for label, values in estimates:
        fit_of_data = log_likelihood(network, values, data)
        rows.append((label, f"{fit_of_data:,.1f}", f"{distance(truth, values):.4f}"))
    return (
        align(rows, "<>>")
        + f"\n* One is added to every count, so that nothing is impossible; uniform where {HIDDEN} takes part."
        + "\nDistance: mean total variation of the CPD columns, as often as they are reached."
    )


def check_same(network: Network, cpds: list[TabularCPD], again: DiscreteBayesianNetwork) -> None:
    """Check that a network that was read back has the CPDs that were written."""
    difference = np.abs(vector_of(network, again.get_cpds()) - vector_of(network, cpds)).max()
    if difference > 1e-12:
        raise ValueError(f"the network that was read back differs from the fitted one by {difference:.3g}.")


def answer(true_model: DiscreteBayesianNetwork, fitted: DiscreteBayesianNetwork) -> str:
    """Ask both networks one question about the hidden variable."""
    given = ", ".join(f"{name}={state}" for name, state in EVIDENCE.items())
    rows = [(f"P({HIDDEN} | {given})", *true_model.get_cpds(HIDDEN).state_names[HIDDEN])]
    for label, model in (("fitted", fitted), ("true", true_model)):
        posterior = VariableElimination(model).query([HIDDEN], evidence=EVIDENCE, show_progress=False)
        chances = [posterior.get_value(**{HIDDEN: state}) for state in rows[0][1:]]
        rows.append((label, *(f"{chance:.4f}" for chance in chances)))
    return align(rows, "<" + ">" * (len(rows[0]) - 1))
