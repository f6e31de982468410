"""The obvious E-step: list every completion of every row, and weigh it by its likelihood."""

from typing import Any, ClassVar, NamedTuple

import numpy as np

from pgmpy_em_ext._tools.checks import check_integer
from pgmpy_em_ext._tools.packing import weighted_bincount
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.e_step._base import EStep
from pgmpy_em_ext.e_step.impossible import impossible_evidence
from pgmpy_em_ext.e_step.statistics import ExpectedStatistics
from pgmpy_em_ext.exceptions import MemoryBudgetError
from pgmpy_em_ext.types import MISSING, FloatArray, IntArray


class Completions(NamedTuple):
    """All completions of some rows.

    Attributes
    ----------
    row : int ndarray of shape (n_completions,)
        Which row each completes; non-decreasing.
    codes : int ndarray of shape (n_completions, n_nodes)
        Complete rows; within one row in lexicographic order.
    """

    row: IntArray
    codes: IntArray


def count_completions(network: Network, codes: IntArray) -> list[int]:
    """Count the completions of each row, as exact integers."""
    log_counts = np.where(codes == MISSING, np.log2(network.cardinalities), 0).sum(axis=1)
    if log_counts.max(initial=0) < 62:
        return np.where(codes == MISSING, network.cardinalities, 1).prod(axis=1, dtype=np.int64).tolist()
    cards = np.array(network.cardinalities, dtype=object)
    return np.where(codes == MISSING, cards, 1).prod(axis=1).tolist()


def enumerate_completions(network: Network, codes: IntArray) -> Completions:
    """List every completion of every row.

    Parameters
    ----------
    network : Network
        Cardinalities.
    codes : int ndarray of shape (n, n_nodes)
        Rows, -1 where missing.

    Examples
    --------
    >>> from pgmpy_em_ext.arrays.network import build_network
    >>> network = build_network("AB", {}, {"A": [0, 1], "B": [0, 1, 2]})
    >>> enumerate_completions(network, np.array([[1, -1], [0, 2]])).codes
    array([[1, 0], [1, 1], [1, 2], [0, 2]])
    """
    counts = np.array(count_completions(network, codes), dtype=np.int64)
    row = np.repeat(np.arange(len(codes)), counts)
    rank = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    completed = codes[row].astype(np.int64)
    for node in reversed(range(network.n_nodes)):
        missing = completed[:, node] == MISSING
        rank_here = rank[missing]
        completed[missing, node] = rank_here % network.cardinalities[node]
        rank[missing] = rank_here // network.cardinalities[node]
    return Completions(row, completed)


def log_joint(network: Network, parameters: FloatArray, codes: IntArray) -> FloatArray:
    """Log-probability of complete rows: the sum over families of log CPD entries."""
    with np.errstate(divide="ignore"):
        log_parameters = np.log(parameters)
    total = np.zeros(len(codes))
    for node in range(network.n_nodes):
        total += log_parameters[network.cells(node, codes)]
    return total


def weigh_completions(
    network: Network, parameters: FloatArray, completions: Completions, n_rows: int
) -> tuple[FloatArray, FloatArray]:
    """Posterior weight of every completion, and the log-likelihood of every row.

    Returns
    -------
    posterior : float ndarray of shape (n_completions,)
        Sums to one over each row's completions; zero throughout for an impossible row.
    log_likelihood : float ndarray of shape (n_rows,)
        Natural logs; -inf for an impossible row.
    """
    joint = log_joint(network, parameters, completions.codes)
    start = np.searchsorted(completions.row, np.arange(n_rows))
    highest = np.maximum.reduceat(joint, start)
    shift = np.where(np.isfinite(highest), highest, 0.0)
    relative = np.exp(joint - shift[completions.row])
    total = np.add.reduceat(relative, start)
    posterior = relative / np.where(total > 0, total, 1.0)[completions.row]
    with np.errstate(divide="ignore"):
        return posterior, shift + np.log(total)


class EnumerationPlan(NamedTuple):
    """What enumeration prepares: nothing but the rows, cut into batches of bounded size."""

    network: Network
    evidence: Evidence
    batches: tuple[slice, ...]


class EnumerationEStep(EStep):
    """Enumerate all completions of every distinct row: the textbook's E-step, and our oracle.

    Parameters
    ----------
    max_completions : int, default 5,000,000
        Most completions held in memory at once; a single row with more is refused.

    Notes
    -----
    Every missing variable is completed, barren or not. Cost: the product of the missing
    variables' cardinalities, summed over distinct rows, in every iteration.

    References
    ----------
    Kochenderfer, Wheeler & Wray (2022), Algorithms for Decision Making, section 4.4.2,
    example 4.3.
    """

    _tags: ClassVar[dict[str, Any]] = {"name": "enumeration"}

    def __init__(self, max_completions: int = 5_000_000) -> None:
        self.max_completions = max_completions
        super().__init__()

    def prepare(self, network: Network, evidence: Evidence) -> EnumerationPlan:
        """Cut the evidence into batches; see `EStep.prepare`."""
        check_integer("max_completions", self.max_completions, low=1)
        batches = completion_batches(network, evidence.codes, self.max_completions, evidence.first_row)
        return EnumerationPlan(network, evidence, tuple(batches))

    def expected_statistics(self, plan: EnumerationPlan, parameters: FloatArray) -> ExpectedStatistics:
        """Add up the weighted completions; see `EStep.expected_statistics`."""
        network, evidence = plan.network, plan.evidence
        counts = np.zeros(network.n_cells)
        log_likelihood = 0.0
        impossible = []
        for batch in plan.batches:
            codes, weight = evidence.codes[batch], evidence.weight[batch]
            completions = enumerate_completions(network, codes)
            posterior, row_log_likelihood = weigh_completions(network, parameters, completions, len(codes))
            impossible.extend(batch.start + np.flatnonzero(np.isneginf(row_log_likelihood)))
            if impossible:
                continue
            expected = posterior * weight[completions.row]
            for node in range(network.n_nodes):
                cells = network.cells(node, completions.codes)
                counts += weighted_bincount(cells, expected, network.n_cells)
            log_likelihood += float(weight @ row_log_likelihood)
        if impossible:
            raise impossible_evidence(network, evidence, parameters, np.array(impossible))
        return ExpectedStatistics(counts, log_likelihood)


def completion_batches(network: Network, codes: IntArray, max_completions: int, row_numbers: IntArray) -> list[slice]:
    """Cut rows into slices of at most so many completions; a single row with more is an error."""
    batches, start, held = [], 0, 0
    for row, count in enumerate(count_completions(network, codes)):
        if count > max_completions:
            missing = [network.names[i] for i in np.flatnonzero(codes[row] == MISSING)]
            raise MemoryBudgetError(
                f"row {row_numbers[row]} (counting from 0) has {count:,} completions over {missing}, more than "
                f"max_completions={max_completions:,}. Use e_step='exact' to fit, impute(how='sample') to draw "
                "completions, or raise max_completions."
            )
        if held + count > max_completions:
            batches.append(slice(start, row))
            start, held = row, 0
        held += count
    return [*batches, slice(start, len(codes))]
