"""`ConditionalGaussianEM`: networks of discrete and continuous variables."""

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pgmpy.base import DAG
from pgmpy.factors.continuous import LinearGaussianCPD
from pgmpy.factors.discrete import TabularCPD
from pgmpy.parameter_estimator.base import BaseParameterEstimator

from pgmpy_em_ext.arrays.mixed import HybridNetwork, Units
from pgmpy_em_ext.arrays.network import build_network
from pgmpy_em_ext.cpd_family.categorical import read_cpd
from pgmpy_em_ext.cpd_family.gaussian_cpd import check_precision, read_block, write_conditional
from pgmpy_em_ext.cpd_family.prior import Prior
from pgmpy_em_ext.data.kinds import find_kinds
from pgmpy_em_ext.data.values import order_network
from pgmpy_em_ext.estimators._mixed import HybridEM
from pgmpy_em_ext.networks.conditional_gaussian_cpd import ConditionalGaussianCPD
from pgmpy_em_ext.networks.conditional_gaussian_network import ConditionalGaussianNetwork
from pgmpy_em_ext.networks.structure import declared_states, read_any_structure
from pgmpy_em_ext.prepare.mixed import PreparedHybrid, check_arguments, prepare_hybrid
from pgmpy_em_ext.restarts.best_of import Iteration
from pgmpy_em_ext.types import FloatArray

KNOWN = (TabularCPD, ConditionalGaussianCPD, LinearGaussianCPD)
"""CPDs that are understood."""


class ConditionalGaussianEM(HybridEM, BaseParameterEstimator):
    """Expectation-Maximization for networks of discrete and continuous variables.

    Discrete variables have discrete parents and a table; continuous ones have parents of either kind, and for each
    configuration of the discrete ones a linear regression on the continuous ones, with normal residuals. Any cell may
    be missing, and variables of either kind latent: a mixture of Gaussians is a latent discrete parent of continuous
    variables. Columns are standardised inside; CPDs and log-likelihoods are in the user's units.

    Parameters
    ----------
    discrete, continuous : list, optional
        Variables of a kind. By default columns of numbers are continuous, all others discrete, and a variable without a
        column is discrete unless it has a continuous parent.
    state_names : dict, optional
        States of discrete variables; by default those of CPDs that are given, else of the data.
    latent_card : dict, optional
        Number of states of each latent discrete variable, 2 where nothing is said.
    max_iter : int, default 1000
        EM steps of a run at most.
    tol : float, default 1e-3
        In nats: a run ends when its objective is estimated to be less than this from its limit. 0 never ends it.
    n_init : int, optional
        Independent starts, of whose runs the best is returned. By default 16 with latent variables, followed
        by runs from near the best, as in `WeightedEM`; else one.
    seed : int, optional
        Of the starts.
    init_cpds : dict or {"kmeans++", "random_from_data", "lines", "random", "complete_case"}, optional
        CPDs by variable: where the first run starts. Else the strategy: tables are counted, and regressions made, in
        the rows that observe a family ("complete_case": everything); latent discrete causes of continuous variables are
        clusters of rows: around rows that k-means++ chooses far apart, around rows that are drawn, along regressions
        through a few rows, or random ones. By default these take turns, without lines where there is nothing to regress
        on.
    fixed_cpds : dict or list, optional
        CPDs that are never updated; or names of variables whose CPD stands in ``init_cpds``.
    prior : str, Prior or dict, optional
        Of the tables, as in `WeightedEM`.
    variance_prior : (float, float), optional
        Shape and scale of an inverse gamma prior on the variances, of standardised columns.
    ridge : float, default 0
        In records: given the variance s of standardised columns, coefficients are normal with mean 0 and
        variance s / ridge.
    variance_floor : float, optional
        Part of a column's variance below which that of its residuals does not fall, in any configuration. By default
        that is 1e-6 where a component that takes hold of a single row would send the likelihood to infinity, and what
        double precision can tell from zero where more complete rows than coefficients keep it from that.
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
    model_ : ConditionalGaussianNetwork
        The structure with the fitted CPDs.
    parameters_ : list of TabularCPD and ConditionalGaussianCPD
        In the order of ``model.nodes()``.
    state_names_ : dict
        States of each discrete variable.
    log_likelihood_, log_prior_, objective_ : float
        Of the observed values, in nats; log-densities, where they are continuous. The prior is that of standardised
        columns, up to a constant.
    floored_ : ColumnList
        Variables, and states of their discrete parents, whose residual variance is at its floor.
    collinear_ : ColumnList
        Those whose continuous parents are collinear, to all digits, in more records than coefficients.
    unidentified_rows_ : ColumnList
        Parent configurations that no record reaches: a table's column is uniform there, as in `WeightedEM`, and a
        regression keeps its start.
    history_, n_iter_, n_e_steps_, converged_, status_, gap_, rate_, restarts_, n_starts_, replicated_, n_parameters_,
    aic_, bic_, boundary_columns_, reduction_
        As in `WeightedEM`.
    ignored_columns_ : tuple
        Columns of the table that are no variable of the model.

    See Also
    --------
    pgmpy_em_ext.WeightedEM : for discrete variables alone, with sampled E-steps too.
    pgmpy_em_ext.LinearGaussianEM : for continuous ones alone, with pgmpy's own model.

    Notes
    -----
    A latent continuous variable without parents has mean 0 and variance 1, since nothing tells its unit. The states of
    a latent discrete one come in no particular order.

    Cost of a step: for each row, and each configuration of the discrete variables that it misses above its continuous
    ones, linear in the families.

    References
    ----------
    Lauritzen & Wermuth (1989), Ann. Stat. 17(1), 31-57 (the distributions). Lauritzen (1992), J. Am. Stat. Assoc.
    87(420), 1098-1108. Kochenderfer, Wheeler & Wray (2022), Algorithms for Decision Making, section 4.4.2.

    Examples
    --------
    Two clusters; the label is never seen.

    >>> import numpy as np
    >>> import pandas as pd
    >>> from pgmpy.base import DAG
    >>> rng = np.random.default_rng(0)
    >>> data = pd.DataFrame({"x": np.append(rng.normal(-2, 1, 300), rng.normal(2, 1, 200))})
    >>> estimator = ConditionalGaussianEM(seed=0, show_progress=False)
    >>> estimator = estimator.fit(DAG([("label", "x")], latents={"label"}), data)
    >>> sorted(estimator.model_.get_cpds("x").beta.round(1).ravel().tolist())
    [-2.1, 2.0]
    >>> estimator.predict_proba(data.tail(1))["label"].max(axis=1).round(2).tolist()
    [1.0]
    """

    _tags: ClassVar[dict[str, Any]] = {
        "supported_model_types": (DAG,),
        "supports_latent_variables": True,
        "supports_weighted_data": True,
    }

    def __init__(
        self,
        discrete: Sequence[Any] | None = None,
        continuous: Sequence[Any] | None = None,
        state_names: dict | None = None,
        latent_card: dict[Any, int] | None = None,
        max_iter: int = 1000,
        tol: float = 1e-3,
        n_init: int | None = None,
        seed: int | None = None,
        init_cpds: dict[Any, Any] | str | None = None,
        fixed_cpds: dict[Any, Any] | list | None = None,
        prior: str | Prior | dict | None = None,
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
        self.discrete = discrete
        self.continuous = continuous
        self.state_names = state_names
        self.latent_card = latent_card
        self.max_iter = max_iter
        self.tol = tol
        self.n_init = n_init
        self.seed = seed
        self.init_cpds = init_cpds
        self.fixed_cpds = fixed_cpds
        self.prior = prior
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

    def fit(self, model: DAG, data: pd.DataFrame, sample_weight: Any = None) -> "ConditionalGaussianEM":
        """Fit the CPDs.

        Parameters
        ----------
        model : DAG
            The structure, of any of pgmpy's classes. Variables in ``model.latents`` have no column; those whose column
            has no value are latent too. Not modified.
        data : pandas.DataFrame
            A column for each other variable; NaN, None and pandas.NA are missing. Further columns are ignored.
        sample_weight : array-like of shape (n_rows,), optional
            In records, finite and >= 0. Rows of weight 0 count for nothing.

        Returns
        -------
        ConditionalGaussianEM
            Itself, fitted; ``model_`` is the network with its CPDs.

        Raises
        ------
        TypeError, ValueError
            Wrong arguments; a continuous parent of a discrete variable; an infinite value; a variable without
            any value.
        MemoryBudgetError
            Exact inference does not fit into memory.

        Warns
        -----
        ConvergenceWarning
            The best run ended without meeting ``tol``.
        NotReplicatedWarning
            Of several runs only one has found the best maximum.
        UserWarning
            A variable's residual variance is at its floor, or its parents are collinear.
        """
        settings, continuous = check_arguments(self, KNOWN)
        if not isinstance(model, DAG):
            raise TypeError(f"model must be a pgmpy DAG. Got: {type(model).__name__}.")
        structure = read_any_structure(model)
        discrete, _ = find_kinds(
            structure.names,
            structure.parents,
            data,
            discrete=self.discrete,
            continuous=self.continuous,
            described=[*(self.state_names or {}), *(self.latent_card or {})],
            cpds={**continuous.init_cpds, **continuous.fixed_cpds},
        )
        if self.prior is not None and not discrete:
            raise ValueError(
                f"prior={self.prior!r} is of tables, but no variable is discrete. Use variance_prior and ridge."
            )
        prepared = prepare_hybrid(
            structure,
            discrete,
            data,
            sample_weight,
            settings,
            continuous,
            state_names=self.state_names,
            latent_card=self.latent_card,
        )
        self._fit(structure, settings, prepared, stacklevel=3)
        self.model_ = ConditionalGaussianNetwork()
        self.model_.add_nodes_from(structure.names)  # first, so that they keep the model's order
        self.model_.add_edges_from(model.edges())
        self.model_.latents = set(model.latents)
        self.model_.add_cpds(*self.parameters_)
        return self

    def _write_continuous(
        self, prepared: PreparedHybrid, node: int, parameters: FloatArray, moments: FloatArray
    ) -> ConditionalGaussianCPD:
        return write_conditional(prepared.network, node, prepared.network.net.block(parameters, node))

    @classmethod
    def from_model(cls, model: ConditionalGaussianNetwork, **arguments: Any) -> "ConditionalGaussianEM":
        """Make an estimator that answers questions about rows with a network's own CPDs.

        Nothing is fitted, so that the attributes that tell of a fit (``history_``, ``log_likelihood_`` and the like)
        do not exist.

        Parameters
        ----------
        model : ConditionalGaussianNetwork
            With a CPD for every variable. Not modified.
        **arguments
            Of `ConditionalGaussianEM`.

        Returns
        -------
        ConditionalGaussianEM
            Ready for ``score``, ``score_samples``, ``predict_proba`` and ``impute``.

        Raises
        ------
        TypeError
            Another kind of model.
        ValueError
            As from the model's ``check_model``: a variable has no CPD, for one.

        Examples
        --------
        >>> import pandas as pd
        >>> model = ConditionalGaussianNetwork([("x", "y")])
        >>> model.add_cpds(ConditionalGaussianCPD("x", [[1]], [1]), ConditionalGaussianCPD("y", [[0, 2]], [1], ["x"]))
        >>> ConditionalGaussianEM.from_model(model).impute(pd.DataFrame({"x": [1.0, 3.0], "y": [None, 6.0]}))
             x    y
        0  1.0  2.0
        1  3.0  6.0
        """
        estimator = cls(**arguments)
        check_arguments(estimator, KNOWN)
        if not isinstance(model, ConditionalGaussianNetwork):
            raise TypeError(f"model must be a ConditionalGaussianNetwork. Got: {type(model).__name__}.")
        model.check_model()
        estimator._keep(*_read_parameters(model))
        estimator.model_ = model.copy()
        estimator.parameters_ = [estimator.model_.get_cpds(name) for name in model.nodes()]
        return estimator

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Give parameter sets for skbase's contract tests."""
        return [{}, {"prior": "K2", "n_init": 2, "seed": 0, "show_progress": False, "max_iter": 5}]


def _read_parameters(model: ConditionalGaussianNetwork) -> tuple[HybridNetwork, FloatArray]:
    """Read a network whose CPDs are all known, in units that suit its CPDs."""
    structure = read_any_structure(model)
    names, continuous = model.discrete_nodes, model.continuous_nodes
    latents = [name for name in structure.latents if name in structure.cpds]
    parents = {name: structure.parents[name] for name in names}
    discrete = build_network(names, parents, declared_states(structure.cpds), latents)
    tables = discrete.flatten(read_cpd(discrete, structure.cpds[name], "the model") for name in names)
    latents = [name for name in structure.latents if name in set(continuous)]
    network = order_network(continuous, structure.parents, latents, discrete)
    network = network._replace(units=_typical_units(network, model))
    blocks = np.zeros(int(network.net.offset[-1]))
    for node, name in enumerate(network.names):
        cpd = model.get_cpds(name)
        network.net.block(blocks, node)[...] = check_precision(read_block(network, cpd, "the model"), cpd, "the model")
    return network, np.concatenate([tables, blocks])


def _typical_units(network: HybridNetwork, model: ConditionalGaussianNetwork) -> Units:
    """Say where values lie, and how far apart, were all configurations equally frequent.

    Any units give the same answers but for rounding, which these keep small where values are far from zero.
    """
    center, scale = dict.fromkeys(network.names, 0.0), dict.fromkeys(network.names, 1.0)
    for name in network.names:
        cpd = model.get_cpds(name)
        means = cpd.beta[:, 0] + cpd.beta[:, 1:] @ np.array([center[parent] for parent in cpd.evidence])
        spreads = cpd.beta[:, 1:] * np.array([scale[parent] for parent in cpd.evidence])
        center[name] = float(means.mean())
        parts = np.column_stack([cpd.std, spreads, means - means.mean()])
        size = np.abs(parts).max()  # squares of large numbers would overflow
        scale[name] = float(size * np.sqrt(((parts / size) ** 2).sum(axis=1).mean()))
    return Units(np.array(list(center.values())), np.array(list(scale.values())))
