"""What the sampled engines prepare: the exact part of the rows, and the rest laid out for the kernels."""

import logging
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pgmpy_em_ext._tools.packing import hash_rows
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.e_step.exact import ExactEStep
from pgmpy_em_ext.e_step.exact.compile import Roles
from pgmpy_em_ext.e_step.exact.engine import ExactPlan
from pgmpy_em_ext.e_step.sampled.layout import NetworkArrays, lay_out_rows
from pgmpy_em_ext.e_step.sampled.tasks import (
    Components,
    Tasks,
    find_components,
    make_tasks,
    remaining_roles,
)
from pgmpy_em_ext.exceptions import MemoryBudgetError
from pgmpy_em_ext.types import BoolArray, FloatArray, IntArray

logger = logging.getLogger(__name__)

MAX_CHUNKS = 8
"""Parts into which the components are cut, for threads; the cut does not depend on how many there are."""


class SampledPlan(NamedTuple):
    """What the engines of this folder prepare.

    Attributes
    ----------
    network, evidence
        For messages.
    net : NetworkArrays
        The network, for the kernels.
    exact : ExactPlan or None
        What needs no sampling; None where only questions about rows are asked.
    tasks : Tasks
        What does.
    codes : int ndarray of shape (n_chains, n_nodes)
        Rows of which a part is sampled, -1 where missing.
    chunks : tuple of (int, int)
        First task and end of each part.
    is_noisy : bool ndarray of shape (n_nodes,)
        Families whose counts are sampled.
    largest_table : float
        Cells of the largest table that exact elimination would have taken.
    """

    network: Network
    evidence: Evidence
    net: NetworkArrays
    exact: ExactPlan | None
    tasks: Tasks
    codes: IntArray
    chunks: tuple[tuple[int, int], ...]
    is_noisy: BoolArray
    largest_table: float


def make_sampled_plan(network: Network, evidence: Evidence, exact: ExactEStep, limit: float) -> SampledPlan:
    """Divide rows into what is exact and what is sampled.

    Parameters
    ----------
    network, evidence
        As in `EStep.prepare`.
    exact : ExactEStep
        Computes the exact part; its memory decides how much that is.
    limit : float
        Cells of a table at most.
    """
    net, roles, codes = lay_out_rows(network, evidence.codes, prune_barren=exact.prune_barren)
    filled = evidence._replace(codes=codes)
    components = find_components(net, roles)
    exact_plan, left = _prepare_exact(network, evidence, filled, exact, net, roles, components, limit)
    return _lay_out(network, filled, net, exact_plan, roles, components, left, limit)


def lay_out_all(
    network: Network,
    codes: IntArray,
    numbers: IntArray,
    copies: IntArray,
    order: Sequence[int],
    *,
    prune_barren: bool,
    limit: float,
) -> SampledPlan:
    """Leave nothing to exact inference: every component of every row is a task, for questions about rows.

    A row's random numbers come from its own codes, and the elimination order is given, so that no answer depends on
    the rows beside it.

    Parameters
    ----------
    network : Network
        Structure and layout.
    codes : int ndarray of shape (n_rows, n_nodes)
        Rows, -1 where missing.
    numbers : int ndarray of shape (n_rows,)
        Position of each in the user's table, for messages.
    copies : int ndarray of shape (n_rows,)
        How many equal rows came before: what tells the draws of equal rows apart.
    order : sequence of int
        The elimination order.
    prune_barren : bool
        Whether barren variables drop out.
    limit : float
        Cells of a table at most.
    """
    net, roles, codes = lay_out_rows(network, codes, prune_barren=prune_barren, order=order)
    rows = Evidence(codes, np.ones(len(codes)), numbers)
    components = find_components(net, roles)
    everything = np.ones(len(components.row), dtype=bool)
    plan = _lay_out(network, rows, net, None, roles, components, everything, limit)
    first = plan.tasks.node[plan.tasks.node_first[:-1]]
    own = hash_rows(np.column_stack([codes[plan.tasks.row], first, copies[plan.tasks.row]]))
    return plan._replace(tasks=plan.tasks._replace(number=own))


def _lay_out(
    network: Network,
    evidence: Evidence,
    net: NetworkArrays,
    exact: ExactPlan | None,
    roles: Roles,
    components: Components,
    left: BoolArray,
    limit: float,
) -> SampledPlan:
    """Put a plan together, given the components that are left to sample."""
    tasks = make_tasks(net, roles, evidence.weight, components, left, limit)
    is_noisy = np.zeros(network.n_nodes, dtype=bool)
    several = np.repeat(np.diff(tasks.block_first) > 1, np.diff(tasks.family_first))
    is_noisy[tasks.family[several]] = True
    return SampledPlan(
        network,
        evidence,
        net,
        exact,
        tasks,
        np.ascontiguousarray(evidence.codes[tasks.chain_rows]),
        _cut(components.total[left]),
        is_noisy,
        float(components.largest.max(initial=0.0)),
    )


def _prepare_exact(
    network: Network,
    evidence: Evidence,
    filled: Evidence,
    exact: ExactEStep,
    net: NetworkArrays,
    roles: Roles,
    components: Components,
    limit: float,
) -> tuple[ExactPlan, BoolArray]:
    """Compile what fits; where memory does not suffice for all of that, only components with smaller tables.

    Returns
    -------
    plan : ExactPlan
        Of the exact part.
    left : bool ndarray of shape (n_components,)
        Components that are not in it.
    """
    while True:
        left = components.largest > limit
        taken = (components.of_cell >= 0) & np.append(left, False)[components.of_cell]
        try:
            if not left.any():  # the very plan of exact inference
                return exact.prepare(network, evidence), left
            return exact.prepare_part(network, filled, remaining_roles(net, roles, taken)), left
        except MemoryBudgetError:
            if left.all() or np.isinf(limit):  # without a limit there is nothing to sample instead
                raise
            limit = components.largest[~left].max() / 4
            logger.info("The exact part exceeds its memory budget: only tables of %d cells are compiled.", limit)


def _cut(work: FloatArray) -> tuple[tuple[int, int], ...]:
    """Cut tasks into parts of about equal work."""
    n_chunks = min(MAX_CHUNKS, len(work))
    if n_chunks == 0:
        return ()
    done = np.cumsum(work)
    ends = np.searchsorted(done, done[-1] * np.arange(1, n_chunks + 1) / n_chunks * (1 - 1e-12)) + 1
    edges = np.unique(np.minimum(np.append(0, ends), len(work))).tolist()
    return tuple(pairwise(edges))
