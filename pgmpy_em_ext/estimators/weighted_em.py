"""`WeightedEM`: the estimator that a pgmpy user swaps in."""

import logging
import time
import warnings
from collections.abc import Callable, Hashable
from os import PathLike
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from pgmpy.factors.discrete import TabularCPD
from pgmpy.parameter_estimator.base import DiscreteParameterEstimator

from pgmpy_em_ext import e_step as e_step_package
from pgmpy_em_ext._tools.checks import check_integer
from pgmpy_em_ext._tools.registry import lookup
from pgmpy_em_ext.arrays.columns import ColumnList
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.cpd_family.categorical import write_cpd
from pgmpy_em_ext.cpd_family.prior import Prior
from pgmpy_em_ext.data.checks import check_columns, check_weight, note_ignored
from pgmpy_em_ext.data.encoding import encode_table, number_rows, read_table
from pgmpy_em_ext.data.reduction import observes, reduce_rows, to_evidence
from pgmpy_em_ext.data.rows import EncodedData
from pgmpy_em_ext.e_step._base import EStep
from pgmpy_em_ext.e_step.exact import ExactEStep
from pgmpy_em_ext.e_step.sampled import AutoEStep, GibbsEStep
from pgmpy_em_ext.e_step.sampled.gibbs import ROW_DRAWS
from pgmpy_em_ext.em.method import Method
from pgmpy_em_ext.em.step import EMState, Problem
from pgmpy_em_ext.em.stochastic import likelihood_error
from pgmpy_em_ext.estimators._finish import find_boundary, make_uniform
from pgmpy_em_ext.estimators._outcome import make_rule, run_all, store_runs, warn_of_the_end
from pgmpy_em_ext.inference import answers
from pgmpy_em_ext.prepare.account import summarize
from pgmpy_em_ext.prepare.arguments import check_settings, choose_method
from pgmpy_em_ext.prepare.tables import Prepared, make_starts, prepare, read_parameters
from pgmpy_em_ext.restarts.best_of import Best, Iteration, Restart, log_likelihood_error
from pgmpy_em_ext.restarts.checkpoint import Checkpoint, fingerprint
from pgmpy_em_ext.start.initializer import Initializer
from pgmpy_em_ext.start.starts import Starts
from pgmpy_em_ext.start.symmetry import symmetric_nodes
from pgmpy_em_ext.types import MISSING, FloatArray
from pgmpy_em_ext.uncertainty.identifiability import Identifiability
from pgmpy_em_ext.uncertainty.tables import (
    BootstrapTables,
    Kept,
    MonteCarloErrors,
    StandardErrorTables,
    compute_standard_errors,
    draw_bootstrap,
    tell_identifiability,
)

logger = logging.getLogger(__name__)


class WeightedEM(DiscreteParameterEstimator):
    """Estimate a discrete Bayesian network's CPDs from incomplete data by Expectation-Maximization.

    Every row is used, whatever is missing in it; rows may have weights; variables may be
    latent. The log-likelihood of the observed data is computed exactly, reported, and
    decides when to stop and which of several runs is best. The keywords of pgmpy's
    ``DiscreteEM`` come first, in its order and with its meaning.

    Parameters
    ----------
    state_names : dict, optional
        States of each variable. What is not given is taken from the CPDs in
        ``init_cpds``, ``fixed_cpds`` or the model, else from the data.
    latent_card : dict, optional
        Number of states of each latent variable, 2 where nothing is said.
    m_step_estimator : DiscreteMLE or DiscreteBayesianEstimator, optional
        Read as no prior, or as the prior that it stands for.
    max_iter : int, default 1000
        EM steps at most in a run. 0 evaluates the start.
    atol : float, optional
        Stop also when no parameter changed by more than this.
    n_jobs : int, default 1
        Threads, -1 for all processors: for the runs where there are several, else for the
        E-steps of the one. The answer is the same to the last bit.
    batch_size : int, default 10000
        Rows worked on at once by the methods that answer row by row.
    seed : int, optional
        Of all random starts and draws; the same seed gives the same bits.
    init_cpds : dict, str or Initializer, optional
        A dict of `TabularCPD` (variables that are absent are drawn), or a strategy:
        "random", "uniform", "prior", "model", "complete_case", "available_case",
        "near_uniform", "marginal_mode" or "nearest_neighbor". By default "available_case":
        counts over the rows that observe a family plus one pseudo count, and a random draw for
        families that no row observes whole, such as those with a latent variable; of several
        runs every other one draws these "near_uniform".
    show_progress : bool, default True
        Show a progress bar with the log-likelihood, unless pgmpy's
        ``config.SHOW_PROGRESS`` is off.
    e_step : str, EStep class or instance, default "auto"
        The engine. "auto" is exact inference while it fits into memory, else sampling, with a
        warning; "exact" refuses what does not fit; "sampled" and "likelihood_weighting" sample
        what is too large. "enumeration", and pgmpy's own "variable_elimination", "belief_propagation"
        and "approx_inference" go row by row. Or one of your own.
    prior : str, Prior or dict, optional
        None for maximum likelihood; "K2", "BDeu", "Dirichlet", a prior object, or a dict
        of pseudo counts in pgmpy's layout. Pseudo counts are added to the expected counts.
    n_init : int, optional
        Runs from independent starts, of which the best is kept; by default 16 where a
        variable is latent, or never observed together with its children, and the start is
        random, else 1. Further runs of a start that is not random are drawn at random. A run
        that is about to end where another one does joins it. By default runs from near the best
        maximum follow, and up to 24 more starts while few have led there. Where E-steps are costly
        the less promising half is dropped after 16 steps, and so on, until three are left. All
        that for each independent block of families by itself.
    tol : float, default 1e-3
        Stop when the objective's estimated distance from its limit was below this in three
        steps in a row, in nats. 0 never stops by gain.
    acceleration : {"auto", "squarem", "lbfgs", None}, default "auto"
        How EM's limit is reached in fewer E-steps; the objective never falls. "lbfgs" makes
        quasi-Newton steps that begin as EM steps; "auto" begins with EM, and goes over to them
        where EM is slow; "squarem" extrapolates pairs of EM steps; None is plain EM. With an
        engine that is not exact "auto" is plain EM too.
    fixed_cpds : dict or list, optional
        CPDs that are never updated: `TabularCPD` by variable, or names of variables whose
        CPD stands in ``init_cpds`` or in the model.
    max_time : float, optional
        Seconds, after which the best so far is returned, with a warning.
    callback : callable, optional
        Called with an `Iteration` at the start and after every step, from several threads
        where ``n_jobs`` says so; a true result stops the fit.
    checkpoint : path, optional
        File that keeps the progress of a long fit; the same fit, begun again, goes on
        from it. Needs a seed.

    Attributes
    ----------
    parameters_ : list of TabularCPD
        One for each node, in the order of ``model.nodes()``, parents sorted.
    state_names_ : dict
        States of each variable.
    log_likelihood_, log_prior_, objective_ : float
        Of ``parameters_``, in nats: of the observed data, of the prior (sum of pseudo
        counts times log parameters, up to a constant), and their sum, which EM climbs.
    history_ : list of float
        The objective at the start and after each step.
    n_iter_ : int
        Steps of the best run. A step costs one E-step, plain or accelerated; one more where
        the blocks of several runs were put together.
    n_e_steps_ : int
        All E-steps of all runs, refused ones and looks beyond a run's end included.
    gap_ : float
        Estimated distance of ``objective_`` from the maximum nearby, in nats; 0 where no cell is
        missing, infinite where the runs were too short to tell. Where E-steps were sampled, what noise costs, and
        what many draws at the end say is left; the former alone where time ran out.
    rate_ : float
        EM's estimated rate of convergence: what part of the distance a plain step leaves,
        0 to 1; a rough average over all parameters where E-steps were sampled.
    mc_standard_error_ : MonteCarloErrors
        Of every CPD entry and of ``log_likelihood_``, by how much they may differ from what exact
        E-steps would have given; 0 where all was exact. ``evaluation``: by how much the latter may
        differ from the likelihood of these very CPDs.
    converged_ : bool
        Whether it met ``tol`` or ``atol``.
    status_ : {"converged", "max_iter", "max_time", "callback"}
        Why it ended.
    restarts_ : list of Restart
        A record a run: ``seed``, ``start``, ``objective``, ``log_likelihood``, ``n_iter``,
        ``n_e_steps``, ``status``, ``end``: the objective of the maximum that its start leads to.
    n_starts_ : int
        Independent starts; further runs have begun near the best maximum that these had found.
    replicated_ : int
        How many of these starts lead to the best maximum, within 0.1 nats; in the block of
        families where they are fewest.
    n_parameters_ : int
        Free parameters.
    aic_, bic_ : float
        Akaike's and Schwarz's criterion; the smaller, the better. Schwarz's sample size
        is the sum of the weights of the rows that observe something.
    boundary_columns_ : ColumnList
        Columns in which an entry came within 1e-6 of zero on the way: the maximum is on the
        boundary there, often for want of data. Columns of less than one record are left out.
    unidentified_rows_ : ColumnList
        Parent configurations that no record reaches. Their distribution is uniform, unless no
        step was made, or the start's zeros alone keep the records away. Where E-steps were
        sampled, also those that no draw has reached, which keep what they began with.
    reduction_ : ReductionSummary
        What was merged and what was ignored.

    Notes
    -----
    Cost: the data is compiled once into a graph of distinct elimination steps, and an
    iteration costs two sweeps over it: it depends on how many different local problems the
    holes make, not on the number of rows.

    References
    ----------
    Kochenderfer, Wheeler & Wray (2022), Algorithms for Decision Making, section 4.4.2.
    Dempster, Laird & Rubin (1977), J. R. Stat. Soc. B 39(1), 1-38. Lauritzen (1995),
    Comput. Stat. Data Anal. 19(2), 191-201.

    Examples
    --------
    >>> import pandas as pd
    >>> from pgmpy.models import DiscreteBayesianNetwork
    >>> model = DiscreteBayesianNetwork([("Rain", "Wet")])
    >>> data = pd.DataFrame(
    ...     {
    ...         "Rain": ["yes", "yes", "no", "no", "no", None],
    ...         "Wet": ["yes", "yes", "no", "no", "yes", "yes"],
    ...     }
    ... )
    >>> estimator = WeightedEM(tol=1e-9, show_progress=False)
    >>> model = model.fit(data, estimator=estimator)
    >>> estimator.converged_, round(estimator.log_likelihood_, 4)
    (True, -5.7286)
    >>> model.get_cpds("Rain").get_values().round(4)  # no, yes: 5/9 and 4/9
    array([[0.5556],
           [0.4444]])
    """

    _tags: ClassVar[dict[str, Any]] = {"supports_latent_variables": True, "supports_weighted_data": True}

    def __init__(
        self,
        state_names: dict | None = None,
        latent_card: dict[Any, int] | None = None,
        m_step_estimator: DiscreteParameterEstimator | None = None,
        max_iter: int = 1000,
        atol: float | None = None,
        n_jobs: int = 1,
        batch_size: int = 10_000,
        seed: int | None = None,
        init_cpds: dict[Any, TabularCPD] | str | Initializer | None = None,
        show_progress: bool = True,
        e_step: str | type[EStep] | EStep = "auto",
        prior: str | Prior | dict | None = None,
        n_init: int | None = None,
        tol: float = 1e-3,
        acceleration: str | None = "auto",
        fixed_cpds: dict[Any, TabularCPD] | list | None = None,
        max_time: float | None = None,
        callback: Callable[[Iteration], Any] | None = None,
        checkpoint: str | PathLike | None = None,
    ) -> None:
        self.latent_card = latent_card
        self.m_step_estimator = m_step_estimator
        self.max_iter = max_iter
        self.atol = atol
        self.n_jobs = n_jobs
        self.batch_size = batch_size
        self.seed = seed
        self.init_cpds = init_cpds
        self.show_progress = show_progress
        self.e_step = e_step
        self.prior = prior
        self.n_init = n_init
        self.tol = tol
        self.acceleration = acceleration
        self.fixed_cpds = fixed_cpds
        self.max_time = max_time
        self.callback = callback
        self.checkpoint = checkpoint
        super().__init__(state_names=state_names)

    def fit(self, model: Any, data: pd.DataFrame, sample_weight: Any = None) -> "WeightedEM":
        """Fit the CPDs.

        Parameters
        ----------
        model : DiscreteBayesianNetwork or DAG
            The structure; ``model.latents`` are never observed. Not modified.
        data : pandas.DataFrame of shape (n_rows, n_columns)
            A column for each variable that is not latent. None, NaN and pandas.NA are
            missing. A column that is missing throughout makes its variable latent; columns
            that the model does not have are ignored. Not modified, and not kept.
        sample_weight : array-like of shape (n_rows,), optional
            Records that each row stands for, >= 0, fractions allowed.

        Returns
        -------
        WeightedEM
            The estimator itself, fitted.

        Raises
        ------
        ValueError, TypeError
            For any argument, model or table that cannot be used; the message names the
            variable, row or state, and the way out. See the page on errors.
        ImpossibleEvidenceError
            A row has probability zero under the starting or fixed CPDs.
        MemoryBudgetError
            Exact inference does not fit into the engine's memory budget.

        Warns
        -----
        ConvergenceWarning
            The best run ended without meeting ``tol`` or ``atol``.
        NotReplicatedWarning
            Of several starts only one leads to the best maximum, or none; or few do, and many
            lead to maxima of their own.
        UserWarning
            The fit ended on a saddle point; or the objective fell.
        """
        deadline = None if self.max_time is None else time.monotonic() + self.max_time
        prepared = prepare(self, model, data, sample_weight)
        starts = make_starts(prepared, self.seed, self.n_init)
        asked = self._with_threads(prepared.settings.engine, len(starts))
        engine, plan = asked.settle(prepared.network, prepared.evidence)
        problem = Problem(engine, plan, prepared.family)
        method = choose_method(prepared.settings, self, engine, is_exact=problem.is_exact)
        best, restarts = self._run(problem, prepared, method, starts, deadline)
        state, unidentified = make_uniform(problem, prepared, best)
        self._store(prepared, problem, best, restarts, state, unidentified)
        begun = [starts[number].parameters for number in restarts if number < len(starts)]
        self.boundary_columns_ = find_boundary(prepared.network, state, begun, ~prepared.family.fixed)
        self._warn_of_saddles(problem, prepared, begun, state)
        self._warn_of_chains(state)
        warn_of_the_end(self, best, stacklevel=3)
        return self

    @classmethod
    def from_model(cls, model: Any, **arguments: Any) -> "WeightedEM":
        """Make an estimator that answers questions about rows with a model's own CPDs.

        Nothing is fitted, so that the attributes that tell of a fit (``history_``,
        ``log_likelihood_`` and the like) do not exist.

        Parameters
        ----------
        model : DiscreteBayesianNetwork
            With a CPD for every variable. Not modified.
        **arguments
            Of `WeightedEM`.

        Returns
        -------
        WeightedEM
            Ready for ``score``, ``score_samples``, ``predict_proba``, ``impute``,
            ``complete`` and ``expected_counts``.

        Raises
        ------
        ValueError
            A variable has no CPD, or a CPD is none: a column does not sum to one, or its
            states contradict another CPD's.

        Examples
        --------
        >>> import pandas as pd
        >>> from pgmpy.factors.discrete import TabularCPD
        >>> from pgmpy.models import DiscreteBayesianNetwork
        >>> model = DiscreteBayesianNetwork()
        >>> model.add_node("Coin")
        >>> model.add_cpds(TabularCPD("Coin", 2, [[0.75], [0.25]], state_names={"Coin": ["heads", "tails"]}))
        >>> round(WeightedEM.from_model(model).score(pd.DataFrame({"Coin": ["heads", None]})), 4)  # of one row
        -0.2877
        """
        estimator = cls(**arguments)
        check_settings(estimator)
        estimator._store_parameters(*read_parameters(model))
        return estimator

    def _with_threads(self, engine: EStep, n_runs: int) -> EStep:
        """Let a single run's engine use the threads that several runs would use, if it takes threads."""
        if n_runs > 1 or engine.get_params().get("n_jobs", 0) is not None:
            return engine
        return engine.clone().set_params(n_jobs=self.n_jobs)

    def _run(
        self, problem: Problem, prepared: Prepared, method: Method[Any], starts: Starts, deadline: float | None
    ) -> tuple[Best, dict[int, Restart]]:
        """Run EM from all starts, with progress bar and checkpoint."""
        rule = make_rule(
            self,
            deadline,
            prepared.total_weight,
            has_hidden=prepared.has_hidden,
            one_step=_takes_one_step(problem, prepared),
            is_exact=problem.is_exact,
        )
        checkpoint = None
        if self.checkpoint is not None:
            arrays = [
                *prepared.evidence[:2],
                prepared.family.pseudo_counts,
                prepared.family.fixed,
                starts[0].parameters,
            ]
            engine = f"{prepared.settings.engine!r} {self.acceleration} {self.atol}"
            key = fingerprint(prepared.network.identity, arrays, engine, starts.seeds)
            checkpoint = Checkpoint(self.checkpoint, key, method)
        return run_all(self, problem, starts, rule, method, checkpoint)

    def _warn_of_saddles(self, problem: Problem, prepared: Prepared, starts: list[FloatArray], state: EMState) -> None:
        """Warn of a symmetric start that was not left; a run that has converged has looked beyond it."""
        if self.converged_ and problem.is_exact:
            return
        ended, begun = (
            {
                node
                for parameters in vectors
                for node in symmetric_nodes(prepared.network, parameters, prepared.unlinked)
            }
            for vectors in ([state.parameters.round(9)], starts)
        )
        if ended & begun:
            names = [prepared.network.names[node] for node in sorted(ended & begun)]
            warnings.warn(
                f"the fit has ended on a saddle point: it is symmetric in states of the latent {names}, and EM never "
                "tells such states apart. Use init_cpds='random', or give CPDs that differ between the states.",
                UserWarning,
                stacklevel=3,
            )

    def _warn_of_chains(self, state: EMState) -> None:
        """Warn of chains that may have seen only a part of the completions."""
        noise = state.statistics.noise
        if noise is not None and noise.n_stuck:
            warnings.warn(
                f"{noise.n_stuck:,} chains are stuck: zeros in the CPDs may cut their completions apart, and no joint "
                "move was accepted. Their counts may rest on a part of the completions only. Raise max_table_size of "
                "the sampled e_step, so that more is summed exactly, or give a prior, which keeps entries from zero.",
                UserWarning,
                stacklevel=3,
            )

    def _store(
        self,
        prepared: Prepared,
        problem: Problem,
        best: Best,
        restarts: dict[int, Restart],
        state: EMState,
        unidentified: ColumnList,
    ) -> None:
        """Set the fitted attributes."""
        self._store_parameters(prepared.network, state.parameters)
        store_runs(self, best, restarts, state.log_likelihood, prepared.family.n_free, prepared.total_weight)
        self.log_prior_ = state.log_prior
        self.objective_ = state.objective
        errors = best.errors
        if errors is None:  # exact; or cut short before a run came to its end
            errors = np.full_like(state.parameters, 0.0 if problem.is_exact else np.inf)
        evaluation, noise = log_likelihood_error(state), best.state.statistics.noise
        of_likelihood = evaluation
        if noise is not None and len(best.history) > 1:
            of_likelihood = likelihood_error(
                prepared.family, best.state.parameters, errors, noise, best.state.statistics.counts
            )
        self.mc_standard_error_ = MonteCarloErrors(
            answers.cpd_frames(prepared.network, errors), of_likelihood, evaluation
        )
        self.unidentified_rows_ = unidentified
        self._kept = Kept(
            problem.engine,
            prepared.settings.accelerator,
            problem.is_exact,
            prepared.network,
            prepared.sample,
            prepared.family,
            state.parameters,
        )
        self.reduction_ = summarize(prepared, problem.engine.summary(problem.plan))

    def _store_parameters(self, network: Network, parameters: FloatArray) -> None:
        """Set what the questions about rows need, and what pgmpy takes."""
        self._network = network
        self._vector = parameters
        self.parameters_ = [write_cpd(network, node, parameters) for node in range(network.n_nodes)]
        self.state_names_ = {
            name: list(states) for name, states in zip(network.names, network.state_names, strict=True)
        }
        self._is_fitted = True

    def score(self, data: pd.DataFrame, sample_weight: Any = None) -> float:
        """Compute the mean log-likelihood of a row, as scikit-learn does.

        Parameters
        ----------
        data : pandas.DataFrame
            As for `score_samples`. Rows without any observed value are no part of the mean.
        sample_weight : array-like of shape (n_rows,), optional
            Weights of the mean.

        Returns
        -------
        float
            In nats a record; -inf where a row of positive weight is impossible.

        Raises
        ------
        ValueError
            No row of positive weight has a value.
        """
        codes, weight, _ = self._encode(data, sample_weight)
        kept = weight > 0
        samples = answers.log_likelihoods(self._fitted(), codes[kept])
        return answers.mean_log_likelihood(samples, weight[kept], observes(codes[kept]))

    def score_samples(self, data: pd.DataFrame) -> FloatArray:
        """Compute the log-likelihood of each row's observed cells.

        Parameters
        ----------
        data : pandas.DataFrame of shape (n_rows, n_columns)
            Any cell may be missing, and any column: a variable without one is unobserved.

        Returns
        -------
        float ndarray of shape (n_rows,)
            In nats; -inf for a row that is impossible under the fitted CPDs.
        """
        encoded = self._encode(data)
        return answers.log_likelihoods(self._fitted(), encoded.codes)

    def predict_proba(self, data: pd.DataFrame) -> dict[Hashable, pd.DataFrame]:
        """Compute the posterior distribution of every missing cell.

        Parameters
        ----------
        data : pandas.DataFrame
            As for `score_samples`.

        Returns
        -------
        dict of pandas.DataFrame
            For each variable with a missing cell, latents included: a row for each of
            these cells, with the table's index, and a column for each state.

        Raises
        ------
        ImpossibleEvidenceError
            A row has probability zero, so that it has no posterior.
        """
        encoded = self._encode(data)
        found = answers.posteriors(self._fitted(), encoded.codes)
        return answers.probability_frames(self._network, found, data.index)

    def impute(self, data: pd.DataFrame, how: str = "mode", seed: int | None = None) -> pd.DataFrame:
        """Fill the holes of a table.

        Parameters
        ----------
        data : pandas.DataFrame
            As for `score_samples`; not modified.
        how : {"mode", "sample"}, default "mode"
            "mode" fills each cell with the most probable state of its own posterior;
            "sample" draws all cells of a row from their joint posterior.
        seed : int, optional
            Of the draws; by default the estimator's.

        Returns
        -------
        pandas.DataFrame
            A copy without holes in the model's columns. Columns are neither added nor
            dropped: for variables without one see `predict_proba` and `complete`.

        Raises
        ------
        ImpossibleEvidenceError
            A row has probability zero.
        """
        check_integer("seed", seed, low=0, optional=True)
        if how not in ("mode", "sample"):
            raise ValueError(f"how must be 'mode' or 'sample'. Got: {how!r}.")
        encoded = self._encode(data)
        if how == "mode":
            completed = answers.modes(self._fitted(), encoded.codes)
        else:
            completed = answers.draws(self._fitted(), encoded.codes, self.seed if seed is None else seed)
        return answers.fill_table(self._network, data, encoded.codes, completed)

    def complete(self, data: pd.DataFrame, sample_weight: Any = None) -> pd.DataFrame:
        """List all completions of every row, weighted by their posterior probability.

        Parameters
        ----------
        data : pandas.DataFrame
            As for `score_samples`.
        sample_weight : array-like of shape (n_rows,), optional
            Weights of the rows.

        Returns
        -------
        pandas.DataFrame
            A column for each variable, latents included, and ``_weight``, which sums to
            each row's weight. The index repeats the table's. Completions of probability
            zero are not listed.

        Raises
        ------
        ImpossibleEvidenceError
            A row has probability zero.
        MemoryBudgetError
            There are more than five million completions.

        References
        ----------
        Kochenderfer, Wheeler & Wray (2022), section 4.4.2, example 4.3.
        """
        encoded = self._encode(data, sample_weight)
        if "_weight" in self._network.index:
            raise ValueError("complete adds a column '_weight', but a variable has that name: rename the variable.")
        return answers.completion_frame(self._network, self._vector, encoded.codes, encoded.weight, data.index)

    def expected_counts(self, data: pd.DataFrame, sample_weight: Any = None) -> dict[Hashable, pd.DataFrame]:
        """Compute the expected counts of every family: the completions, counted by weight.

        Parameters
        ----------
        data : pandas.DataFrame
            As for `score_samples`.
        sample_weight : array-like of shape (n_rows,), optional
            Weights of the rows.

        Returns
        -------
        dict of pandas.DataFrame
            For each variable, in records: a row for each state, a column for each
            configuration of the parents, as in its CPD. Each sums to the total weight.

        Raises
        ------
        ImpossibleEvidenceError
            A row of positive weight has probability zero.
        """
        evidence = to_evidence(reduce_rows(self._encode(data, sample_weight)))
        engine, plan = self._counting_engine().settle(self._network, evidence)
        statistics = engine.expected_statistics(plan, self._vector)
        return answers.cpd_frames(self._network, statistics.counts)

    def standard_errors(self) -> StandardErrorTables:
        """Compute standard errors of all CPD entries from the curvature of the objective.

        The fit is first carried closer to its maximum, to 1e-7 nats; ``parameters_`` stay as they are.

        Returns
        -------
        StandardErrorTables
            ``errors`` and ``reasons``: for each variable a table with a row for each state and
            a column for each parent configuration, as its CPD. An entry that has no error is
            NaN, and its reason says why: it is at 0 or 1, its column stands for less than one
            record, the data does not identify it, or the fit is no maximum. With a prior they
            are standard deviations of the posterior's normal approximation.

        Raises
        ------
        MemoryBudgetError
            The data joins more than 20,000 parameters.

        Notes
        -----
        Cost: two E-steps for each free parameter of the largest independent block.

        References
        ----------
        Jamshidian & Jennrich (2000), J. R. Stat. Soc. B 62(2), 257-270.
        """
        return compute_standard_errors(self._kept_by_fit())

    def bootstrap(self, n: int = 200, seed: int | None = None) -> BootstrapTables:
        """Fit again to records drawn with replacement, starting at the estimate.

        The data is compiled once; each replicate has other weights of the same rows: multinomial
        where all weights are whole numbers, else Dirichlet (the Bayesian bootstrap).

        Parameters
        ----------
        n : int, default 200
            Replicates. For intervals some hundreds.
        seed : int, optional
            Of the draws; by default the estimator's.

        Returns
        -------
        BootstrapTables
            With ``interval(level)``, ``standard_errors()`` and ``values(variable)``.

        Notes
        -----
        Replicates start at the estimate, so that the states of latent variables keep their
        order: what is shown is the spread around this maximum, not that there may be others.

        References
        ----------
        Efron (1979), Ann. Stat. 7(1), 1-26. Rubin (1981), Ann. Stat. 9(1), 130-134.
        """
        check_integer("seed", seed, low=0, optional=True)
        return draw_bootstrap(self._kept_by_fit(), n, self.seed if seed is None else seed, self.n_jobs)

    def identifiability(self, seed: int | None = None) -> Identifiability:
        """Find out which parameters rows like the fit's can tell apart, however many there are of each.

        Parameters
        ----------
        seed : int, optional
            Of the parameters at which this is found out; by default the estimator's. Nothing but
            bad luck depends on it.

        Returns
        -------
        Identifiability
            ``n_parameters``, ``rank``, ``deficiency``; ``confounded``: groups of CPD columns that can
            be changed together without a change in any row's probability; ``without_data``.

        Raises
        ------
        MemoryBudgetError
            The data joins more than 20,000 parameters.

        References
        ----------
        Goodman (1974), Biometrika 61(2), 215-231.
        """
        check_integer("seed", seed, low=0, optional=True)
        return tell_identifiability(self._kept_by_fit(), self.seed if seed is None else seed)

    def _kept_by_fit(self) -> Kept:
        """Give what the last fit has kept."""
        self.check_is_fitted()
        if getattr(self, "_kept", None) is not None and not self._kept.is_exact:
            raise ValueError(
                "the fit's E-steps were sampled, so that its likelihood is too noisy to be differentiated or fitted "
                "again many times. mc_standard_error_ tells how far sampling is off; for standard errors, bootstrap "
                "and identifiability fit with e_step='exact'."
            )
        if not hasattr(self, "_kept"):
            raise ValueError(
                "there was no fit, so that there is no data to ask how sure it is of the CPDs: from_model has none. "
                "Call fit."
            )
        return self._kept

    def _fitted(self) -> answers.Fitted:
        """Say what the questions about rows work with; the memory is that of the fit's own engine."""
        sampler, prefers_chains = self._row_sampler()
        return answers.Fitted(
            self._network,
            self._vector,
            self.batch_size,
            self._exact_engine().memory_budget,
            sampler,
            prefers_chains,
            0 if self.seed is None else self.seed,
        )

    def _engine(self) -> EStep:
        """Make the engine that ``e_step`` names."""
        engine: EStep = lookup(self.e_step, EStep, e_step_package, "e_step")
        return engine.clone()

    def _row_sampler(self) -> tuple[GibbsEStep | None, bool]:
        """Make what may answer about rows too large for exact inference; and say whether by the size of tables."""
        engine = self._engine()
        if isinstance(engine, AutoEStep):
            return engine.sampled_engine(), False
        return (engine, True) if isinstance(engine, GibbsEStep) else (None, False)

    def _exact_engine(self) -> ExactEStep:
        """Make an exact engine with the settings of the fit's own, as far as that is exact."""
        engine = self._engine()
        if isinstance(engine, (AutoEStep, GibbsEStep)):
            engine = engine.exact_engine()
        return self._with_threads(engine if isinstance(engine, ExactEStep) else ExactEStep(), n_runs=1)

    def _counting_engine(self) -> EStep:
        """Make an engine that counts all families: the fit's own where it may sample, else exact."""
        engine, (sampler, _) = self._engine(), self._row_sampler()
        if sampler is None:
            return self._exact_engine().set_params(prune_barren=False)
        sampler.set_params(n_samples=max(sampler.n_samples or 1, ROW_DRAWS))
        engine = engine.set_params(sampled=sampler) if isinstance(engine, AutoEStep) else sampler
        return self._with_threads(engine.set_params(prune_barren=False), n_runs=1)

    def _encode(self, data: Any, sample_weight: Any = None) -> EncodedData:
        """Encode a table by the fitted states."""
        self.check_is_fitted()
        check_integer("batch_size", self.batch_size, low=1)
        note_ignored(check_columns(data, self._network.names))
        columns = set(data.columns.to_list())
        absent = [name for name in self._network.names if name not in columns]
        if absent:
            logger.info("The variables %s have no column: taken as unobserved.", absent)
        weight = check_weight(sample_weight, data)
        return encode_table(self._network, read_table(number_rows(data), self._network.names), weight)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Give parameter sets for skbase's contract tests."""
        return [{}, {"prior": "K2", "n_init": 2, "seed": 0, "show_progress": False, "max_iter": 5}]


def _takes_one_step(problem: Problem, prepared: Prepared) -> bool:
    """Whether no cell is missing, but for rows that observe nothing and that the engine does not impute."""
    if (prepared.sample.codes == MISSING).any():
        return False
    blocks = problem.engine.blocks(problem.plan)
    return len(prepared.sample.codes) == len(prepared.evidence.codes) or (blocks is not None and blocks.n_blocks == 0)
