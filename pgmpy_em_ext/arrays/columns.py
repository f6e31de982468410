"""Columns of CPDs by their numbers, each named only when it is asked for: there may be millions."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple, overload

import numpy as np

from pgmpy_em_ext.types import CPDColumn, IntArray

N_SHOWN = 20
"""Columns that a list's text shows all of; of a longer one the first `N_FIRST`."""

N_FIRST = 3

BATCH = 1024
"""Columns that are named at once by whoever goes through a list."""


class ColumnGroup(NamedTuple):
    """Columns of one variable.

    Attributes
    ----------
    variable : hashable
        The child.
    parents : tuple of hashables
        Its discrete parents.
    state_names : tuple of tuples
        Their states.
    positions : int ndarray
        Numbers of parent configurations, of which the first parent's state changes slowest.
    """

    variable: Hashable
    parents: tuple[Hashable, ...]
    state_names: tuple[tuple[Hashable, ...], ...]
    positions: IntArray

    def name(self, chosen: slice) -> list[CPDColumn]:
        """Name some of the columns."""
        positions = self.positions[chosen]
        if not self.parents:
            return [CPDColumn(self.variable, {}) for _ in positions]
        digits = np.unravel_index(positions, [len(states) for states in self.state_names])
        named = [
            [states[digit] for digit in column.tolist()]
            for states, column in zip(self.state_names, digits, strict=True)
        ]
        return [
            CPDColumn(self.variable, dict(zip(self.parents, states, strict=True)))
            for states in zip(*named, strict=True)
        ]


class ColumnList(Sequence[CPDColumn]):
    """A read-only list of `CPDColumn`, equal to a plain list of the same columns.

    Eight bytes a column are kept; ``list(columns)`` makes them all.

    Parameters
    ----------
    groups : iterable of ColumnGroup
        The columns, in their order.

    Examples
    --------
    >>> columns = ColumnList([ColumnGroup("C", ("A",), (("x", "y"),), np.arange(2))])
    >>> columns[1]
    CPDColumn(variable='C', parents={'A': 'y'})
    >>> columns == [CPDColumn("C", {"A": "x"}), CPDColumn("C", {"A": "y"})], len(columns[1:])
    (True, 1)
    """

    __hash__ = None  # type: ignore[assignment]  # as a list's

    def __init__(self, groups: Iterable[ColumnGroup] = ()) -> None:
        self._groups = tuple(group for group in groups if len(group.positions))

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(len(group.positions) for group in self._groups))

    def __len__(self) -> int:
        """Count the columns."""
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[CPDColumn]:
        """Name the columns one after the other."""
        for group in self._groups:
            for first in range(0, len(group.positions), BATCH):
                yield from group.name(slice(first, first + BATCH))

    @overload
    def __getitem__(self, index: int) -> CPDColumn: ...
    @overload
    def __getitem__(self, index: slice) -> "ColumnList": ...
    def __getitem__(self, index: int | slice) -> "CPDColumn | ColumnList":
        """Name a column, or take some."""
        numbers = range(len(self))[index]  # or an IndexError, as a list's
        if isinstance(numbers, range):
            return self._take(np.asarray(numbers, dtype=np.int64))
        return next(iter(self._take(np.array([numbers]))))

    def _take(self, numbers: IntArray) -> "ColumnList":
        """Take columns by their numbers, which rise or fall."""
        group_of = np.searchsorted(self._ends, numbers, side="right")
        starts = [0, *self._ends[:-1]]
        present = np.unique(group_of).tolist()
        if len(numbers) > 1 and numbers[1] < numbers[0]:
            present.reverse()
        return ColumnList(
            self._groups[place]._replace(
                positions=self._groups[place].positions[numbers[group_of == place] - starts[place]]
            )
            for place in present
        )

    def __add__(self, other: "ColumnList") -> "ColumnList":
        """Put the columns of another list behind these."""
        return ColumnList((*self._groups, *other._groups))

    def __eq__(self, other: object) -> bool:
        """Compare with a list of columns of any kind."""
        if not isinstance(other, (ColumnList, list)):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    def __repr__(self) -> str:
        """Show a short list as a list, of a long one the beginning and the length."""
        if len(self) <= N_SHOWN:
            return repr(list(self))
        shown = ", ".join(map(repr, self[:N_FIRST]))
        return f"[{shown}, ... {len(self):,} columns in all]"
