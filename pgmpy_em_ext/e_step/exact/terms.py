"""Terms: the factors that elimination steps multiply, each a slice of a CPD or an earlier message."""

import numpy as np

from pgmpy_em_ext.e_step.exact.graph import Scope
from pgmpy_em_ext.types import IntArray


class TermTable:
    """A growing table of distinct factors, and the layouts that they share.

    A term's identity is its number. Its layout says over which variables it ranges,
    and with which strides; its offset says where its first entry stands in the value
    vector; its level is one more than that of the deepest step that it depends on.
    """

    def __init__(self) -> None:
        self.layouts: list[Scope] = []
        self._layout_index: dict[Scope, int] = {}
        self._columns = np.empty((3, 1024), dtype=np.int64)
        self._length = 0

    def layout(self, scope: Scope) -> int:
        """Give a layout its number, the same for the same layout."""
        found = self._layout_index.get(scope)
        if found is None:
            found = len(self.layouts)
            self._layout_index[scope] = found
            self.layouts.append(scope)
        return found

    def append(self, layout: IntArray | int, offset: IntArray, level: IntArray | int) -> IntArray:
        """Add terms and return their numbers."""
        end = self._length + len(offset)
        while end > self._columns.shape[1]:
            self._columns = np.concatenate([self._columns, np.empty_like(self._columns)], axis=1)
        self._columns[0, self._length : end] = layout
        self._columns[1, self._length : end] = offset
        self._columns[2, self._length : end] = level
        numbers = np.arange(self._length, end)
        self._length = end
        return numbers

    def layout_of(self, terms: IntArray) -> IntArray:
        """Layouts of many terms; -1 for the absent term -1."""
        return np.where(terms >= 0, self._columns[0, terms], -1)

    def offset_of(self, terms: IntArray) -> IntArray:
        """Offsets of many terms."""
        return self._columns[1, terms]

    def level_of(self, terms: IntArray) -> IntArray:
        """Levels of many terms; 0 for the absent term -1."""
        return np.where(terms >= 0, self._columns[2, terms], 0)
