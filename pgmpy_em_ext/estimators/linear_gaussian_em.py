"""`LinearGaussianEM`: the face that pgmpy's linear Gaussian networks see."""

from collections.abc import Callable
from os import PathLike
from typing import Any, ClassVar

import pandas as pd
from pgmpy.factors.continuous import LinearGaussianCPD
from pgmpy.models import LinearGaussianBayesianNetwork
from pgmpy.parameter_estimator.base import GaussianParameterEstimator

from pgmpy_em_ext.cpd_family.gaussian_cpd import write_linear
from pgmpy_em_ext.estimators._mixed import HybridEM
from pgmpy_em_ext.networks.structure import read_any_structure
from pgmpy_em_ext.prepare.mixed import PreparedHybrid, check_arguments, prepare_hybrid
from pgmpy_em_ext.restarts.best_of import Iteration
from pgmpy_em_ext.types import FloatArray


class LinearGaussianEM(HybridEM, GaussianParameterEstimator):
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
        Independent starts, of whose runs the best is returned. By default 16 with latent variables, followed
        by runs from near the best, as in `WeightedEM`; else one.
    seed : int, optional
        Of the starts.
    init_cpds : dict of LinearGaussianCPD or {"complete_case"}, optional
        CPDs by variable: where the first run starts. By default, and for the other variables, from
        regressions in the rows that observe a family; coefficients of latent variables are random.
        "complete_case" takes the rows that observe everything.
    fixed_cpds : dict of LinearGaussianCPD or list, optional
        CPDs that are never updated; or names of variables whose CPD stands in ``init_cpds``.
    variance_prior : (float, float), optional
        Shape and scale of an inverse gamma prior on the variances, of standardised columns.
    ridge : float, default 0
        In records: given the variance s of standardised columns, coefficients are normal with mean 0 and
        variance s / ridge.
    variance_floor : float, optional
        Part of a column's variance below which that of its residuals does not fall. By default that is what double
        precision can tell from zero, where more complete rows than coefficients keep the likelihood from going to
        infinity, and 1e-6 elsewhere.
    acceleration : {"auto", "squarem", "lbfgs", None}, default "auto"
        As in `WeightedEM`.
    n_jobs : int, default 1
        Threads, for runs, or for the rows of a single one.
    max_time : float, optional
        Seconds after which runs end.
    callback : callable, optional
        Called with an `Iteration` after every step; a true result stops all runs. Its objective is of
        standardised columns.
    checkpoint : path, optional
        File that keeps the progress of a long fit; the same fit, begun again, goes on from it. Needs a seed.
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
    n_starts_ : int
        Independent starts.
    replicated_ : int
        How many of these lead to the best maximum.
    n_parameters_ : int
        Free parameters.
    aic_, bic_ : float
        By ``log_likelihood_``; the sample size is the weight of the rows that observe something.
    floored_ : ColumnList
        Variables whose residual variance is at its floor.
    collinear_ : ColumnList
        Variables whose parents are collinear, to all digits, in more records than coefficients.
    reduction_ : ReductionSummary
        What was merged and what was ignored, as in `WeightedEM`.
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
        init_cpds: dict[Any, LinearGaussianCPD] | str | None = None,
        fixed_cpds: dict[Any, LinearGaussianCPD] | list | None = None,
        variance_prior: tuple[float, float] | None = None,
        ridge: float = 0.0,
        variance_floor: float | None = None,
        acceleration: str | None = "auto",
        n_jobs: int = 1,
        max_time: float | None = None,
        callback: Callable[[Iteration], Any] | None = None,
        checkpoint: str | PathLike | None = None,
        show_progress: bool = True,
    ) -> None:
        self.std_estimator = std_estimator
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.seed = seed
        self.init_cpds = init_cpds
        self.fixed_cpds = fixed_cpds
        self.variance_prior = variance_prior
        self.ridge = ridge
        self.variance_floor = variance_floor
        self.acceleration = acceleration
        self.n_jobs = n_jobs
        self.max_time = max_time
        self.callback = callback
        self.checkpoint = checkpoint
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
        NotReplicatedWarning
            Of several runs only one has found the best maximum.
        UserWarning
            A variable's residual variance is at its floor, or its parents are collinear.
        """
        if self.std_estimator not in ("mle", "unbiased"):
            raise ValueError(f"std_estimator must be 'mle' or 'unbiased'. Got: {self.std_estimator!r}.")
        settings, continuous = check_arguments(self, LinearGaussianCPD)
        if not isinstance(model, LinearGaussianBayesianNetwork):
            raise TypeError(f"model must be a pgmpy LinearGaussianBayesianNetwork. Got: {type(model).__name__}.")
        structure = read_any_structure(model)
        prepared = prepare_hybrid(structure, [], data, sample_weight, settings, continuous)
        self._fit(structure, settings, prepared, stacklevel=3)
        return self

    def _write_continuous(
        self, prepared: PreparedHybrid, node: int, parameters: FloatArray, moments: FloatArray
    ) -> LinearGaussianCPD:
        """Make pgmpy's CPD; unbiased variances divide by the records less the coefficients, where there are more."""
        net = prepared.network.net
        block = net.block(parameters, node).copy()
        n_coefficients = block.shape[1] - 1
        n_records = float(net.moment_matrices(moments, node)[0, 0, 0])
        is_corrected = self.std_estimator == "unbiased" and not prepared.continuous.fixed[node]
        if is_corrected and n_records > n_coefficients:
            block[:, -1] *= n_records / (n_records - n_coefficients)
        return write_linear(prepared.network, node, block)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Give parameter sets for skbase's contract tests."""
        return [{}, {"std_estimator": "mle", "n_init": 2, "seed": 0, "show_progress": False, "max_iter": 5}]
