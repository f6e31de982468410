"""The compiled elimination graph: what every backend's sweeps are made from."""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.e_step.statistics import Blocks
from pgmpy_em_ext.types import BoolArray, FloatArray, IntArray


class Scopes(NamedTuple):
    """The variables that factors and tables range over, and their strides, ragged.

    Scope s has the entries ``first[s]:first[s + 1]`` of ``variable`` and ``stride``.
    """

    first: IntArray
    variable: IntArray
    stride: IntArray


class Shapes(NamedTuple):
    """What steps have in common: the table's axes, and how each input is read over it.

    A step's table has ``card`` times ``size`` cells, the scope's configurations side by
    side for each state of the variable that is summed out. Cell i of the table reads, of
    input j, the entry ``templates[template[first_input + j] + i]``, counted from that
    input's own first entry.

    Attributes
    ----------
    n_inputs : int ndarray of shape (n_shapes,)
        Factors that are multiplied.
    card : int ndarray of shape (n_shapes,)
        States that are summed out; 1 where a step only multiplies.
    size : int ndarray of shape (n_shapes,)
        Scope configurations: the length of the message.
    variable : int ndarray of shape (n_shapes,)
        The variable that is summed out, or -1.
    scope : int ndarray of shape (n_shapes,)
        Index into the graph's scopes.
    first_input : int ndarray of shape (n_shapes,)
        Start of the shape's inputs in ``template``.
    template : int ndarray of shape (total of n_inputs,)
        Start of each input's template in ``templates``.
    templates : int32 ndarray
        Relative positions.
    """

    n_inputs: IntArray
    card: IntArray
    size: IntArray
    variable: IntArray
    scope: IntArray
    first_input: IntArray
    template: IntArray
    templates: IntArray


class Steps(NamedTuple):
    """The distinct elimination steps; a step's inputs come before it.

    Attributes
    ----------
    shape : int ndarray of shape (n_steps,)
        Index into the shapes.
    weight : float ndarray of shape (n_steps,)
        Total weight of the rows that use the step, in records.
    row : int ndarray of shape (n_steps,)
        Position in the evidence of one row that uses the step.
    level : int ndarray of shape (n_steps,)
        One more than the highest level among the steps whose messages it reads.
    target : int ndarray of shape (n_steps,)
        The variable whose elimination the step belongs to.
    first_input : int ndarray of shape (n_steps,)
        Start of the step's inputs in ``source``.
    source : int ndarray of shape (total number of inputs,)
        Where an input comes from: the position in the parameters of a CPD slice's first
        entry; or, negative, ``-1 - step`` for the message of an earlier step.
    """

    shape: IntArray
    weight: FloatArray
    row: IntArray
    level: IntArray
    target: IntArray
    first_input: IntArray
    source: IntArray


class EliminationGraph(NamedTuple):
    """Everything an exact E-step needs of the data.

    Attributes
    ----------
    base_counts : float ndarray of shape (n_cells,)
        Counts of the families that are fully observed: the same in every iteration.
    steps : Steps
        What is computed in every iteration.
    shapes : Shapes
        How.
    scopes : Scopes
        The layouts of the tables.
    blocks : Blocks
        Which families the steps join.
    order : tuple of int
        In which the variables were eliminated.
    """

    base_counts: FloatArray
    steps: Steps
    shapes: Shapes
    scopes: Scopes
    blocks: Blocks
    order: tuple[int, ...]

    @property
    def n_steps(self) -> int:
        """Number of distinct elimination steps."""
        return len(self.steps.shape)

    @property
    def block_of_step(self) -> IntArray:
        """The independent block of each step."""
        return self.blocks.of_family[self.steps.target]

    @property
    def n_reads(self) -> int:
        """Number of factors that one sweep reads: what its time goes with."""
        return int((self.shapes.n_inputs * self.shapes.card * self.shapes.size)[self.steps.shape].sum())

    @property
    def is_root(self) -> BoolArray:
        """Mark the steps whose scope is empty: nothing consumes their message."""
        return np.diff(self.scopes.first)[self.shapes.scope[self.steps.shape]] == 0

    @property
    def n_roots(self) -> int:
        """Number of distinct local problems: components of missing variables with their evidence."""
        return int(self.is_root.sum())

    @property
    def n_table_cells(self) -> int:
        """Number of table cells that one sweep computes."""
        return int((self.shapes.card * self.shapes.size)[self.steps.shape].sum())
