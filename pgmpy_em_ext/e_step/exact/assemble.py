"""Merge the compiler's blocks into groups that one vectorised operation handles."""

from collections import defaultdict
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.e_step.exact.graph import EliminationGraph, Group, Scope
from pgmpy_em_ext.packing import ranges
from pgmpy_em_ext.types import FloatArray, IntArray


class StepBlock(NamedTuple):
    """Steps of one shape, as the compiler makes them.

    Attributes
    ----------
    inputs : int ndarray of shape (n_inputs, card, n_steps * size)
        Positions in the value vector; those of messages are provisional.
    size : int
        Columns of each step.
    level, weight, row : ndarray of shape (n_steps,)
        As in `Group`.
    variable, scope : int
        As in `Group`, the same for all steps of the block.
    slot : int ndarray of shape (n_steps,)
        Provisional position of each step's message among all messages.
    """

    inputs: IntArray
    size: int
    level: IntArray
    weight: FloatArray
    row: IntArray
    variable: int
    scope: int
    slot: IntArray


class _Merged(NamedTuple):
    """All blocks with equally many inputs and states, their steps sorted by level."""

    inputs: IntArray
    size: IntArray
    level: IntArray
    weight: FloatArray
    row: IntArray
    variable: IntArray
    scope: IntArray
    slot: IntArray


def _merge(blocks: list[StepBlock]) -> _Merged:
    counts = [len(block.level) for block in blocks]
    size = np.repeat([block.size for block in blocks], counts)
    level = np.concatenate([block.level for block in blocks])
    by_level = np.argsort(level, kind="stable")
    start = np.cumsum(size) - size
    columns = ranges(start[by_level], size[by_level])
    return _Merged(
        inputs=np.concatenate([block.inputs for block in blocks], axis=2)[:, :, columns],
        size=size[by_level],
        level=level[by_level],
        weight=np.concatenate([block.weight for block in blocks])[by_level],
        row=np.concatenate([block.row for block in blocks])[by_level],
        variable=np.repeat([block.variable for block in blocks], counts)[by_level],
        scope=np.repeat([block.scope for block in blocks], counts)[by_level],
        slot=np.concatenate([block.slot for block in blocks])[by_level],
    )


def _split(merged: _Merged, scopes: tuple[Scope, ...]) -> list[tuple[int, Group, IntArray]]:
    """Cut merged blocks into one group a level, with the provisional slots of its messages."""
    bounds = np.flatnonzero(np.diff(merged.level, prepend=-1, append=np.iinfo(np.int64).max))
    column_end = np.append(0, np.cumsum(merged.size))
    empty = np.array([not scope.variables for scope in scopes])
    groups = []
    for low, high in pairwise(bounds.tolist()):
        size = merged.size[low:high]
        group = Group(
            inputs=np.ascontiguousarray(merged.inputs[:, :, column_end[low] : column_end[high]]),
            start=np.cumsum(size) - size,
            size=size,
            output=slice(0, 0),
            weight=merged.weight[low:high],
            is_root=empty[merged.scope[low:high]],
            row=merged.row[low:high],
            variable=merged.variable[low:high],
            scope=merged.scope[low:high],
        )
        groups.append((int(merged.level[low]), group, merged.slot[low:high]))
    return groups


def assemble(
    n_cells: int, n_messages: int, base_counts: FloatArray, blocks: list[StepBlock], scopes: tuple[Scope, ...]
) -> EliminationGraph:
    """Sort steps into groups and give their messages their final places.

    The messages of a group stand side by side, in the order of its columns, so that
    the forward sweep writes and the reverse sweep reads them as one slice.
    """
    alike: dict[tuple[int, ...], list[StepBlock]] = defaultdict(list)
    for block in blocks:
        alike[block.inputs.shape[:2]].append(block)
    blocks.clear()
    leveled = [entry for key in sorted(alike) for entry in _split(_merge(alike.pop(key)), scopes)]
    leveled.sort(key=lambda entry: entry[0])
    final = np.empty(n_messages, dtype=np.int32)
    placed, position = [], n_cells
    for level, group, slot in leveled:
        end = position + int(group.size.sum())
        final[ranges(slot, group.size)] = np.arange(position, end)
        inputs = group.inputs
        if level > 1:
            inputs = np.where(inputs < n_cells, inputs, final[np.maximum(inputs - n_cells, 0)])
        placed.append(group._replace(inputs=inputs, output=slice(position, end)))
        position = end
    return EliminationGraph(base_counts, tuple(placed), position, scopes)
