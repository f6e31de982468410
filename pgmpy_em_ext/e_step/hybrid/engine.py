"""The E-step of continuous networks: every row's missing values integrated out, exactly."""

from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed

from pgmpy_em_ext.checks import check_n_jobs
from pgmpy_em_ext.e_step._base import EStep
from pgmpy_em_ext.e_step.hybrid.layout import Kinds, Tasks, lay_out_rows
from pgmpy_em_ext.exceptions import ImpossibleEvidenceError
from pgmpy_em_ext.gaussian import ContinuousRows, GaussianArrays
from pgmpy_em_ext.types import ExpectedStatistics, FloatArray

N_CHUNKS = 8
"""Parts into which rows are cut, for threads; the cut does not depend on how many there are."""


class GaussianPlan(NamedTuple):
    """What is prepared once.

    Attributes
    ----------
    net : GaussianArrays
        The families.
    rows : ContinuousRows
        The data.
    kinds, tasks
        Rows, those with the same missing variables together.
    edges : tuple of int
        Where the parts of the tasks begin and end.
    """

    net: GaussianArrays
    rows: ContinuousRows
    kinds: Kinds
    tasks: Tasks
    edges: tuple[int, ...]


class GaussianEStep(EStep):
    """Integrate missing continuous variables out of linear Gaussian families, row by row.

    Parameters
    ----------
    n_jobs : int, optional
        Threads, as joblib has it. By default one.

    Notes
    -----
    Time: for each row linear in the families, and cubic in the number of its missing variables that have an
    observed descendant; the observed ones cost nothing more. Memory: the rows, and for each pattern of
    missing values its lists.

    References
    ----------
    Dempster, Laird & Rubin (1977), J. R. Stat. Soc. B 39(1), section 4.1.3. Little & Rubin (2019), Statistical Analysis
    with Missing Data, chapter 11.

    Examples
    --------
    A normal variable of which one value of three is missing: no value tells anything of it, so that it counts
    for nothing.

    >>> from pgmpy_em_ext.gaussian import lay_out_families
    >>> net = lay_out_families([[]], [1])
    >>> rows = ContinuousRows(np.array([[1.0], [3.0], [np.nan]]), np.ones(3), np.arange(3))
    >>> engine = GaussianEStep()
    >>> statistics = engine.expected_statistics(engine.prepare(net, rows), np.array([2.0, 1.0]))
    >>> statistics.counts  # records, their sum, and that of their squares
    array([ 2.,  4., 10.])
    >>> round(statistics.log_likelihood, 4)
    -2.8379
    """

    def __init__(self, n_jobs: int | None = None) -> None:
        self.n_jobs = n_jobs
        super().__init__()

    def prepare(self, network: GaussianArrays, evidence: ContinuousRows) -> GaussianPlan:  # type: ignore[override]
        """Lay the rows out, those with the same missing variables together; see `EStep.prepare`."""
        check_n_jobs(self.n_jobs, optional=True)
        kinds, tasks = lay_out_rows(network, np.isnan(evidence.values), evidence.weight)
        edges = np.unique(np.linspace(0, len(tasks.row), N_CHUNKS + 1).astype(np.int64))
        return GaussianPlan(network, evidence, kinds, tasks, tuple(edges.tolist()))

    def row_log_densities(self, plan: GaussianPlan, parameters: FloatArray) -> FloatArray:
        """Compute the log-density of each row's observed values, in nats: shape (n_rows,), in the rows' order."""
        found, _ = self._sweep(plan, parameters, with_moments=False)
        densities = np.empty(len(found))
        densities[plan.tasks.row] = found
        return densities

    def expected_statistics(self, plan: GaussianPlan, parameters: FloatArray) -> ExpectedStatistics:
        """Compute expected moments and the log-likelihood; see `EStep.expected_statistics`."""
        log_density, moments = self._sweep(plan, parameters, with_moments=True)
        self._check(plan, log_density)
        return ExpectedStatistics(moments, float(plan.tasks.weight @ log_density))

    def _sweep(
        self, plan: GaussianPlan, parameters: FloatArray, *, with_moments: bool
    ) -> tuple[FloatArray, FloatArray]:
        """Integrate all rows' missing values out, in threads: log-densities of the tasks, and the sum of moments."""
        from pgmpy_em_ext.e_step.hybrid.kernel import sweep  # needs numba

        log_density, nothing = np.zeros(len(plan.tasks.row)), np.zeros(0)
        n_moments = int(plan.net.moment_offset[-1]) if with_moments else 0

        def work(low: int, high: int) -> FloatArray:
            moments = np.zeros(n_moments)
            amounts = parameters, plan.rows.values, nothing, log_density, moments, True
            sweep(plan.net, plan.kinds, plan.tasks, low, high, *amounts)
            return moments

        calls = (delayed(work)(low, high) for low, high in zip(plan.edges[:-1], plan.edges[1:], strict=True))
        parts = Parallel(n_jobs=self.n_jobs or 1, require="sharedmem")(calls)
        return log_density, np.sum(parts, axis=0)

    def _check(self, plan: GaussianPlan, log_density: FloatArray) -> None:
        """Refuse rows so far off that their density is zero in floating point; the first one is named."""
        lost = np.flatnonzero(~np.isfinite(log_density))
        if len(lost):
            position = int(plan.tasks.row[lost[np.argmin(plan.rows.row[plan.tasks.row[lost]])]])
            values = plan.rows.values[position]
            observed = {node: float(values[node]) for node in np.flatnonzero(~np.isnan(values)).tolist()}
            raise ImpossibleEvidenceError(int(plan.rows.row[position]), observed)


def complete(
    net: GaussianArrays, rows: ContinuousRows, parameters: FloatArray, normals: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Fill every missing value with its conditional mean, or a draw from the joint conditional distribution.

    Parameters
    ----------
    net : GaussianArrays
        The families.
    rows : ContinuousRows
        The rows; not modified.
    parameters : float ndarray
        In the layout of the families.
    normals : float ndarray of shape (n_rows, n_nodes), or empty
        Standard normal numbers, from which draws are made.

    Returns
    -------
    values, deviations : float ndarrays of shape (n_rows, n_nodes)
        Completed rows, and conditional standard deviations, 0 where observed.
    """
    from pgmpy_em_ext.e_step.hybrid.kernel import complete_rows  # needs numba

    kinds, tasks = lay_out_rows(net, np.isnan(rows.values), rows.weight, prune_barren=False)
    values, deviations = rows.values.copy(), np.zeros_like(rows.values)
    complete_rows(net, kinds, tasks, 0, len(tasks.row), parameters, values, normals, deviations)
    return values, deviations
