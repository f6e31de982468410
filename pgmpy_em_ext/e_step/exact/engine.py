"""The exact engine: compile the evidence once, then two sweeps an iteration."""

import logging
from typing import Any, ClassVar, NamedTuple

import numpy as np
from joblib import effective_n_jobs

from pgmpy_em_ext._tools.checks import check_integer, check_n_jobs
from pgmpy_em_ext._tools.packing import weighted_bincount
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.data.reduction import rows_with_weight
from pgmpy_em_ext.data.rows import Evidence
from pgmpy_em_ext.e_step._base import EStep
from pgmpy_em_ext.e_step.exact import groups, packed
from pgmpy_em_ext.e_step.exact.compile import Roles, compile_evidence, find_roles
from pgmpy_em_ext.e_step.exact.graph import EliminationGraph
from pgmpy_em_ext.e_step.exact.incidence import Incidence
from pgmpy_em_ext.e_step.exact.rows import first_impossible_rows
from pgmpy_em_ext.e_step.exact.sweep import GroupedSweeps, Sweeps
from pgmpy_em_ext.e_step.impossible import impossible_evidence
from pgmpy_em_ext.e_step.statistics import Blocks, ExpectedStatistics
from pgmpy_em_ext.exceptions import ImpossibleEvidenceError
from pgmpy_em_ext.types import BoolArray, FloatArray, IntArray

logger = logging.getLogger(__name__)

BACKENDS = ("auto", "numba", "numpy")

TINY = 10_000
"""Factors read in a sweep, up to which "auto" takes numpy: loading numba would take longer than thousands of sweeps."""


class ExactPlan(NamedTuple):
    """What the exact engine prepares.

    Attributes
    ----------
    network, evidence
        For messages.
    graph : EliminationGraph
        The compiled data.
    sweeps : Sweeps
        What computes it.
    counted : int ndarray of shape (n_counted,)
        The parameters that fully observed families read.
    incidence : Incidence
        Which rows use which steps, found when it is first asked for.
    part : Roles or None
        What each row's variables are, where other parts of the rows were left out.
    """

    network: Network
    evidence: Evidence
    graph: EliminationGraph
    sweeps: Sweeps
    counted: IntArray
    incidence: Incidence
    part: Roles | None = None


def make_plan(
    network: Network,
    evidence: Evidence,
    graph: EliminationGraph,
    sweeps: Sweeps,
    *,
    prune_barren: bool = True,
    part: Roles | None = None,
) -> ExactPlan:
    """Put a plan together."""
    incidence = Incidence(network, evidence, graph.order, prune_barren)
    return ExactPlan(network, evidence, graph, sweeps, np.flatnonzero(graph.base_counts), incidence, part)


class ExactEStep(EStep):
    """Exact inference on distinct local problems, compiled once into a graph.

    Parameters
    ----------
    prune_barren : bool, default True
        Leave out a row's missing variables that have no observed descendant. The
        objective and its fixed points are the same, the rate is faster and the work
        less. False gives the textbook's trajectory, which counts them.
    memory_budget : int, default 4 GiB
        Bytes that the compiled graph and one sweep over it may take; runs side by side have a
        sweep each. What would need
        more is refused with a `MemoryBudgetError` before it is allocated. Compiling takes
        besides some 50 bytes for each distinct row and family, for a while.
    backend : {"auto", "numba", "numpy"}, default "auto"
        What computes the sweeps. "numba" compiles them to machine code, some five times as
        fast, at the cost of about a second when it is first needed in a process (three the very
        first time); "numpy" is the reference, to which it is equal but for rounding. "auto"
        takes numba where it is installed and the graph is not tiny. The choice does not depend
        on anything but the data, so that results are the same to the last bit.
    n_jobs : int, optional
        Threads that one E-step may use, as joblib has it; results are the same to the last
        bit. By default those of ``WeightedEM(n_jobs=...)`` where there is a single run, else 1.

    See Also
    --------
    pgmpy_em_ext.e_step.enumeration.EnumerationEStep : the plain oracle.

    Notes
    -----
    Let O be a row's observed states. The forward sweep multiplies and sums the
    families that contain a missing variable, in one global elimination order, and
    yields log P(O). The reverse sweep yields theta * d log P / d theta, which is the
    expected count of every CPD entry. Families that are fully observed are counted
    once, at compile time. Each iteration's cost depends on the number of distinct
    elimination steps, not on the number of rows.

    References
    ----------
    Lauritzen (1995), Comput. Stat. Data Anal. 19(2), 191-201. Russell, Binder, Koller &
    Kanazawa (1995), IJCAI, eq. 2. Darwiche (2003), J. ACM 50(3), 280-305.

    Examples
    --------
    A hidden cause H of one effect X; X = 0 was seen three times, X = 1 once.

    >>> from pgmpy_em_ext.arrays.network import build_network
    >>> network = build_network("HX", {"X": "H"}, {"H": [0, 1], "X": [0, 1]}, latents="H")
    >>> evidence = Evidence(np.array([[-1, 0], [-1, 1]]), np.array([3.0, 1.0]), np.array([0, 3]))
    >>> engine = ExactEStep()
    >>> plan = engine.prepare(network, evidence)
    >>> statistics = engine.expected_statistics(plan, np.array([0.5, 0.5, 0.9, 0.1, 0.2, 0.8]))
    >>> network.block(statistics.counts, 0).round(3)
    array([2.566, 1.434])
    >>> round(statistics.log_likelihood, 3)
    -2.592
    """

    _tags: ClassVar[dict[str, Any]] = {"name": "exact"}

    def __init__(
        self, prune_barren: bool = True, memory_budget: int = 2**32, backend: str = "auto", n_jobs: int | None = None
    ) -> None:
        self.prune_barren = prune_barren
        self.memory_budget = memory_budget
        self.backend = backend
        self.n_jobs = n_jobs
        super().__init__()

    def prepare(self, network: Network, evidence: Evidence) -> ExactPlan:
        """Compile the evidence; see `EStep.prepare`."""
        return self.prepare_part(network, evidence, None)

    def prepare_part(self, network: Network, evidence: Evidence, part: Roles | None) -> ExactPlan:
        """Compile a part of the evidence, or all of it.

        Parameters
        ----------
        network, evidence
            As in `EStep.prepare`.
        part : Roles, optional
            What each row's variables are: families that are dead there are neither counted nor
            part of the likelihood. The plan cannot be reweighted.
        """
        check_integer("memory_budget", self.memory_budget, low=1)
        check_n_jobs(self.n_jobs, optional=True)
        may_pack = self._may_pack()
        graph = compile_evidence(
            network,
            evidence,
            prune_barren=self.prune_barren,
            memory_budget=self.memory_budget,
            cost=packed.COST if may_pack else groups.COST,
            roles=part,
        )
        if not may_pack or (self.backend == "auto" and graph.n_reads <= TINY):
            return make_plan(network, evidence, graph, GroupedSweeps(graph), prune_barren=self.prune_barren, part=part)
        try:
            packed.load_kernel()
        except ImportError as error:  # installed, but not fit for this numpy or Python
            if self.backend == "numba":
                raise
            logger.warning("numba cannot be imported, so that the E-steps run in numpy: %s", error)
            return self.clone().set_params(backend="numpy").prepare_part(network, evidence, part)
        n_threads = effective_n_jobs(self.n_jobs or 1)
        sweeps = packed.PackedSweeps.of(graph, n_threads)
        return make_plan(network, evidence, graph, sweeps, prune_barren=self.prune_barren, part=part)

    def _may_pack(self) -> bool:
        """Whether the compiled sweeps may be used, and can be."""
        if self.backend not in BACKENDS:
            raise ValueError(f"backend must be one of {list(BACKENDS)}. Got: {self.backend!r}.")
        if packed.has_numba():
            return self.backend != "numpy"
        if self.backend == "numba":
            raise ImportError('backend="numba" needs numba, which is not installed: pip install numba.')
        return False

    def without_zeros(self, plan: ExactPlan, zero: BoolArray) -> ExactPlan:
        """Use that some parameters are zero and stay so; see `EStep.without_zeros`."""
        return plan._replace(sweeps=plan.sweeps.without(zero))

    def reweighted(self, plan: ExactPlan, weight: FloatArray) -> ExactPlan:
        """Give the rows other weights, in the graph that there is; see `EStep.reweighted`."""
        graph, incidence = plan.graph, plan.incidence
        base_counts = incidence.counted.add_up(weight, len(graph.base_counts))
        steps = graph.steps._replace(weight=incidence.steps.add_up(weight, graph.n_steps))
        return plan._replace(
            evidence=plan.evidence._replace(weight=weight),
            graph=graph._replace(base_counts=base_counts, steps=steps),
            sweeps=plan.sweeps.reweighted(steps.weight),
            counted=np.flatnonzero(base_counts),
        )

    def row_weights(self, plan: ExactPlan) -> FloatArray:
        """Give the weights of the distinct rows; see `EStep.row_weights`."""
        return plan.evidence.weight

    def blocks(self, plan: ExactPlan) -> Blocks:
        """Tell which families the data joins; see `EStep.blocks`."""
        return plan.graph.blocks

    def expected_statistics(
        self, plan: ExactPlan, parameters: FloatArray, active: BoolArray | None = None
    ) -> ExpectedStatistics:
        """Sweep forward and back; see `EStep.expected_statistics`."""
        found = self.sweep(plan, parameters, active)
        if np.isneginf(found.log_likelihood):
            raise self.impossible(plan, parameters)
        return found

    def sweep(self, plan: ExactPlan, parameters: FloatArray, active: BoolArray | None = None) -> ExpectedStatistics:
        """Sweep forward and back as `expected_statistics` does, but let rows be impossible: -inf, and no counts."""
        graph, counted = plan.graph, plan.counted
        n_parts = graph.blocks.n_blocks + 1
        if active is None:
            active = np.ones(n_parts, dtype=bool)
        counts, log_likelihood = plan.sweeps.run(parameters, active)
        with np.errstate(divide="ignore"):
            counted_log_likelihood = graph.base_counts[counted] * np.log(parameters[counted])
        log_likelihood += weighted_bincount(graph.blocks.of_cell[counted], counted_log_likelihood, n_parts)
        log_likelihood[~active] = 0.0
        counts += graph.base_counts
        if not active.all():
            counts[~active[graph.blocks.of_cell]] = 0.0
        return ExpectedStatistics(counts, float(log_likelihood.sum()), log_likelihood)

    def impossible(self, plan: ExactPlan, parameters: FloatArray) -> ImpossibleEvidenceError:
        """Make the error for parameters under which some row is impossible; it names the first."""
        evidence = rows_with_weight(plan.evidence)
        roles = plan.part or find_roles(plan.network, evidence.codes, prune_barren=True)
        found = first_impossible_rows(plan.network, parameters, evidence, roles, self.memory_budget)
        return impossible_evidence(plan.network, evidence, parameters, found)

    def n_operations(self, plan: ExactPlan) -> float:
        """Count the factors that a sweep reads; see `EStep.n_operations`."""
        return float(plan.graph.n_reads)

    def summary(self, plan: ExactPlan) -> dict[str, int]:
        """Tell what was merged: local problems, elimination steps and their table cells."""
        return {
            "n_local_problems": plan.graph.n_roots,
            "n_elimination_steps": plan.graph.n_steps,
            "n_table_cells": plan.graph.n_table_cells,
        }
