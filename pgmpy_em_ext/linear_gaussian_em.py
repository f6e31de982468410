"""`LinearGaussianEM`: the face that pgmpy's linear Gaussian networks see."""

import time
import warnings
from collections.abc import Callable, Hashable
from typing import Any, ClassVar, cast

import numpy as np
import pandas as pd
from pgmpy import config
from pgmpy.factors.continuous import LinearGaussianCPD
from pgmpy.models import LinearGaussianBayesianNetwork
from pgmpy.parameter_estimator.base import GaussianParameterEstimator
from sklearn.exceptions import ConvergenceWarning

from pgmpy_em_ext.acceleration import PlainEM
from pgmpy_em_ext.checks import check_integer, check_n_jobs, check_number
from pgmpy_em_ext.continuous import ContinuousData, ContinuousNetwork, Units, order_network, read_data, read_values
from pgmpy_em_ext.cpd_family._base import CPDFamily
from pgmpy_em_ext.cpd_family.linear_gaussian import LinearGaussian, read_cpd, write_cpd
from pgmpy_em_ext.e_step.hybrid import GaussianEStep, complete
from pgmpy_em_ext.em import Problem
from pgmpy_em_ext.encoding import check_columns, check_weight
from pgmpy_em_ext.gaussian import ContinuousRows
from pgmpy_em_ext.gaussian_start import available_case_start, random_start
from pgmpy_em_ext.monitor import MIN_STEPS_WITH_LATENTS, StoppingRule
from pgmpy_em_ext.progress import ProgressBar
from pgmpy_em_ext.restarts import Best, Iteration, Restart, Start, best_of, run_seeds
from pgmpy_em_ext.structure import read_graph
from pgmpy_em_ext.types import FloatArray

DEFAULT_RESTARTS_WITH_LATENTS = 16


class LinearGaussianEM(GaussianParameterEstimator):
    """Expectation-Maximization for linear Gaussian networks, with holes and latent variables.

    Every row is used, whatever it misses. Columns are standardised inside, so that units do not
    matter; CPDs and log-likelihoods are in the user's.

    Parameters
    ----------
    std_estimator : {"unbiased", "mle"}, default "unbiased"
        As in pgmpy's `LinearGaussianMLE`: whether standard deviations divide by the records less the
        coefficients, or by the records. EM works with the latter, converted at the end.
    max_iter : int, default 1000
        EM steps of a run at most.
    tol : float, default 1e-3
        In nats: a run ends when its objective is estimated to be less than this from its limit. 0 never ends it.
    n_init : int, optional
        Runs, of which the best is returned. By default 16 with latent variables, of which those that
        promise little are dropped on the way; else one.
    seed : int, optional
        Of the starts.
    init_cpds : dict of LinearGaussianCPD, optional
        By variable; where the first run starts. By default, and for the other variables, from
        regressions in the rows that observe a family; coefficients of latent variables are random.
    variance_prior : (float, float), optional
        Shape and scale of an inverse gamma prior on the variances, of standardised columns.
    ridge : float, default 0
        In records: given the variance s of standardised columns, coefficients are normal with mean 0 and
        variance s / ridge.
    variance_floor : float, default 1e-6
        Part of a column's variance below which that of its residuals does not fall. Without it collinear
        parents would send the likelihood to infinity.
    n_jobs : int, default 1
        Threads, for runs, or for the rows of a single one.
    max_time : float, optional
        Seconds after which runs end.
    callback : callable, optional
        Called with an `Iteration` after every step; a true result stops all runs. Its objective is of
        standardised columns.
    show_progress : bool, default True
        Whether to show a progress bar, if pgmpy's configuration does.

    Attributes
    ----------
    parameters_ : list of LinearGaussianCPD
        In the order of ``model.nodes()``.
    log_likelihood_, log_prior_, objective_ : float
        Of the observed values under the maximum-likelihood (or maximum-a-posteriori) parameters, in nats. With
        ``std_estimator="unbiased"``, ``parameters_`` have larger standard deviations, and a lower likelihood. The
        prior is that of standardised columns, up to a constant.
    history_ : list of float
        Objective of the best run at its start and after each step.
    n_iter_, n_e_steps_ : int
        Steps of the best run; E-steps of all runs.
    converged_ : bool
        Whether the best run met ``tol``.
    status_ : str
        Why it ended: "converged", "max_iter", "max_time" or "callback".
    gap_ : float
        Estimated distance of the objective from its limit, in nats.
    rate_ : float
        EM's estimated rate of convergence.
    restarts_ : list of Restart
        A record of each run.
    replicated_ : int
        In how many of the runs that were carried to their end the best objective was reached.
    n_parameters_ : int
        Free parameters.
    aic_, bic_ : float
        By ``log_likelihood_``.
    floored_ : list
        Variables whose residual variance is at its floor.
    ignored_columns_ : tuple
        Columns of the table that are no variable of the model.

    See Also
    --------
    pgmpy_em_ext.WeightedEM : the same for discrete networks.

    Notes
    -----
    A latent variable without parents has mean 0 and variance 1, since nothing tells its unit; the sign
    of its coefficients is arbitrary, and with several latent parents so is their rotation.

    Time of a step: for each row linear in the families, and cubic in the number of its missing values that have an
    observed descendant.

    References
    ----------
    Dempster, Laird & Rubin (1977), J. R. Stat. Soc. B 39(1). Rubin & Thayer (1982), Psychometrika 47(1) (factor
    analysis). Koller & Friedman (2009), Probabilistic Graphical Models, sections 7.2 and 19.2.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from pgmpy.models import LinearGaussianBayesianNetwork
    >>> rng = np.random.default_rng(0)
    >>> height = rng.normal(175, 8, 500)
    >>> data = pd.DataFrame({"height": height, "weight": 0.9 * height - 85 + rng.normal(0, 6, 500)})
    >>> data = data.mask(rng.random(data.shape) < 0.2)
    >>> model = LinearGaussianBayesianNetwork([("height", "weight")])
    >>> estimator = LinearGaussianEM(show_progress=False)
    >>> model = model.fit(data, estimator=estimator)
    >>> estimator.converged_
    True
    >>> bool(abs(model.get_cpds("weight").beta[1] - 0.9) < 0.1)
    True
    """

    _tags: ClassVar[dict[str, Any]] = {"supports_latent_variables": True, "supports_weighted_data": True}

    def __init__(
        self,
        std_estimator: str = "unbiased",
        max_iter: int = 1000,
        tol: float = 1e-3,
        n_init: int | None = None,
        seed: int | None = None,
        init_cpds: dict[Any, LinearGaussianCPD] | None = None,
        variance_prior: tuple[float, float] | None = None,
        ridge: float = 0.0,
        variance_floor: float = 1e-6,
        n_jobs: int = 1,
        max_time: float | None = None,
        callback: Callable[[Iteration], Any] | None = None,
        show_progress: bool = True,
    ) -> None:
        self.std_estimator = std_estimator
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.seed = seed
        self.init_cpds = init_cpds
        self.variance_prior = variance_prior
        self.ridge = ridge
        self.variance_floor = variance_floor
        self.n_jobs = n_jobs
        self.max_time = max_time
        self.callback = callback
        self.show_progress = show_progress
        super().__init__()

    def fit(
        self, model: LinearGaussianBayesianNetwork, data: pd.DataFrame, sample_weight: Any = None
    ) -> "LinearGaussianEM":
        """Fit the CPDs.

        Parameters
        ----------
        model : LinearGaussianBayesianNetwork
            The structure. Variables in ``model.latents`` have no column; those whose column has no value are
            latent too. Not modified.
        data : pandas.DataFrame
            A column of numbers for each other variable; NaN, None and pandas.NA are missing. Further columns are
            ignored.
        sample_weight : array-like of shape (n_rows,), optional
            In records, finite and >= 0. Rows of weight 0 count for nothing.

        Returns
        -------
        LinearGaussianEM
            Itself. ``model.add_cpds(*estimator.parameters_)`` takes the answer over, as ``model.fit`` does.

        Raises
        ------
        TypeError, ValueError
            Wrong arguments; a column that is not of numbers, an infinite value, a variable without any value.

        Warns
        -----
        ConvergenceWarning
            The best run ended without meeting ``tol``.
        UserWarning
            A variable's residual variance is at its floor.
        """
        self._check_arguments()
        deadline = None if self.max_time is None else time.monotonic() + self.max_time
        if not isinstance(model, LinearGaussianBayesianNetwork):
            raise TypeError(f"model must be a pgmpy LinearGaussianBayesianNetwork. Got: {type(model).__name__}.")
        names, parents, latents = read_graph(model)
        network = order_network(names, parents, latents)
        found = read_data(network, data, sample_weight)
        network = network._replace(latents=found.latents)
        family = self._make_family(network)
        starts = self._make_starts(network, family, found)
        engine = GaussianEStep(n_jobs=self.n_jobs if len(starts) == 1 else None)
        plan = engine.prepare(network.net, found.rows)
        problem = Problem(engine, plan, cast(CPDFamily, family))  # plain EM asks for no more than it has
        best, restarts = self._run(problem, network, found, starts, deadline)
        self._store(names, network, found, family, best, restarts)
        self._warn()
        return self

    def _check_arguments(self) -> None:
        """Check every argument, before any work."""
        if self.std_estimator not in ("mle", "unbiased"):
            raise ValueError(f"std_estimator must be 'mle' or 'unbiased'. Got: {self.std_estimator!r}.")
        check_integer("max_iter", self.max_iter, low=0)
        check_number("tol", self.tol)
        check_integer("n_init", self.n_init, low=1, optional=True)
        check_integer("seed", self.seed, low=0, optional=True)
        check_number("ridge", self.ridge)
        check_number("variance_floor", self.variance_floor, positive=True)
        check_n_jobs(self.n_jobs)
        check_number("max_time", self.max_time, optional=True)
        if self.variance_prior is not None:
            if not isinstance(self.variance_prior, (tuple, list)) or len(self.variance_prior) != 2:
                raise ValueError(f"variance_prior must be (shape, scale), or None. Got: {self.variance_prior!r}.")
            for name, value in zip(("shape", "scale"), self.variance_prior, strict=True):
                check_number(f"variance_prior's {name}", value, positive=True)
        if self.init_cpds is not None and not isinstance(self.init_cpds, dict):
            raise TypeError(f"init_cpds must be a dict of LinearGaussianCPDs. Got: {type(self.init_cpds).__name__}.")

    def _make_family(self, network: ContinuousNetwork) -> LinearGaussian:
        shape, scale = self.variance_prior or (0.0, 0.0)
        fixed = np.zeros(network.net.n_nodes, dtype=bool)
        fixed[[node for node in network.latents if not network.net.parents(node)]] = True
        floor = np.full(network.net.n_nodes, float(self.variance_floor))
        return LinearGaussian(network.net, floor, float(shape), float(scale), float(self.ridge), fixed)

    def _make_starts(self, network: ContinuousNetwork, family: LinearGaussian, data: ContinuousData) -> list[Start]:
        """Make the starting parameters of all runs."""
        n_init = self.n_init or (DEFAULT_RESTARTS_WITH_LATENTS if network.latents else 1)
        starts = []
        for number, seed in enumerate(run_seeds(self.seed, n_init)):
            if network.latents:
                parameters = random_start(network, family, data.rows, np.random.default_rng(seed))
            else:
                parameters = available_case_start(network, family, data.rows)
            strategy = "random" if network.latents else "available_case"
            if number == 0 and self.init_cpds:
                strategy = "init_cpds"
                self._take_given(network, data.units, parameters)
            starts.append(Start(seed, strategy, parameters))
        return starts

    def _take_given(self, network: ContinuousNetwork, units: Units, parameters: FloatArray) -> None:
        """Write the given CPDs into a start."""
        assert self.init_cpds is not None  # asked before
        unknown = [name for name in self.init_cpds if name not in network.names]
        if unknown:
            raise ValueError(f"init_cpds has CPDs for {unknown}, which the model does not have.")
        for node, name in enumerate(network.names):
            if name in self.init_cpds:
                members = [*network.net.parents(node), node]
                evidence = [network.names[parent] for parent in members[:-1]]
                network.net.block(parameters, node)[0] = read_cpd(
                    self.init_cpds[name], evidence, units.center[members], units.scale[members], "init_cpds"
                )

    def _run(
        self,
        problem: Problem,
        network: ContinuousNetwork,
        data: ContinuousData,
        starts: list[Start],
        deadline: float | None,
    ) -> tuple[Best, dict[int, Restart]]:
        """Run EM from all starts, with a progress bar."""
        rule = StoppingRule(
            tol=self.tol,
            atol=None,
            max_iter=self.max_iter,
            min_iter=MIN_STEPS_WITH_LATENTS if network.latents else 0,
            deadline=deadline,
            one_step=not np.isnan(data.rows.values).any(),
            total_weight=float(data.rows.weight.sum()),
        )
        shown = self.show_progress and config.SHOW_PROGRESS
        with ProgressBar(len(starts), self.max_iter, self.callback, shown) as bar:
            return best_of(problem, starts, rule, PlainEM(), self.n_jobs, bar.callback, bar.on_finish)

    def _store(
        self,
        names: tuple[Hashable, ...],
        network: ContinuousNetwork,
        data: ContinuousData,
        family: LinearGaussian,
        best: Best,
        restarts: dict[int, Restart],
    ) -> None:
        """Set the fitted attributes, in the user's units."""
        rows, state = data.rows, best.state
        shift = float(rows.weight @ data.units.log_density_shift(rows.values))
        self._network, self._units, self._vector = network, data.units, state.parameters
        cpds = self._write_cpds(family, state.parameters, state.statistics.counts)
        self.parameters_ = [cpds[name] for name in names]
        self.log_likelihood_ = state.log_likelihood + shift
        self.log_prior_ = state.log_prior
        self.objective_ = state.objective + shift
        self.history_ = [objective + shift for objective in best.history]
        self.restarts_ = [
            record._replace(objective=record.objective + shift, log_likelihood=record.log_likelihood + shift)
            for record in restarts.values()
        ]
        self.n_iter_ = len(best.history) - 1
        self.n_e_steps_ = sum(record.n_e_steps for record in self.restarts_)
        self.gap_, self.rate_ = best.gap, best.rate
        self.status_ = restarts[best.number].status
        self.converged_ = self.status_ == "converged"
        self.replicated_ = best.replicated
        self.n_parameters_ = family.n_free
        self.aic_ = 2 * self.n_parameters_ - 2 * self.log_likelihood_
        self.bic_ = float(np.log(rows.weight.sum())) * self.n_parameters_ - 2 * self.log_likelihood_
        self.floored_ = [network.names[node] for node, _ in family.at_floor(state.parameters)]
        self.ignored_columns_ = data.ignored_columns
        self._is_fitted = True

    def _write_cpds(
        self, family: LinearGaussian, parameters: FloatArray, moments: FloatArray
    ) -> dict[Hashable, LinearGaussianCPD]:
        """Make pgmpy's CPDs; unbiased variances divide by the records less the coefficients, where there are more."""
        network, cpds = self._network, {}
        for node, name in enumerate(network.names):
            row = network.net.block(parameters, node)[0].copy()
            members = [*network.net.parents(node), node]
            n_records = network.net.moment_matrices(moments, node)[0, 0, 0]
            is_corrected = self.std_estimator == "unbiased" and not family.fixed[node]
            if is_corrected and n_records > len(members):
                row[-1] *= n_records / (n_records - len(members))
            evidence = [network.names[parent] for parent in members[:-1]]
            cpds[name] = write_cpd(name, evidence, row, self._units.center[members], self._units.scale[members])
        return cpds

    def _warn(self) -> None:
        if self.floored_:
            warnings.warn(
                f"the residual variance of {self.floored_} is at its floor, {self.variance_floor:g} of the column's: "
                "the parents determine it, it is constant, or it has fewer rows than coefficients. Take a parent out, "
                "or give a variance_prior.",
                UserWarning,
                stacklevel=3,
            )
        if self.status_ in ("max_iter", "max_time"):
            limit = f"max_iter={self.max_iter} steps" if self.status_ == "max_iter" else f"max_time={self.max_time} s"
            warnings.warn(
                f"EM did not converge within {limit}: raise it, or tol.",
                ConvergenceWarning,
                stacklevel=3,
            )

    def score_samples(self, data: pd.DataFrame) -> FloatArray:
        """Compute the log-density of each row's observed values, in nats.

        By the maximum-likelihood parameters, whatever ``std_estimator`` is.

        Parameters
        ----------
        data : pandas.DataFrame
            As for `fit`; variables without a column are missing.

        Returns
        -------
        float ndarray of shape (n_rows,)
            0 for rows without any observed value.
        """
        rows, shift = self._read_rows(data)
        engine = GaussianEStep(n_jobs=self.n_jobs)
        return engine.row_log_densities(engine.prepare(self._network.net, rows), self._vector) + shift

    def score(self, data: pd.DataFrame, sample_weight: Any = None) -> float:
        """Compute the mean log-density of rows, in nats; weighted by ``sample_weight``."""
        found = self.score_samples(data)
        return float(np.average(found, weights=check_weight(sample_weight, data)))

    def impute(
        self, data: pd.DataFrame, how: str = "mean", seed: int | None = None, *, return_std: bool = False
    ) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
        """Fill the missing values.

        Parameters
        ----------
        data : pandas.DataFrame
            As for `fit`. Not modified.
        how : {"mean", "sample"}
            The conditional mean given the row's observed values, or a draw from the row's joint conditional
            distribution.
        seed : int, optional
            Of the draws.
        return_std : bool
            Whether to return conditional standard deviations too.

        Returns
        -------
        completed : pandas.DataFrame
            The table with its columns of variables complete, as floats; with a column for each latent
            variable at the end.
        deviations : pandas.DataFrame
            Of each of the model's variables; 0 where observed. Only with ``return_std``.
        """
        if how not in ("mean", "sample"):
            raise ValueError(f"how must be 'mean' or 'sample'. Got: {how!r}.")
        rows, _ = self._read_rows(data)
        normals = np.zeros((0, 0))
        if how == "sample":
            normals = np.random.default_rng(seed).normal(size=rows.values.shape)
        values, deviations = complete(self._network.net, rows, self._vector, normals)
        missing = np.isnan(rows.values)
        filled, spread = data.copy(), {}
        for node, name in enumerate(self._network.names):
            own = values[:, node] * self._units.scale[node] + self._units.center[node]
            if name not in filled.columns or missing[:, node].any():
                known = own if name not in filled.columns else read_values(data, [name])[:, 0]
                filled[name] = np.where(missing[:, node], own, known)
            spread[name] = deviations[:, node] * self._units.scale[node]
        return (filled, pd.DataFrame(spread, index=data.index)) if return_std else filled

    def _read_rows(self, data: pd.DataFrame) -> tuple[ContinuousRows, FloatArray]:
        """Standardise a table as the fit's was; and what its log-densities are shifted by."""
        self.check_is_fitted()
        check_columns(data, self._network.names)
        values = (read_values(data, self._network.names) - self._units.center) / self._units.scale
        rows = ContinuousRows(values, np.ones(len(values)), np.arange(len(values)))
        return rows, self._units.log_density_shift(values)
