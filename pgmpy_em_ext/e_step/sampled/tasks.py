"""What is sampled and what stays exact: from distinct rows to the components that the kernels work on."""

from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.e_step.exact.compile import Roles
from pgmpy_em_ext.e_step.sampled.layout import NetworkArrays
from pgmpy_em_ext.types import BoolArray, FloatArray, IntArray


class Components(NamedTuple):
    """The components of missing variables of many rows.

    Attributes
    ----------
    of_cell : int ndarray of shape (n_rows, n_nodes)
        The component of each missing variable; -1 elsewhere.
    row : int ndarray of shape (n_components,)
        The row of each.
    largest, total : float ndarrays of shape (n_components,)
        Cells of the largest table of exact elimination, and of all its tables.
    """

    of_cell: IntArray
    row: IntArray
    largest: FloatArray
    total: FloatArray


class SamplingPlan(NamedTuple):
    """How much one E-step draws.

    Attributes
    ----------
    burn_in : int
        Sweeps before a new chain counts.
    thin : int
        Sweeps for each draw that is counted.
    n_batches : int
        Into which the draws are divided, to tell their error.
    n_tries : int
        Draws to find a start.
    limit : float
        Cells of a table at most.
    """

    burn_in: int
    thin: int
    n_batches: int
    n_tries: int
    limit: float


class Tasks(NamedTuple):
    """Components to sample, laid out for the kernels; see `planning.cover_components`.

    Attributes
    ----------
    chain : int ndarray of shape (n_tasks,)
        Row of the chains' states.
    row : int ndarray of shape (n_tasks,)
        Row of the evidence.
    number : int ndarray of shape (n_tasks,)
        From which its random numbers are made.
    weight : float ndarray of shape (n_tasks,)
        In records.
    node_first, node, family_first, family : int ndarrays
        The variables of each task, in the elimination order, and the families that contain them.
    block_first, block_node_first, block_node, block_family_first, block_family, block_share : ndarrays
        Its blocks.
    """

    chain: IntArray
    row: IntArray
    number: IntArray
    weight: FloatArray
    node_first: IntArray
    node: IntArray
    family_first: IntArray
    family: IntArray
    block_first: IntArray
    block_node_first: IntArray
    block_node: IntArray
    block_family_first: IntArray
    block_family: IntArray
    block_share: FloatArray

    @property
    def n_tasks(self) -> int:
        """Number of components."""
        return len(self.row)

    @property
    def chain_rows(self) -> IntArray:
        """The row of the evidence that each chain completes."""
        return np.unique(self.row)


def find_components(net: NetworkArrays, roles: Roles) -> Components:
    """Find what families join in each row, and predict what exact elimination of it takes.

    Notes
    -----
    Time: linear in the missing variables of all rows and in the sizes of their scopes; no table is made.
    """
    from pgmpy_em_ext.e_step.sampled.planning import measure_rows  # needs numba

    alive, absent = np.ascontiguousarray(roles.alive), np.ascontiguousarray(roles.dead)
    return Components(*measure_rows(net, alive, absent))


def remaining_roles(net: NetworkArrays, roles: Roles, taken: BoolArray) -> Roles:
    """Leave some variables to others: they are not eliminated, and the families that contain them are left out.

    Parameters
    ----------
    taken : bool ndarray of shape (n_rows, n_nodes)
        Whole components.
    """
    dead = roles.dead.copy(order="K")
    for family in range(len(net.card)):
        for member in net.member[net.member_first[family] : net.member_first[family + 1]].tolist():
            dead[:, family] |= taken[:, member]
    return Roles(roles.alive & ~taken, dead)


def make_tasks(
    net: NetworkArrays, roles: Roles, weight: FloatArray, components: Components, chosen: BoolArray, limit: float
) -> Tasks:
    """Lay some components out, each covered with blocks.

    Parameters
    ----------
    net : NetworkArrays
        The network, with the elimination order.
    roles : Roles
        What each row's variables are.
    weight : float ndarray of shape (n_rows,)
        Of the rows, in records.
    components : Components
        All of them.
    chosen : bool ndarray of shape (n_components,)
        Which are to be sampled.
    limit : float
        Cells of a block's tables at most.
    """
    from pgmpy_em_ext.e_step.sampled.planning import cover_components  # needs numba

    number = np.flatnonzero(chosen)
    place = np.argsort(net.order)
    rows, nodes = np.nonzero((components.of_cell >= 0) & np.append(chosen, False)[components.of_cell])
    owner = components.of_cell[rows, nodes]
    by_owner = np.lexsort((place[nodes], owner))
    node_first = np.searchsorted(owner[by_owner], np.append(number, len(chosen)))
    row = components.row[number]
    blocks = cover_components(
        net, nodes[by_owner], node_first, np.ascontiguousarray(roles.dead[row]), np.float64(limit)
    )
    family_first, family, *blocks = blocks
    chain = np.searchsorted(np.unique(row), row)
    return Tasks(chain, row, number, weight[row], node_first, nodes[by_owner], family_first, family, *blocks)
