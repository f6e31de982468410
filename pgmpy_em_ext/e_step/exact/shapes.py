"""The shapes of steps: the axes of their tables, and the positions at which the tables read their inputs.

Shapes are many where the missing patterns are (thousands for a network of seventy
variables), so that all shapes of one elimination are laid out at once: their variables
become columns of a small matrix, and ragged index arithmetic does the rest.
"""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext._tools.packing import distinct_rows, ranges
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.e_step.exact.graph import Shapes
from pgmpy_em_ext.e_step.exact.terms import GrowingArray, ScopeTable
from pgmpy_em_ext.types import BoolArray, FloatArray, IntArray

_CHUNK = 1 << 20
"""Template cells that are computed at once, about."""


class Axes(NamedTuple):
    """The axes of some shapes, not laid out yet.

    Attributes
    ----------
    scopes : int ndarray of shape (n_inputs, n_shapes)
        The inputs' scopes, -1 where there are fewer.
    local : int ndarray of shape (n_local,)
        All variables that occur.
    member : bool ndarray of shape (n_shapes, n_local)
        Which of them are axes, the variable to sum out left out.
    size : float ndarray of shape (n_shapes,)
        Product of the axes' cardinalities; a float, since it may be beyond any integer.
    """

    scopes: IntArray
    local: IntArray
    member: BoolArray
    size: FloatArray


class ShapeTable:
    """A growing table of shapes.

    Parameters
    ----------
    network : Network
        Cardinalities.
    scopes : ScopeTable
        Where the inputs' scopes are found, and the messages' are added.
    """

    def __init__(self, network: Network, scopes: ScopeTable) -> None:
        self.scopes = scopes
        self.cards = np.array(network.cardinalities, dtype=np.int64)
        self._columns = {name: GrowingArray() for name in ("n_inputs", "card", "size", "variable", "scope")}
        self._template = GrowingArray()  # the pair (table, input scope) of each input of each shape
        self._n_pairs = 0
        self._pair_length = GrowingArray()
        self._entry_pair, self._entry_rank = GrowingArray(), GrowingArray()
        self._entry_table_stride, self._entry_card, self._entry_stride = GrowingArray(), GrowingArray(), GrowingArray()

    def axes(self, scopes: IntArray, variable: int | None) -> Axes:
        """Find the axes of shapes, given their inputs' scopes."""
        used = np.unique(scopes[scopes >= 0])
        owner, found, _ = self.scopes.entries(used)
        local, column = np.unique(found, return_inverse=True)
        ranges_over = np.zeros((len(used) + 1, len(local)), dtype=bool)  # the last row for absent inputs
        ranges_over[owner, column] = True
        inputs = np.where(scopes >= 0, np.searchsorted(used, scopes), len(used))
        member = np.logical_or.reduce(ranges_over[inputs], axis=0)
        if variable is not None:
            member[:, local == variable] = False
        return Axes(scopes, local, member, np.where(member, self.cards[local].astype(float), 1.0).prod(axis=1))

    def append(self, axes: Axes, variable: int | None) -> tuple[IntArray, IntArray]:
        """Add shapes.

        Returns
        -------
        numbers : int ndarray of shape (n_shapes,)
            The shapes.
        scope : int ndarray of shape (n_shapes,)
            The scopes of their messages.
        """
        scopes, local, member, _ = axes
        cards = np.where(member, self.cards[local], 1)
        strides = np.ones_like(cards)  # the last axis fastest
        strides[:, :-1] = np.cumprod(cards[:, :0:-1], axis=1)[:, ::-1]
        size = cards.prod(axis=1, dtype=np.int64)
        table_first, table_of = self._distinct_tables(member)
        rows, columns = np.nonzero(member[table_first])
        counts = member[table_first].sum(axis=1)
        scope = self.scopes.append(counts, local[columns], strides[table_first][rows, columns])[table_of]
        card = 1 if variable is None else int(self.cards[variable])
        low = len(self._columns["size"])
        present = scopes >= 0
        columns_of_shapes = {
            "n_inputs": present.sum(axis=0),
            "card": np.full(len(size), card),
            "size": size,
            "variable": np.full(len(size), -1 if variable is None else variable),
            "scope": scope,
        }
        for name, values in columns_of_shapes.items():
            self._columns[name].append(values)
        tables = _Tables(local, strides[table_first], size[table_first], card, variable)
        self._append_pairs(tables, np.broadcast_to(table_of, scopes.shape).T[present.T], scopes.T[present.T])
        return np.arange(low, low + len(size)), scope

    def _distinct_tables(self, member: BoolArray) -> tuple[IntArray, IntArray]:
        if member.shape[1] == 0:
            return np.zeros(1, dtype=np.int64), np.zeros(len(member), dtype=np.int64)
        return distinct_rows(list(member.T))

    def _append_pairs(self, tables: "_Tables", table: IntArray, scope: IntArray) -> None:
        """Add the inputs of shapes, each a table and the scope that it is read through."""
        first, inverse = distinct_rows([table, scope])
        self._template.append(self._n_pairs + inverse)
        table, scope = table[first], scope[first]
        owner, variable, stride = self.scopes.entries(scope)
        summed = variable == tables.variable if tables.variable is not None else np.zeros(len(variable), dtype=bool)
        column = np.where(summed, 0, np.searchsorted(tables.local, variable))
        self._entry_pair.append(self._n_pairs + owner)
        self._entry_rank.append(np.arange(len(owner)) - np.searchsorted(owner, owner))
        self._entry_table_stride.append(
            np.where(summed, tables.size[table[owner]], tables.strides[table[owner], column])
        )
        self._entry_card.append(self.cards[variable])
        self._entry_stride.append(stride)
        self._pair_length.append(tables.card * tables.size[table])
        self._n_pairs += len(first)

    def freeze(self) -> Shapes:
        """Compute all templates, and return the table as arrays."""
        length = self._pair_length.values
        start = np.cumsum(length) - length
        templates = np.zeros(int(length.sum()), dtype=np.int32)
        pair, rank = self._entry_pair.values, self._entry_rank.values
        for position in range(int(rank.max(initial=-1)) + 1):
            for entry in _in_chunks(np.flatnonzero(rank == position), length[pair]):
                of = pair[entry]
                cell = ranges(np.zeros(len(of), dtype=np.int64), length[of])
                cell //= np.repeat(self._entry_table_stride.values[entry], length[of])
                cell %= np.repeat(self._entry_card.values[entry], length[of])
                cell *= np.repeat(self._entry_stride.values[entry], length[of])
                templates[ranges(start[of], length[of])] += cell.astype(np.int32)
        columns = {name: column.values.copy() for name, column in self._columns.items()}
        n_inputs = columns["n_inputs"]
        return Shapes(
            **columns,
            first_input=np.cumsum(n_inputs) - n_inputs,
            template=start[self._template.values],
            templates=templates,
        )


def _in_chunks(entries: IntArray, length: IntArray) -> list[IntArray]:
    """Cut a list of entries into pieces of bounded total length, for the sake of temporary arrays."""
    chunk = np.cumsum(length[entries]) // _CHUNK
    return np.split(entries, np.flatnonzero(np.diff(chunk)) + 1)


class _Tables(NamedTuple):
    """The distinct tables of some shapes: strides of the local variables, and sizes."""

    local: IntArray
    strides: IntArray
    size: IntArray
    card: int
    variable: int | None
