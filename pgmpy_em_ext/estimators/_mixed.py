"""What the estimators of networks with continuous variables have in common."""

import time
import warnings
from collections.abc import Callable, Hashable, Sequence
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd

from pgmpy_em_ext._tools.checks import check_integer
from pgmpy_em_ext.arrays.columns import ColumnList
from pgmpy_em_ext.arrays.mixed import HybridNetwork, HybridRows
from pgmpy_em_ext.cpd_family.categorical import write_cpd
from pgmpy_em_ext.data.checks import check_columns, check_weight, note_ignored
from pgmpy_em_ext.data.encoding import encode_table, number_rows, read_table
from pgmpy_em_ext.data.values import check_distances, read_values
from pgmpy_em_ext.e_step.mixed import HybridEStep
from pgmpy_em_ext.em.exact import ExactEM
from pgmpy_em_ext.em.step import EMState, Problem
from pgmpy_em_ext.estimators._finish import find_boundary, make_uniform
from pgmpy_em_ext.estimators._outcome import make_rule, run_all, store_runs, warn_of_the_end
from pgmpy_em_ext.inference import continuous as hybrid_answers
from pgmpy_em_ext.inference.answers import fill_table, mean_log_likelihood, probability_frames
from pgmpy_em_ext.networks.structure import Structure
from pgmpy_em_ext.prepare.account import note_summary
from pgmpy_em_ext.prepare.arguments import Settings
from pgmpy_em_ext.prepare.mixed import PreparedHybrid, make_hybrid_starts
from pgmpy_em_ext.prepare.tables import Prepared
from pgmpy_em_ext.restarts.best_of import Best, Iteration, Restart
from pgmpy_em_ext.restarts.checkpoint import Checkpoint, fingerprint
from pgmpy_em_ext.start.starts import Starts
from pgmpy_em_ext.types import CPDColumn, FloatArray, IntArray


class HybridEM:
    """Fit networks with continuous variables, and answer questions about rows.

    The estimators that derive from it say what a model is, read their arguments, and write CPDs.
    """

    max_iter: int
    tol: float
    n_init: int | None
    seed: int | None
    n_jobs: int
    max_time: float | None
    callback: Callable[[Iteration], Any] | None
    checkpoint: str | PathLike | None
    show_progress: bool
    acceleration: str | None
    variance_floor: float | None

    def _fit(self, structure: Structure, settings: Settings, prepared: PreparedHybrid, stacklevel: int) -> None:
        """Run EM and set the fitted attributes."""
        deadline = None if self.max_time is None else time.monotonic() + self.max_time
        starts = make_hybrid_starts(prepared, self.seed, self.n_init)
        engine = HybridEStep(n_jobs=self.n_jobs if len(starts) == 1 else None)
        problem = Problem(engine, engine.prepare(prepared.network, prepared.rows), prepared.family)
        rule = make_rule(
            self,
            deadline,
            prepared.total_weight,
            has_hidden=prepared.has_hidden,
            one_step=not prepared.has_holes,
            is_exact=True,
        )._replace(refines=prepared.network.net.n_nodes > 0)
        method = ExactEM(settings.accelerator)
        checkpoint = self._open_checkpoint(prepared, method, starts)
        best, restarts = run_all(self, problem, starts, rule, method, checkpoint)
        begun = [starts[number].parameters for number in restarts if number < len(starts)]
        self._store(structure, prepared, problem, begun, best, restarts)
        self._warn_of_regressions(prepared, best.state, stacklevel + 1)
        warn_of_the_end(self, best, stacklevel + 1)

    def _open_checkpoint(self, prepared: PreparedHybrid, method: ExactEM, starts: Starts) -> Checkpoint | None:
        if self.checkpoint is None:
            return None
        network, family = prepared.network, prepared.continuous
        identity = f"{network.discrete.identity} {network.names} {network.discrete_parents}"
        arrays = [*prepared.rows[:3], *network.net, *map(np.asarray, family.floor), family.fixed]
        arrays += [np.array([family.shape, family.scale, family.ridge]), starts[0].parameters]
        arrays += [prepared.tables.family.pseudo_counts, prepared.tables.family.fixed]
        key = fingerprint(identity, arrays, f"{self.acceleration} {prepared.strategy}", starts.seeds)
        return Checkpoint(self.checkpoint, key, method)

    def _store(
        self,
        structure: Structure,
        prepared: PreparedHybrid,
        problem: Problem,
        begun: list[FloatArray],
        best: Best,
        restarts: dict[int, Restart],
    ) -> None:
        """Set the fitted attributes, in the user's units."""
        state, shift = best.state, prepared.density_shift
        regressions = _without_records(prepared, state)
        state, unidentified = make_uniform(problem, prepared.tables, best)
        self.unidentified_rows_ = unidentified + regressions
        self.boundary_columns_ = _boundary_of_tables(prepared.tables, state, begun)
        n_free, total = prepared.family.n_free, prepared.total_weight
        store_runs(self, best, restarts, state.log_likelihood, n_free, total, shift)
        self.log_prior_ = state.log_prior
        self.objective_ = state.objective + shift
        self._keep(prepared.network, state.parameters)
        cpds = self._write_cpds(prepared, state)
        self.parameters_ = [cpds[name] for name in structure.names]
        continuous, n_cells = prepared.continuous, prepared.network.n_cells
        self.floored_ = _name_columns(prepared, continuous.at_floor(state.parameters[n_cells:]))
        self.collinear_ = _name_columns(prepared, continuous.collinear(state.statistics.counts[n_cells:]))
        self.reduction_ = note_summary(prepared.reduction._replace(engine=problem.engine.summary(problem.plan)))
        self.ignored_columns_ = self.reduction_.ignored_columns

    def _keep(self, network: HybridNetwork, parameters: FloatArray) -> None:
        """Set what the questions about rows need."""
        self._network, self._vector = network, parameters
        discrete = network.discrete
        self.state_names_ = dict(zip(discrete.names, map(list, discrete.state_names), strict=True))
        self._is_fitted = True

    def _write_cpds(self, prepared: PreparedHybrid, state: EMState) -> dict[Hashable, Any]:
        """Make the CPDs of all variables, by name."""
        network, n_cells = prepared.network, prepared.network.n_cells
        tables = state.parameters[:n_cells]
        found: dict[Hashable, Any] = {
            name: write_cpd(network.discrete, node, tables) for node, name in enumerate(network.discrete.names)
        }
        parameters, moments = state.parameters[n_cells:], state.statistics.counts[n_cells:]
        for node, name in enumerate(network.names):
            found[name] = self._write_continuous(prepared, node, parameters, moments)
        return found

    def _write_continuous(
        self, prepared: PreparedHybrid, node: int, parameters: FloatArray, moments: FloatArray
    ) -> Any:
        """Make the CPD of a continuous variable."""
        raise NotImplementedError

    def _warn_of_regressions(self, prepared: PreparedHybrid, state: EMState, stacklevel: int) -> None:
        """Warn of variances at their floor, and of coefficients that the data does not tell apart."""
        if self.floored_:
            blocks = [
                prepared.network.net.block(state.parameters[prepared.network.n_cells :], node)
                for node in range(len(prepared.network.names))
            ]
            floored = prepared.continuous.at_floor(state.parameters[prepared.network.n_cells :])
            largest = max(float(blocks[node][config, -1]) for node, config in floored)
            warnings.warn(
                f"the residual variance of {_list_columns(self.floored_)} is at its floor, {largest:.2g} of the "
                "column's (variance_floor): the parents determine it, it is constant, or it has no more rows than "
                "coefficients. Take a parent or a state out, or give a variance_prior, such as "
                f"(1, {_suited_scale(blocks, floored):.1g}), or another variance_floor.",
                UserWarning,
                stacklevel=stacklevel,
            )
        if self.collinear_:
            warnings.warn(
                f"the parents of {_list_columns(self.collinear_)} are collinear, to all digits that there are: what "
                "each explains is not known, and what only their difference explains is lost. Take one of them out, "
                "put the difference in its place, or give a ridge.",
                UserWarning,
                stacklevel=stacklevel,
            )

    def score_samples(self, data: pd.DataFrame) -> FloatArray:
        """Compute the log-density of each row's observed values, in nats.

        By the maximum-likelihood (or maximum-a-posteriori) parameters.

        Parameters
        ----------
        data : pandas.DataFrame
            As for `fit`; variables without a column are missing.

        Returns
        -------
        float ndarray of shape (n_rows,)
            In the user's units; 0 for rows without any observed value, -inf for impossible ones.
        """
        return self._score_rows(self._read_rows(data))

    def _score_rows(self, rows: HybridRows) -> FloatArray:
        """Compute log-densities in the user's units."""
        return hybrid_answers.log_likelihoods(self._fitted(), rows) + self._network.units.log_density_shift(rows.values)

    def score(self, data: pd.DataFrame, sample_weight: Any = None) -> float:
        """Compute the mean log-density of rows, in nats a record.

        Parameters
        ----------
        data : pandas.DataFrame
            As for `score_samples`. Rows without any observed value are no part of the mean.
        sample_weight : array-like of shape (n_rows,), optional
            Weights of the mean.

        Raises
        ------
        ValueError
            No row of positive weight has a value.
        """
        weight, rows = check_weight(sample_weight, data), self._read_rows(data)
        return mean_log_likelihood(self._score_rows(rows), weight, rows.observes())

    def predict_proba(self, data: pd.DataFrame) -> dict[Hashable, pd.DataFrame]:
        """Compute the posterior distribution of every missing discrete cell: cluster memberships, where it is latent.

        Parameters
        ----------
        data : pandas.DataFrame
            As for `score_samples`.

        Returns
        -------
        dict of pandas.DataFrame
            For each discrete variable with a missing cell, latents included: a row for each of these cells, with the
            table's index, and a column for each state.

        Raises
        ------
        ImpossibleEvidenceError
            A row has probability zero, so that it has no posterior.
        ValueError
            A row has a value so far out that rounding or overflow would decide.
        """
        rows = self._read_rows(data)
        check_distances(self._network, rows)
        found = hybrid_answers.posteriors(self._fitted(), rows)
        return probability_frames(self._network.discrete, found, data.index)

    def impute(
        self, data: pd.DataFrame, how: str = "mean", seed: int | None = None, *, return_std: bool = False
    ) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
        """Fill the missing values.

        Parameters
        ----------
        data : pandas.DataFrame
            As for `fit`. Not modified.
        how : {"mean", "sample"}
            The conditional mean given the row's observed values, of discrete cells the most probable state; or a draw
            from the row's joint conditional distribution.
        seed : int, optional
            Of the draws; by default the estimator's.
        return_std : bool
            Whether to return conditional standard deviations too.

        Returns
        -------
        completed : pandas.DataFrame
            The table with its columns of variables complete, numbers as floats where any was filled in; with a
            column for each variable that has none, latents included, at the end.
        deviations : pandas.DataFrame
            Of each continuous variable, given what the row observes; 0 where observed. Only with ``return_std``.

        Raises
        ------
        ImpossibleEvidenceError
            A row has probability zero.
        ValueError
            A row has a value so far out that rounding or overflow would decide.
        """
        check_integer("seed", seed, low=0, optional=True)
        if how not in ("mean", "sample"):
            raise ValueError(f"how must be 'mean' or 'sample'. Got: {how!r}.")
        rows, fitted = self._read_rows(data), self._fitted()
        check_distances(self._network, rows)
        if how == "mean" or return_std:
            values, deviations = hybrid_answers.complete(fitted, rows)
        if how == "mean":
            codes = self._modes(fitted, rows)
        else:
            source = np.random.SeedSequence(self.seed if seed is None else seed)
            states, numbers = source.spawn(2)
            drawn = hybrid_answers.draw_states(fitted, rows, int(states.generate_state(1)[0]))
            normals = np.random.default_rng(numbers).normal(size=rows.values.shape)
            codes = drawn.codes.astype(np.int64)
            values, _ = hybrid_answers.complete(fitted, drawn, normals)
        filled = self._fill(data, rows, codes, values)
        if not return_std:
            return filled
        names, scale = self._network.names, self._network.units.scale
        return filled, pd.DataFrame(
            deviations * scale, columns=pd.Index(list(names), tupleize_cols=False), index=data.index
        )

    @staticmethod
    def _modes(fitted: hybrid_answers.FittedHybrid, rows: HybridRows) -> IntArray:
        """Fill missing discrete cells with their most probable states."""
        codes: IntArray = rows.codes.astype(np.int64)
        for node, (missing, posterior) in hybrid_answers.posteriors(fitted, rows).items():
            codes[missing, node] = posterior.argmax(axis=1)
        return codes

    def _fill(self, data: pd.DataFrame, rows: HybridRows, codes: Any, values: FloatArray) -> pd.DataFrame:
        """Write completed rows into a copy of the table, in the user's units and words."""
        network = self._network
        filled = data.copy()
        discrete = network.discrete
        filled = fill_table(discrete, filled, rows.codes, codes)
        for node, name in enumerate(discrete.names):
            if name not in data.columns:
                states = list(discrete.state_names[node])
                filled[name] = pd.Series([states[code] for code in codes[:, node].tolist()], index=data.index)
        own, missing = values * network.units.scale + network.units.center, np.isnan(rows.values)
        for node, name in enumerate(network.names):
            if name not in data.columns:
                filled[name] = own[:, node]
            elif missing[:, node].any():
                filled[name] = np.where(missing[:, node], own[:, node], read_values(data, [name])[:, 0])
        return filled

    def _fitted(self) -> hybrid_answers.FittedHybrid:
        return hybrid_answers.FittedHybrid(self._network, self._vector, HybridEStep(n_jobs=self.n_jobs))

    def _read_rows(self, data: pd.DataFrame) -> HybridRows:
        """Read a table by the fitted states, standardised as the fit's was."""
        self.check_is_fitted()  # type: ignore[attr-defined]
        network, discrete = self._network, self._network.discrete
        note_ignored(check_columns(data, [*discrete.names, *network.names]))
        values = (read_values(data, network.names) - network.units.center) / network.units.scale
        weight = np.ones(len(values))
        codes = encode_table(discrete, read_table(number_rows(data), discrete.names), weight).codes
        return HybridRows(codes, values, weight, np.arange(len(values)))


def _without_records(prepared: PreparedHybrid, state: EMState) -> ColumnList:
    """Name the configurations of continuous variables' discrete parents that no record reaches."""
    network, moments = prepared.network, state.statistics.counts[prepared.network.n_cells :]
    free = np.flatnonzero(~prepared.continuous.fixed).tolist()
    return network.name_columns({node: np.flatnonzero(network.net.records(moments, node) == 0) for node in free})


def _boundary_of_tables(tables: Prepared, state: EMState, begun: list[FloatArray]) -> ColumnList:
    """Name the columns of tables with an entry that came to zero."""
    n_cells = tables.network.n_cells
    statistics = state.statistics._replace(counts=state.statistics.counts[:n_cells])
    own = state._replace(parameters=state.parameters[:n_cells], statistics=statistics)
    return find_boundary(tables.network, own, [parameters[:n_cells] for parameters in begun], ~tables.family.fixed)


def _name_columns(prepared: PreparedHybrid, found: list[tuple[int, int]]) -> ColumnList:
    """Name regressions, given by variable and configuration."""
    nodes, configs = np.array(found, dtype=np.int64).reshape(-1, 2).T
    return prepared.network.name_columns({node: configs[nodes == node] for node in np.unique(nodes).tolist()})


def _suited_scale(blocks: list[FloatArray], floored: list[tuple[int, int]]) -> float:
    """Give the scale of a variance prior that suits the data: the variance of the regressions that are not floored.

    Those of the same variables under other states are taken; a hundredth of the column's where there are none.
    """
    at_floor = set(floored)
    sound = [
        (node, float(variance))
        for node, block in enumerate(blocks)
        for config, variance in enumerate(block[:, -1])
        if (node, config) not in at_floor
    ]
    nodes = {node for node, _ in floored}
    own = [variance for node, variance in sound if node in nodes]
    return float(np.median(own)) if own else 0.01


def _list_columns(columns: Sequence[CPDColumn]) -> str:
    """Write the first few in words, and how many more there are."""
    more = f" and {len(columns) - 5} more" if len(columns) > 5 else ""
    return ", ".join(_name_column(column) for column in columns[:5]) + more


def _name_column(column: CPDColumn) -> str:
    """Write a variable, and the states of its parents, in words."""
    if not column.parents:
        return repr(column.variable)
    states = ", ".join(f"{name}={state}" for name, state in column.parents.items())
    return f"{column.variable!r} given {states}"
