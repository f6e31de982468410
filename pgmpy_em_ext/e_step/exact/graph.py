"""The compiled elimination graph: what the sweeps read."""

from typing import NamedTuple

from pgmpy_em_ext.types import BoolArray, FloatArray, IntArray


class Group(NamedTuple):
    """Elimination steps of one level that have equally many inputs and states to sum over.

    A step multiplies its inputs, entries of the value vector, over its table and
    sums out one variable; a step with ``card == 1`` only multiplies. The tables of
    all steps of the group stand side by side: column t of the index arrays is one
    scope configuration of one step.

    Attributes
    ----------
    inputs : int ndarray of shape (n_inputs, card, n_columns)
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
    variable : int ndarray of shape (n_steps,)
        The variable that is summed out, or -1.
    scope : int ndarray of shape (n_steps,)
        Index into ``EliminationGraph.scopes``.
    """

    inputs: IntArray
    start: IntArray
    size: IntArray
    output: slice
    weight: FloatArray
    is_root: BoolArray
    row: IntArray
    variable: IntArray
    scope: IntArray


class Scope(NamedTuple):
    """The variables of a table and their strides, in entries."""

    variables: tuple[int, ...]
    strides: tuple[int, ...]


class EliminationGraph(NamedTuple):
    """Everything an exact E-step needs of the data.

    Attributes
    ----------
    base_counts : float ndarray of shape (n_cells,)
        Counts of the families that are fully observed: the same in every iteration.
    groups : tuple of Group
        In an order in which inputs precede their use.
    n_values : int
        Length of the value vector: parameters, then messages.
    scopes : tuple of Scope
        The distinct table layouts.
    """

    base_counts: FloatArray
    groups: tuple[Group, ...]
    n_values: int
    scopes: tuple[Scope, ...]

    @property
    def n_steps(self) -> int:
        """Number of distinct elimination steps."""
        return sum(len(group.start) for group in self.groups)

    @property
    def n_roots(self) -> int:
        """Number of distinct local problems: components of missing variables with their evidence."""
        return sum(int(group.is_root.sum()) for group in self.groups)

    @property
    def n_table_cells(self) -> int:
        """Number of table cells that one sweep computes."""
        return sum(group.inputs[0].size for group in self.groups)
