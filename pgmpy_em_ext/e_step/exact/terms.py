"""Terms: the factors that elimination steps multiply, each a slice of a CPD or an earlier message."""

import numpy as np

from pgmpy_em_ext._tools.packing import ranges
from pgmpy_em_ext.e_step.exact.graph import Scopes
from pgmpy_em_ext.types import IntArray


class GrowingArray:
    """An array that is appended to, in amortised constant time an entry."""

    def __init__(self, dtype: type = np.int64) -> None:
        self._data: IntArray = np.empty(1024, dtype=dtype)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def values(self) -> IntArray:
        """What has been appended: a view, good until the next append."""
        return self._data[: self._length]

    def append(self, values: IntArray) -> None:
        """Append an array."""
        end = self._length + len(values)
        if end > len(self._data):
            larger = np.empty(max(end, 2 * len(self._data)), dtype=self._data.dtype)
            larger[: self._length] = self.values
            self._data = larger
        self._data[self._length : end] = values
        self._length = end


class ScopeTable:
    """A growing table of scopes: which variables, with which strides."""

    def __init__(self) -> None:
        self._first = GrowingArray()
        self._first.append(np.zeros(1, dtype=np.int64))
        self._variable = GrowingArray(np.int32)
        self._stride = GrowingArray()

    def append(self, counts: IntArray, variables: IntArray, strides: IntArray) -> IntArray:
        """Add scopes of ``counts`` variables each, their entries one after the other; returns their numbers."""
        low = len(self._first) - 1
        self._first.append(len(self._variable) + np.cumsum(counts))
        self._variable.append(variables)
        self._stride.append(strides)
        return np.arange(low, low + len(counts))

    def entries(self, scopes: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Give all entries of some scopes: the position of the scope in the argument, variable and stride."""
        first = self._first.values
        counts = first[scopes + 1] - first[scopes]
        chosen = ranges(first[scopes], counts)
        return np.repeat(np.arange(len(scopes)), counts), self._variable.values[chosen], self._stride.values[chosen]

    def freeze(self) -> Scopes:
        """Return the table as arrays."""
        return Scopes(self._first.values.copy(), self._variable.values.copy(), self._stride.values.copy())


class TermTable:
    """A growing table of distinct factors.

    A term's identity is its number. It has a scope; a source, as in `Steps`; and the
    level of the step that it depends on, 0 for a slice of a CPD.
    """

    def __init__(self) -> None:
        self._scope, self._source, self._level = GrowingArray(), GrowingArray(), GrowingArray()

    def append(self, scope: IntArray, source: IntArray, level: IntArray) -> IntArray:
        """Add terms and return their numbers."""
        low = len(self._scope)
        self._scope.append(scope)
        self._source.append(source)
        self._level.append(level)
        return np.arange(low, len(self._scope), dtype=np.int32)

    def scope_of(self, terms: IntArray) -> IntArray:
        """Give the scopes of many terms; -1 for the absent term -1."""
        return np.where(terms >= 0, self._scope.values[terms], -1)

    def source_of(self, terms: IntArray) -> IntArray:
        """Give the sources of many terms."""
        return self._source.values[terms]

    def level_of(self, terms: IntArray) -> IntArray:
        """Give the levels of many terms; 0 for the absent term -1."""
        return np.where(terms >= 0, self._level.values[terms], 0)
