"""The E-step of networks with continuous variables: what is missing is summed and integrated out, exactly."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from joblib import effective_n_jobs

from pgmpy_em_ext._tools.checks import check_integer, check_n_jobs
from pgmpy_em_ext.arrays.mixed import HybridNetwork, HybridRows
from pgmpy_em_ext.data.reduction import take_evidence
from pgmpy_em_ext.e_step._base import EStep
from pgmpy_em_ext.e_step.exact import ExactEStep
from pgmpy_em_ext.e_step.exact.engine import ExactPlan
from pgmpy_em_ext.e_step.mixed.direct import DirectGroup, DirectSums, prepare_direct, sum_directly
from pgmpy_em_ext.e_step.mixed.layout import Layout, add_evidence_nodes, lay_out_rows
from pgmpy_em_ext.e_step.statistics import Blocks, ExpectedStatistics
from pgmpy_em_ext.exceptions import ImpossibleEvidenceError, MemoryBudgetError, OutOfRangeError
from pgmpy_em_ext.types import BoolArray, FloatArray, IntArray

T = TypeVar("T")

N_CHUNKS = 8
"""Parts into which rows are cut, for threads; the cut does not depend on how many there are."""


class Parts(NamedTuple):
    """Independent blocks: one of all continuous families and whatever speaks of them, and those of other discrete ones.

    Attributes
    ----------
    blocks : Blocks
        Of all families.
    of_discrete : int ndarray
        For each block of the discrete engine, and what is outside them, its block here.
    own : int
        The block of the continuous families; that outside all blocks, where these need no inference.
    """

    blocks: Blocks
    of_discrete: IntArray
    own: int


_NO_PARTS = Parts(Blocks(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), 0), np.zeros(1, dtype=np.int64), 0)


class HybridPlan(NamedTuple):
    """What is prepared once.

    Attributes
    ----------
    network : HybridNetwork
        Structure and layout.
    rows : HybridRows
        The data.
    values : float ndarray of shape (n_continuous, n_rows)
        Its continuous values, by variable, rows that are alike side by side.
    alone : float ndarray of shape (n_kept_entries,)
        Weights of the tasks that speak of nothing discrete; 0 for those of the groups.
    layout : Layout
        The rows' continuous parts, those that are alike together.
    direct : tuple of DirectGroup
        Rows whose discrete completions are summed up directly.
    discrete : ExactPlan or None
        The discrete part of the other rows, in which the continuous values are evidence; None where there is none.
    parts : Parts
        Which families the data joins.
    """

    network: HybridNetwork
    rows: HybridRows
    values: FloatArray
    alone: FloatArray
    layout: Layout
    direct: tuple[DirectGroup, ...]
    discrete: ExactPlan | None
    parts: Parts


class Densities(NamedTuple):
    """What the continuous values say of the missing discrete variables.

    Attributes
    ----------
    factors : float ndarray of shape (n_group_entries,)
        Densities, of which each task's largest is 1.
    log_likelihood : float ndarray of shape (n_rows,)
        What was divided out, and the densities that depend on nothing: to be added to each row's, in nats.
    """

    factors: FloatArray
    log_likelihood: FloatArray


class Responsibilities(NamedTuple):
    """What the sum over the missing discrete variables yields.

    Attributes
    ----------
    counts : float ndarray of shape (n_cells,)
        Expected counts of the discrete families.
    shares : float ndarray of shape (n_group_entries,), or (n_entries,)
        Expected records of each task under every configuration of what it speaks of: those of the groups to eliminate;
        or of all, where those summed up directly were asked for too.
    factors : float ndarray of shape (n_group_entries,)
        The densities of the groups to eliminate, scaled.
    log_likelihood : float
        Of all rows, but for what the discrete engine tells, in nats.
    moments : float ndarray
        Expected moments of the tasks that speak of nothing discrete, and of those summed up directly.
    by_discrete_block : float ndarray or None
        What it tells of each of its blocks; None where there is nothing for it to do.
    """

    counts: FloatArray
    shares: FloatArray
    factors: FloatArray
    log_likelihood: float
    moments: FloatArray
    by_discrete_block: FloatArray | None


class HybridEStep(EStep):
    """Integrate missing continuous variables out, and sum over missing discrete ones.

    Given the discrete variables, a row's continuous ones are normal. So what it observes of them is, after
    integration, a factor over those missing discrete variables that its continuous families depend on: evidence, which
    the exact discrete engine takes in as a further node. The responsibilities that come back weigh the moments.

    Parameters
    ----------
    n_jobs : int, optional
        Threads, as joblib has it. By default one.
    memory_budget : int
        Bytes, as in `ExactEStep`.

    Notes
    -----
    Time: rows that miss the same variables, under the same configuration of discrete parents, share a Cholesky
    factor, which is cubic in the missing continuous variables that have an observed descendant; for each row and
    configuration of the missing discrete variables, linear in the families.

    References
    ----------
    Lauritzen (1992), J. Am. Stat. Assoc. 87(420), 1098-1108 (mixed networks). Dempster, Laird & Rubin (1977), J. R.
    Stat. Soc. B 39(1), section 4.1.3. Little & Rubin (2019), Statistical Analysis with Missing Data, chapter 14.

    Examples
    --------
    A normal variable of which one value of three is missing: no value tells anything of it, so that it counts
    for nothing.

    >>> from pgmpy_em_ext.arrays.gaussian import lay_out_families
    >>> from pgmpy_em_ext.arrays.mixed import continuous_network, continuous_rows
    >>> network = continuous_network(lay_out_families([[]], [1]))
    >>> rows = continuous_rows(np.array([[1.0], [3.0], [np.nan]]))
    >>> engine = HybridEStep()
    >>> statistics = engine.expected_statistics(engine.prepare(network, rows), np.array([2.0, 1.0]))
    >>> statistics.counts  # records, the sum of their residuals, and that of their squares
    array([2., 0., 2.])
    >>> round(statistics.log_likelihood, 4)
    -2.8379
    """

    def __init__(self, n_jobs: int | None = None, memory_budget: int = 2**32) -> None:
        self.n_jobs = n_jobs
        self.memory_budget = memory_budget
        super().__init__()

    def prepare(  # type: ignore[override]
        self, network: HybridNetwork, evidence: HybridRows, *, prune_barren: bool = True, directly: bool = True
    ) -> HybridPlan:
        """Lay the rows out, those that are alike together; see `EStep.prepare` and `lay_out`.

        Parameters
        ----------
        network : HybridNetwork
            Structure and layout.
        evidence : HybridRows
            The data.
        prune_barren : bool
            As in `lay_out`.
        directly : bool
            Whether the completions of rows that allow it are summed up directly; else all rows are compiled.
        """
        plan = self.lay_out(network, evidence, prune_barren=prune_barren, directly=directly)
        is_direct = np.zeros(len(evidence.weight), dtype=bool)
        for direct in plan.direct:
            is_direct[direct.row] = True
        if network.n_discrete and not is_direct.all():
            problem = add_evidence_nodes(network.discrete, evidence, plan.layout)
            others = take_evidence(problem.evidence, np.flatnonzero(~is_direct))
            plan = plan._replace(discrete=self._discrete_engine().prepare(problem.network, others))
        return plan._replace(parts=find_parts(network, plan))

    def lay_out(
        self, network: HybridNetwork, rows: HybridRows, *, prune_barren: bool = True, directly: bool = False
    ) -> HybridPlan:
        """Prepare all but the work of the discrete engine: enough for `log_densities`.

        Parameters
        ----------
        network, rows
            As in `prepare`.
        prune_barren : bool
            Whether missing continuous variables that nothing observed depends on drop out.
        directly : bool
            As in `prepare`.
        """
        check_n_jobs(self.n_jobs, optional=True)
        check_integer("memory_budget", self.memory_budget, low=1)
        layout = lay_out_rows(
            network, rows, prune_barren=prune_barren, directly=directly, memory_budget=self.memory_budget
        )
        values = np.ascontiguousarray(rows.values[layout.by_pattern].T)
        alone = np.zeros(layout.n_kept_entries)
        alone[layout.n_group_entries :] = rows.weight[layout.single_tasks]
        direct = tuple(prepare_direct(network, rows, group, layout) for group in layout.direct_groups)
        return HybridPlan(network, rows, values, alone, layout, direct, None, _NO_PARTS)

    def reweighted(self, plan: HybridPlan, weight: FloatArray) -> HybridPlan:
        """Give the rows other weights; see `EStep.reweighted`."""
        alone = plan.alone.copy()
        alone[plan.layout.n_group_entries :] = weight[plan.layout.single_tasks]
        direct = tuple(each._replace(weight=weight[each.row]) for each in plan.direct)
        discrete = plan.discrete
        if discrete is not None:
            is_compiled = np.ones(len(weight), dtype=bool)
            is_compiled[[row for each in direct for row in each.row]] = False
            discrete = self._discrete_engine().reweighted(discrete, weight[is_compiled])
        rows = plan.rows._replace(weight=weight)
        return plan._replace(rows=rows, alone=alone, direct=direct, discrete=discrete)

    def row_weights(self, plan: HybridPlan) -> FloatArray:
        """Give the weights of the distinct rows; see `EStep.row_weights`."""
        return plan.rows.weight

    def blocks(self, plan: HybridPlan) -> Blocks:
        """Tell which families the data joins; see `EStep.blocks`."""
        return plan.parts.blocks

    def without_zeros(self, plan: HybridPlan, zero: BoolArray) -> HybridPlan:
        """Use that some entries of discrete CPDs are zero and stay so; see `EStep.without_zeros`."""
        if plan.discrete is None:
            return plan
        n_cells = plan.network.n_cells
        whole = np.zeros(plan.discrete.network.n_cells, dtype=bool)
        whole[:n_cells] = zero[:n_cells]
        return plan._replace(discrete=self._discrete_engine().without_zeros(plan.discrete, whole))

    def expected_statistics(
        self, plan: HybridPlan, parameters: FloatArray, active: BoolArray | None = None
    ) -> ExpectedStatistics:
        """Compute expected counts and moments, and the log-likelihood; see `EStep.expected_statistics`."""
        found = self.responsibilities(plan, parameters, active)
        n_cells, parts = plan.network.n_cells, plan.parts
        by_block = np.zeros(parts.blocks.n_blocks + 1)
        if found.by_discrete_block is not None:
            np.add.at(by_block, parts.of_discrete, found.by_discrete_block)
        moments = found.moments
        if active is None or active[parts.own]:
            by_block[parts.own] += found.log_likelihood
            moments = moments + self._sweep(plan, parameters[n_cells:], 0, plan.layout.n_grouped, shares=found.shares)
        counts = np.concatenate([found.counts, moments])
        return ExpectedStatistics(counts, float(by_block.sum()), by_block)

    def responsibilities(
        self,
        plan: HybridPlan,
        parameters: FloatArray,
        active: BoolArray | None = None,
        *,
        keep_direct: bool = False,
    ) -> Responsibilities:
        """Sum over the missing discrete variables.

        Parameters
        ----------
        plan, parameters, active
            As in `expected_statistics`.
        keep_direct : bool
            Whether the responsibilities of the tasks that are summed up directly are wanted, one by one.

        Raises
        ------
        ImpossibleEvidenceError
            A row is impossible.
        OutOfRangeError
            Its density cannot be told in floating point.
        MemoryBudgetError
            The responsibilities that are wanted do not fit.
        """
        n_cells, layout = plan.network.n_cells, plan.layout
        n_bytes = 8 * layout.n_entries
        if keep_direct and n_bytes > self.memory_budget:
            raise MemoryBudgetError(
                f"the responsibilities of {len(plan.rows.weight):,} rows take {n_bytes:,} bytes, more than the memory "
                f"budget of {self.memory_budget:,} bytes. Ask about fewer rows at once."
            )
        tables, is_at_rest = parameters[:n_cells], active is not None and not active[plan.parts.own]
        log_density, moments = np.zeros(layout.n_kept_entries), np.zeros(int(plan.network.net.moment_offset[-1]))
        if not is_at_rest:
            moments += self._measure(plan, parameters[n_cells:], log_density)
        if plan.discrete is None:
            counts, by_block = np.zeros(n_cells), None
            densities = scale_densities(plan, log_density)
            shares = np.zeros(layout.n_group_entries)
        else:
            chosen = None if active is None else active[plan.parts.of_discrete]
            found, densities = self._eliminate(plan, tables, log_density, chosen)
            counts, shares, by_block = found.counts[:n_cells], found.counts[n_cells:], found.block_log_likelihood
        if keep_direct:
            shares = np.append(shares, np.zeros(layout.n_entries - layout.n_group_entries))
        sums = [] if is_at_rest else self._sum_directly(plan, parameters, shares if keep_direct else np.zeros(0))
        for own in sums:
            counts, moments = counts + own.counts, moments + own.moments
        log_likelihood = self._total(plan, densities.log_likelihood, sums)
        return Responsibilities(counts, shares, densities.factors, log_likelihood, moments, by_block)

    def _sum_directly(self, plan: HybridPlan, parameters: FloatArray, shares: FloatArray) -> list[DirectSums]:
        """Sum over the completions of the direct groups; expected records are written unless `shares` is empty."""
        net, layout, values = plan.network.net, plan.layout, plan.values
        return [sum_directly(each, net, layout, parameters, values, shares, self._in_parts) for each in plan.direct]

    def _total(self, plan: HybridPlan, by_row: FloatArray, sums: list[DirectSums]) -> float:
        """Add the rows' log-likelihoods up, each times its weight.

        Not by products of numpy's linear algebra, whose threads would go on spinning beside ours.
        """
        with np.errstate(invalid="ignore"):  # what is not finite is told below
            total = float((plan.rows.weight * by_row).sum())
        for direct, own in zip(plan.direct, sums, strict=False):
            total += float((direct.weight * own.log_likelihood).sum())
        if not np.isfinite(total):
            by_row, excluded = by_row.copy(), np.zeros(len(by_row), dtype=bool)
            for direct, own in zip(plan.direct, sums, strict=False):
                by_row[direct.row] += own.log_likelihood
                excluded[direct.row] = (own.log_prior.max(axis=0) == -np.inf)[direct.pattern]
            self._check(plan, by_row, excluded)
        return total

    def _eliminate(
        self, plan: HybridPlan, tables: FloatArray, log_density: FloatArray, active: BoolArray | None
    ) -> tuple[ExpectedStatistics, Densities]:
        """Let the discrete engine sum, given what the continuous values say."""
        assert plan.discrete is not None  # asked before
        engine, densities = self._discrete_engine(), scale_densities(plan, log_density)
        self._check(plan, densities.log_likelihood)
        found = engine.sweep(plan.discrete, np.concatenate([tables, densities.factors]), active)
        if np.isneginf(found.log_likelihood):
            # The densities that are largest may be those of states of probability zero, beside which others vanish.
            densities = scale_densities(plan, log_density, self.possible(plan, tables))
            whole = np.concatenate([tables, densities.factors])
            found = engine.sweep(plan.discrete, whole, active)
            if np.isneginf(found.log_likelihood):
                row = engine.impossible(plan.discrete, whole).row
                position = int(np.flatnonzero(plan.rows.row == row)[0])
                raise ImpossibleEvidenceError(row, plan.rows.observed(plan.network, position))
        return found, densities

    def possible(self, plan: HybridPlan, tables: FloatArray) -> BoolArray:
        """Mark the configurations that the discrete part alone does not exclude: shape (n_group_entries,)."""
        ones = np.ones(plan.layout.n_group_entries)
        found = self._discrete_engine().sweep(plan.discrete, np.concatenate([tables, ones]))  # type: ignore[arg-type]
        return np.asarray(found.counts[len(tables) :] > 0)

    def log_densities(self, plan: HybridPlan, parameters: FloatArray) -> FloatArray:
        """Integrate missing continuous variables out, under all configurations: shape (n_kept_entries,), in nats."""
        layout = plan.layout
        log_density = np.empty(layout.n_kept_entries)
        n_tasks = layout.n_grouped + layout.n_single
        self._sweep(plan, parameters[plan.network.n_cells :], 0, n_tasks, log_density=log_density)
        return log_density

    def _measure(self, plan: HybridPlan, parameters: FloatArray, log_density: FloatArray) -> FloatArray:
        """Write all log-densities; returns the moments of the tasks whose shares are known beforehand."""
        n_grouped = plan.layout.n_grouped
        n_tasks = n_grouped + plan.layout.n_single
        self._sweep(plan, parameters, 0, n_grouped, log_density=log_density)
        return self._sweep(plan, parameters, n_grouped, n_tasks, log_density=log_density, shares=plan.alone)

    def _sweep(
        self,
        plan: HybridPlan,
        parameters: FloatArray,
        low: int,
        high: int,
        *,
        log_density: FloatArray | None = None,
        shares: FloatArray | None = None,
    ) -> FloatArray:
        """Run the kernel over some tasks, in threads; log-densities are written, moments returned."""
        from pgmpy_em_ext.e_step.mixed.kernel import sweep  # needs numba

        nothing = np.zeros(0)
        n_moments = 0 if shares is None else int(plan.network.net.moment_offset[-1])
        net, layout = plan.network.net, plan.layout

        def work(first: int, last: int) -> FloatArray:
            moments = np.zeros(n_moments)
            sweep(
                net,
                layout.kinds,
                first,
                last,
                parameters,
                plan.values,
                nothing if shares is None else shares,
                nothing if log_density is None else log_density,
                moments,
            )
            return moments

        parts = self._in_parts(work, low, high)
        return np.sum(parts, axis=0) if parts else np.zeros(n_moments)

    def _in_parts(self, work: Callable[[int, int], T], low: int, high: int) -> list[T]:
        """Do work on parts of a range, in threads; the parts do not depend on how many there are."""
        edges = np.unique(np.linspace(low, high, N_CHUNKS + 1).astype(np.int64)).tolist()
        n_threads = effective_n_jobs(self.n_jobs or 1)
        if n_threads == 1:
            return [work(*pair) for pair in pairwise(edges)]
        with ThreadPoolExecutor(n_threads) as pool:
            return list(pool.map(lambda pair: work(*pair), pairwise(edges)))

    def _check(self, plan: HybridPlan, log_likelihood: FloatArray, excluded: BoolArray | None = None) -> None:
        """Refuse rows whose density cannot be told, or that discrete tables exclude; the first one is named."""
        lost = np.flatnonzero(~np.isfinite(log_likelihood))
        if len(lost):
            position = int(lost[np.argmin(plan.rows.row[lost])])
            is_excluded = excluded is not None and bool(excluded[position])
            error = ImpossibleEvidenceError if is_excluded else OutOfRangeError
            raise error(int(plan.rows.row[position]), plan.rows.observed(plan.network, position))

    def _discrete_engine(self) -> ExactEStep:
        return ExactEStep(n_jobs=self.n_jobs, memory_budget=self.memory_budget)

    def n_operations(self, plan: HybridPlan) -> float:
        """Count the moments that are summed, and what the discrete part reads; see `EStep.n_operations`."""
        sizes = np.diff(plan.network.net.moment_offset) // plan.network.net.n_configs
        discrete = 0.0 if plan.discrete is None else self._discrete_engine().n_operations(plan.discrete)
        return float(plan.layout.n_entries * sizes.sum()) + discrete

    def summary(self, plan: HybridPlan) -> dict[str, int]:
        """Tell the sizes of a plan."""
        sizes = {"n_continuous_patterns": len(plan.layout.kinds.n_configs), "n_densities": plan.layout.n_entries}
        if plan.discrete is not None:
            sizes |= self._discrete_engine().summary(plan.discrete)
        return sizes


def scale_densities(plan: HybridPlan, log_density: FloatArray, possible: BoolArray | None = None) -> Densities:
    """Divide each task's densities by the largest, lest they leave the range of floating point.

    Parameters
    ----------
    plan : HybridPlan
        Which belong together.
    log_density : float ndarray of shape (n_kept_entries,)
        Not modified.
    possible : bool ndarray of shape (n_group_entries,), optional
        Configurations that are not of probability zero, among which the largest is sought; by default all.
    """
    layout = plan.layout
    log_likelihood = np.zeros(len(plan.rows.weight))
    np.add.at(log_likelihood, layout.single_tasks, log_density[layout.n_group_entries :])
    factors = log_density[: layout.n_group_entries].copy()
    if possible is not None:
        factors[~possible] = -np.inf
    for group in layout.groups:
        block = group.block(factors)
        largest = block.max(axis=0)
        block -= np.where(np.isneginf(largest), 0.0, largest)
        log_likelihood[layout.row[group.tasks]] += largest
    return Densities(np.exp(factors, out=factors), log_likelihood)


def find_parts(network: HybridNetwork, plan: HybridPlan) -> Parts:
    """Join the continuous families, and the discrete blocks that they speak of, to one block.

    Where rows are summed up directly, which tells no families apart, that is all there is.
    """
    n_cells, net, layout = network.n_cells, network.net, plan.layout
    nothing = np.zeros(0, dtype=np.int64)
    known = Blocks(nothing, nothing, 0) if plan.discrete is None else plan.discrete.graph.blocks
    of_discrete = np.full(known.n_blocks + 1, -1, dtype=np.int64)
    of_discrete[np.unique(known.of_family[network.n_discrete :]).astype(np.int64)] = 0
    needs_inference = len(layout.groups) + len(layout.direct_groups) > 0 or len(layout.kinds.node) > 0
    if plan.direct:
        of_discrete[:] = 0
        known = Blocks(np.zeros(network.n_discrete, dtype=np.int64), np.zeros(n_cells, dtype=np.int64), known.n_blocks)
    others = np.flatnonzero(of_discrete[:-1] < 0)
    n_blocks = len(others) + int(needs_inference)
    of_discrete[others] = np.arange(len(others)) + int(needs_inference)
    if not plan.direct:
        of_discrete[-1] = n_blocks
    own = 0 if needs_inference else n_blocks
    sizes = net.n_nodes, int(net.offset[-1]), int(net.moment_offset[-1])
    tables = known.of_family[: network.n_discrete], known.of_cell[:n_cells], known.of_cell[:n_cells]
    of_family, of_cell, of_statistic = (
        np.concatenate([of_discrete[table], np.full(size, own, dtype=np.int64)])
        for table, size in zip(tables, sizes, strict=True)
    )
    return Parts(Blocks(of_family, of_cell, n_blocks, of_statistic), of_discrete, own)
