"""What the sampled engines prepare: the exact part of the rows, and the rest laid out for the kernels."""

import logging
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pgmpy_em_ext.e_step.exact import ExactEStep
from pgmpy_em_ext.e_step.exact.compile import Roles, find_roles
from pgmpy_em_ext.e_step.exact.engine import ExactPlan
from pgmpy_em_ext.e_step.exact.order import rank_orders
from pgmpy_em_ext.e_step.sampled.layout import NetworkArrays, flat_arrays
from pgmpy_em_ext.e_step.sampled.tasks import (
    Components,
    Tasks,
    find_components,
    make_tasks,
    remaining_roles,
    without_single_states,
)
from pgmpy_em_ext.exceptions import MemoryBudgetError
from pgmpy_em_ext.network import Network
from pgmpy_em_ext.types import BoolArray, Evidence, FloatArray, IntArray

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
    roles = find_roles(network, evidence.codes, prune_barren=exact.prune_barren)
    net = flat_arrays(network, rank_orders(network, *roles)[0])
    filled = evidence._replace(codes=without_single_states(net, evidence.codes))
    roles = find_roles(network, filled.codes, prune_barren=exact.prune_barren)
    components = find_components(net, roles)
    exact_plan, left = _prepare_exact(network, evidence, filled, exact, net, roles, components, limit)
    return _lay_out(network, filled, net, exact_plan, roles, components, left, limit)


def lay_out_all(network: Network, codes: IntArray, *, prune_barren: bool, limit: float) -> SampledPlan:
    """Leave nothing to exact inference: every component of every row is a task, for questions about rows.

    Parameters
    ----------
    network : Network
        Structure and layout.
    codes : int ndarray of shape (n_rows, n_nodes)
        Rows, -1 where missing.
    prune_barren : bool
        Whether barren variables drop out.
    limit : float
        Cells of a table at most.
    """
    roles = find_roles(network, codes, prune_barren=prune_barren)
    net = flat_arrays(network, rank_orders(network, *roles)[0])
    filled = Evidence(without_single_states(net, codes), np.ones(len(codes)), np.arange(len(codes)))
    roles = find_roles(network, filled.codes, prune_barren=prune_barren)
    components = find_components(net, roles)
    everything = np.ones(len(components.row), dtype=bool)
    return _lay_out(network, filled, net, None, roles, components, everything, limit)


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
