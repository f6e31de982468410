"""The two sweeps over an elimination graph, in numpy: log-likelihood forward, counts in reverse."""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.e_step.exact.graph import EliminationGraph, Group
from pgmpy_em_ext.types import FloatArray, IntArray

SMALLEST = 1e-250
"""Parameters below this are taken as zero, so that products of a few of them stay normal numbers."""


class ForwardPass(NamedTuple):
    """Results of the forward sweep.

    Attributes
    ----------
    values : float ndarray of shape (n_values,)
        Parameters, then messages, each message normalised to sum to one.
    tables : list of float ndarray of shape (card, n_columns)
        The product table of each group's steps.
    scales : list of float ndarray of shape (n_steps,)
        The sums that the messages were divided by; their logs add to the log-likelihood.
    """

    values: FloatArray
    tables: list[FloatArray]
    scales: list[FloatArray]


def _product(values: FloatArray, inputs: IntArray) -> FloatArray:
    table = values[inputs[0]]
    for factor in inputs[1:]:
        table *= values[factor]
    return table


def forward(graph: EliminationGraph, parameters: FloatArray, *, allow_impossible: bool = False) -> ForwardPass | None:
    """Compute every message, inputs first.

    Parameters
    ----------
    graph : EliminationGraph
        The compiled data.
    parameters : float ndarray of shape (n_cells,)
        CPD entries in the flat layout.
    allow_impossible : bool
        Let a step whose table is zero throughout pass on zeros, with scale zero.

    Returns
    -------
    ForwardPass or None
        None where a step's table is zero throughout, so that some row is impossible,
        unless that is allowed.
    """
    values = np.empty(graph.n_values)
    values[: len(parameters)] = np.where(parameters < SMALLEST, 0.0, parameters)
    tables, scales = [], []
    for group in graph.groups:
        table = _product(values, group.inputs)
        message = table.sum(axis=0)
        scale = np.add.reduceat(message, group.start)
        divisor = scale
        if not scale.all():
            if not allow_impossible:
                return None
            divisor = np.where(scale == 0, 1.0, scale)
        values[group.output] = message / np.repeat(divisor, group.size)
        tables.append(table)
        scales.append(scale)
    return ForwardPass(values, tables, scales)


def beliefs(group: Group, table: FloatArray, adjoint: FloatArray) -> FloatArray:
    """Compute the expected weight of every cell of a group's tables.

    Each column of the table is scaled to sum to its adjoint; a column that is zero
    throughout stays so. Dividing by the sum, not multiplying by its inverse, is what
    keeps a subnormal sum from overflowing.
    """
    total = table.sum(axis=0)
    return np.divide(table * adjoint, total, out=np.zeros_like(table), where=total > 0)


def reverse(graph: EliminationGraph, forward_pass: ForwardPass) -> FloatArray:
    """Compute the expected counts: the gradient of the log-likelihood times the parameters.

    Returns
    -------
    float ndarray of shape (n_cells,)
        Expected counts, in records.

    References
    ----------
    Russell, Binder, Koller & Kanazawa (1995), IJCAI. Darwiche (2003), J. ACM 50(3).
    """
    adjoint = np.zeros(graph.n_values)
    for group, table in zip(reversed(graph.groups), reversed(forward_pass.tables), strict=True):
        outgoing = adjoint[group.output]
        outgoing[group.start[group.is_root]] = group.weight[group.is_root]
        belief = beliefs(group, table, outgoing).ravel()
        for factor in group.inputs:
            np.add.at(adjoint, factor.ravel(), belief)
    return adjoint[: len(graph.base_counts)] + graph.base_counts
