"""Groups of alike steps, each of which one vectorised numpy operation computes."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pgmpy_em_ext._tools.packing import ranges
from pgmpy_em_ext.e_step.exact.compile import CellCost
from pgmpy_em_ext.e_step.exact.graph import EliminationGraph
from pgmpy_em_ext.types import BoolArray, FloatArray, IntArray

COST = CellCost(cell=24, position=8, message=16)
"""Bytes: the table, the belief and a temporary of each cell; its 32-bit positions and a copy; values and adjoints."""


class Group(NamedTuple):
    """Elimination steps of one level that have equally many inputs and states to sum over.

    A step multiplies its inputs, entries of the value vector, over its table and
    sums out one variable; a step with ``card == 1`` only multiplies. The tables of
    all steps of the group stand side by side: column t of the index arrays is one
    scope configuration of one step.

    Attributes
    ----------
    inputs : int32 ndarray of shape (n_inputs, card, n_columns)
        Positions in the value vector of the factors of every table cell.
    start : int ndarray of shape (n_steps,)
        First column of each step.
    size : int ndarray of shape (n_steps,)
        Number of columns (scope configurations) of each step.
    output : slice
        Where the messages stand in the value vector, column by column.
    weight : float ndarray of shape (n_steps,)
        Total weight of the rows that use the step, in records.
    is_root : bool ndarray of shape (n_steps,)
        Steps whose scope is empty: nothing consumes their message.
    row : int ndarray of shape (n_steps,)
        Position in the evidence of one row that uses the step.
    target : int ndarray of shape (n_steps,)
        The variable whose elimination the step belongs to.
    variable : int ndarray of shape (n_steps,)
        The variable that is summed out, or -1.
    scope : int ndarray of shape (n_steps,)
        Index into the graph's scopes.
    step : int ndarray of shape (n_steps,)
        Number of each step in the graph.
    """

    inputs: IntArray
    start: IntArray
    size: IntArray
    output: slice
    weight: FloatArray
    is_root: BoolArray
    row: IntArray
    target: IntArray
    variable: IntArray
    scope: IntArray
    step: IntArray


class GroupedGraph(NamedTuple):
    """An elimination graph as groups, inputs before their use.

    Attributes
    ----------
    groups : tuple of Group
        The groups.
    n_cells : int
        Number of parameters.
    n_values : int
        Length of the value vector: parameters, then messages, those of a group side by side.
    """

    groups: tuple[Group, ...]
    n_cells: int
    n_values: int


def group_steps(graph: EliminationGraph) -> GroupedGraph:
    """Sort the steps into groups, give their messages places, and write out all positions."""
    steps, shapes = graph.steps, graph.shapes
    n_cells = len(graph.base_counts)
    n_inputs, card, size = (column[steps.shape] for column in (shapes.n_inputs, shapes.card, shapes.size))
    order = np.lexsort((card, n_inputs, steps.level))
    output = np.empty(graph.n_steps, dtype=np.int64)
    output[order] = n_cells + np.cumsum(size[order]) - size[order]
    origin = np.where(steps.source >= 0, steps.source, output[np.maximum(-1 - steps.source, 0)])
    is_root = graph.is_root
    kinds = np.stack([column[order] for column in (steps.level, n_inputs, card)])
    bounds = np.flatnonzero(np.concatenate([[True], (kinds[:, 1:] != kinds[:, :-1]).any(axis=0), [True]]))
    groups = []
    for low, high in pairwise(bounds.tolist() if graph.n_steps else []):
        chosen = order[low:high]
        sizes = size[chosen]
        start = int(output[chosen[0]])
        groups.append(
            Group(
                inputs=_positions(graph, chosen, origin),
                start=np.cumsum(sizes) - sizes,
                size=sizes,
                output=slice(start, start + int(sizes.sum())),
                weight=steps.weight[chosen],
                is_root=is_root[chosen],
                row=steps.row[chosen],
                target=steps.target[chosen],
                variable=shapes.variable[steps.shape[chosen]],
                scope=shapes.scope[steps.shape[chosen]],
                step=chosen,
            )
        )
    return GroupedGraph(tuple(groups), n_cells, n_cells + int(size.sum()))


def _positions(graph: EliminationGraph, chosen: IntArray, origin: IntArray) -> IntArray:
    """Positions in the value vector that the steps of one group read: (n_inputs, card, n_columns)."""
    steps, shapes = graph.steps, graph.shapes
    shape = steps.shape[chosen]
    n_inputs, card = int(shapes.n_inputs[shape[0]]), int(shapes.card[shape[0]])
    size = shapes.size[shape]
    positions = np.empty((n_inputs, card, int(size.sum())), dtype=np.int32)
    for factor in range(n_inputs):
        first = np.repeat(origin[steps.first_input[chosen] + factor], size)
        template = shapes.template[shapes.first_input[shape] + factor]
        for state in range(card):
            cells = ranges(template + state * size, size)
            positions[factor, state] = first + shapes.templates[cells]
    return positions
