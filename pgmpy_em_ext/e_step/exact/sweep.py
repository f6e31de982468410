"""The two sweeps over a grouped elimination graph, in numpy: log-likelihood forward, counts in reverse."""

from collections.abc import Iterator
from copy import copy
from typing import NamedTuple, Protocol

import numpy as np

from pgmpy_em_ext._tools.packing import ranges, weighted_bincount
from pgmpy_em_ext.e_step.exact.graph import EliminationGraph
from pgmpy_em_ext.e_step.exact.groups import Group, GroupedGraph, group_steps
from pgmpy_em_ext.types import BoolArray, FloatArray, IntArray

SMALLEST_SCALE = 1e-150
"""Steps whose table adds up to less are computed again in logarithms, lest their products underflow."""


class ForwardPass(NamedTuple):
    """Results of the forward sweep.

    Attributes
    ----------
    values : float ndarray of shape (n_values,)
        Parameters, then messages, each message normalised to sum to one.
    tables : list of float ndarray of shape (card, n_columns)
        The product table of each group's steps.
        Where products would underflow, the tables are scaled step by step.
    log_scales : list of float ndarray of shape (n_steps,)
        Logs of the sums that the messages were divided by, which add up to the
        log-likelihood; -inf where a table is zero throughout.
    """

    values: FloatArray
    tables: list[FloatArray]
    log_scales: list[FloatArray]


def _product(values: FloatArray, inputs: IntArray) -> FloatArray:
    table = values[inputs[0]]
    for factor in inputs[1:]:
        table *= values[factor]
    return table


def _rescale(values: FloatArray, group: Group, table: FloatArray, steps: IntArray) -> FloatArray:
    """Compute some steps' tables in logarithms, each relative to its largest cell, in place.

    Returns
    -------
    float ndarray of shape (len(steps),)
        Logs of the largest cells; -inf where a table is zero throughout.
    """
    columns = ranges(group.start[steps], group.size[steps])
    with np.errstate(divide="ignore"):
        log_table = np.log(values[group.inputs[:, :, columns]]).sum(axis=0)
    start = np.cumsum(group.size[steps]) - group.size[steps]
    highest = np.maximum.reduceat(log_table.max(axis=0), start)
    shift = np.where(np.isfinite(highest), highest, 0.0)
    table[:, columns] = np.exp(log_table - np.repeat(shift, group.size[steps]))
    return highest


def forward(graph: GroupedGraph, parameters: FloatArray) -> ForwardPass:
    """Compute every message, inputs first.

    Parameters
    ----------
    graph : GroupedGraph
        The compiled data.
    parameters : float ndarray of shape (n_cells,)
        CPD entries in the flat layout.

    Returns
    -------
    ForwardPass
        A step whose table is zero throughout passes on zeros, with a log scale of -inf.
    """
    values = np.empty(graph.n_values)
    values[: len(parameters)] = parameters
    tables, log_scales = [], []
    for group in graph.groups:
        table = _product(values, group.inputs)
        message = table.sum(axis=0)
        scale = np.add.reduceat(message, group.start)
        shift = np.zeros(len(scale))
        tiny = np.flatnonzero(scale < SMALLEST_SCALE)
        if len(tiny):
            shift[tiny] = _rescale(values, group, table, tiny)
            message = table.sum(axis=0)
            scale = np.add.reduceat(message, group.start)
        divisor = np.where(scale > 0, scale, 1.0)
        values[group.output] = message / np.repeat(divisor, group.size)
        tables.append(table)
        log_scales.append(np.log(divisor) + shift)
    return ForwardPass(values, tables, log_scales)


def beliefs(group: Group, table: FloatArray, adjoint: FloatArray) -> FloatArray:
    """Compute the expected weight of every cell of a group's tables.

    Each column of the table is scaled to sum to its adjoint; a column that is zero
    throughout stays so. Dividing by the sum, not multiplying by its inverse, is what
    keeps a subnormal sum from overflowing.
    """
    total = table.sum(axis=0)
    return np.divide(table * adjoint, total, out=np.zeros_like(table), where=total > 0)


def descend(graph: GroupedGraph, forward_pass: ForwardPass, adjoint: FloatArray) -> Iterator[tuple[Group, FloatArray]]:
    """Hand weights back from the roots to the parameters, and yield every group's beliefs.

    Parameters
    ----------
    graph : GroupedGraph
        The compiled data.
    forward_pass : ForwardPass
        Its forward sweep.
    adjoint : float ndarray of shape (n_values,)
        Zeros; filled with the expected weight of every value.

    Yields
    ------
    group : Group
        The last group first.
    belief : float ndarray of shape (card, n_columns)
        See `beliefs`.
    """
    for group, table in zip(reversed(graph.groups), reversed(forward_pass.tables), strict=True):
        outgoing = adjoint[group.output]
        outgoing[group.start[group.is_root]] = group.weight[group.is_root]
        belief = beliefs(group, table, outgoing)
        for factor in group.inputs:
            np.add.at(adjoint, factor.ravel(), belief.ravel())
        yield group, belief


def reverse(graph: GroupedGraph, forward_pass: ForwardPass) -> FloatArray:
    """Compute the expected counts: the gradient of the log-likelihood times the parameters.

    Returns
    -------
    float ndarray of shape (n_cells,)
        Expected counts, in records, of the families that are not fully observed.

    References
    ----------
    Russell, Binder, Koller & Kanazawa (1995), IJCAI. Darwiche (2003), J. ACM 50(3).
    """
    adjoint = np.zeros(graph.n_values)
    for _ in descend(graph, forward_pass, adjoint):
        pass
    return adjoint[: graph.n_cells]


def weigh(weight: FloatArray, log_scale: FloatArray) -> FloatArray:
    """Multiply log scales by weights; what weighs nothing adds nothing, though it be impossible."""
    return np.multiply(weight, log_scale, out=np.zeros_like(log_scale), where=weight > 0)


class Sweeps(Protocol):
    """A backend: what computes both sweeps over one compiled graph."""

    def run(self, parameters: FloatArray, active: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Sweep forward and back.

        Parameters
        ----------
        parameters : float ndarray of shape (n_cells,)
            CPD entries in the flat layout.
        active : bool ndarray of shape (n_blocks + 1,)
            The independent blocks to evaluate; the others' results mean nothing. The last
            entry stands for the families without any step.

        Returns
        -------
        counts : float ndarray of shape (n_cells,)
            Expected counts of the families that are not fully observed, in records.
        log_likelihood : float ndarray of shape (n_blocks + 1,)
            What the graph's steps say of each block, in nats; -inf where a row is impossible.
        """
        ...

    def without(self, zero: BoolArray) -> "Sweeps":
        """Leave out what is not needed while some parameters are zero.

        Parameters
        ----------
        zero : bool ndarray of shape (n_cells,)
            Parameters that are zero and stay so.

        Returns
        -------
        Sweeps
            For such parameters, with the same results but for rounding.
        """
        ...

    def reweighted(self, weight: FloatArray) -> "Sweeps":
        """Give the same steps other weights.

        Parameters
        ----------
        weight : float ndarray of shape (n_steps,)
            In the order of the graph's steps, in records; 0 is allowed.
        """
        ...


class GroupedSweeps:
    """The two sweeps in numpy: the reference, and the backend of small graphs. It always evaluates all blocks.

    Parameters
    ----------
    graph : EliminationGraph
        The compiled data.
    """

    def __init__(self, graph: EliminationGraph) -> None:
        self.graph = group_steps(graph)
        self.blocks = graph.blocks

    def without(self, zero: BoolArray) -> "GroupedSweeps":
        """Leave out nothing; see `Sweeps.without`."""
        return self

    def reweighted(self, weight: FloatArray) -> "GroupedSweeps":
        """Give the steps other weights; see `Sweeps.reweighted`."""
        other = copy(self)
        groups = tuple(group._replace(weight=weight[group.step]) for group in self.graph.groups)
        other.graph = self.graph._replace(groups=groups)
        return other

    def run(self, parameters: FloatArray, active: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Sweep forward and back; see `Sweeps.run`."""
        forward_pass = forward(self.graph, parameters)
        log_likelihood = np.zeros(len(active))
        for group, log_scale in zip(self.graph.groups, forward_pass.log_scales, strict=True):
            block = self.blocks.of_family[group.target]
            log_likelihood += weighted_bincount(block, weigh(group.weight, log_scale), len(active))
        return reverse(self.graph, forward_pass), log_likelihood
