"""Answers about rows of a table, in batches of bounded memory, from arrays to pandas."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from pgmpy_em_ext._tools.labels import match_states
from pgmpy_em_ext._tools.packing import distinct_rows
from pgmpy_em_ext.arrays.network import Network
from pgmpy_em_ext.e_step.enumeration import count_completions, enumerate_completions, weigh_completions
from pgmpy_em_ext.e_step.exact.compile import find_roles
from pgmpy_em_ext.e_step.exact.rows import (
    RowPass,
    draw_completions,
    row_log_likelihood,
    row_posteriors,
    sweep_in_batches,
)
from pgmpy_em_ext.e_step.sampled.gibbs import GibbsEStep
from pgmpy_em_ext.e_step.sampled.rows import SampledRows, rows_to_sample, sample_rows
from pgmpy_em_ext.exceptions import ImpossibleEvidenceError, MemoryBudgetError
from pgmpy_em_ext.types import MISSING, BoolArray, FloatArray, IntArray

MAX_COMPLETIONS = 5_000_000
"""Rows of the longest table of completions that is made."""

Answer = TypeVar("Answer")


class Fitted(NamedTuple):
    """A network that answers, and how much it may take on at once.

    Attributes
    ----------
    network : Network
        Structure and layout.
    parameters : float ndarray of shape (n_cells,)
        CPD entries.
    batch_size : int
        Rows swept together.
    memory_budget : int
        Bytes that a batch may take; one that would need more is halved.
    sampler : GibbsEStep or None
        What answers about rows that are too large; None where they are refused.
    prefers_chains : bool
        Whether it is asked about every row with a table beyond its limit, or only where memory
        does not suffice.
    seed : int
        Of its chains.
    silent : tuple of int
        Variables that are left out of the rows that miss them: evidence, which nobody asks about.
    """

    network: Network
    parameters: FloatArray
    batch_size: int
    memory_budget: int
    sampler: GibbsEStep | None = None
    prefers_chains: bool = False
    seed: int = 0
    silent: tuple[int, ...] = ()


def _in_batches(
    fitted: Fitted,
    codes: IntArray,
    answer: Callable[[slice, RowPass], Answer],
    *,
    prune_barren: bool,
) -> Iterator[Answer]:
    """Answer a question about rows, batch by batch."""
    network, parameters, batch_size, memory_budget = fitted[:4]
    roles = find_roles(network, codes, prune_barren=prune_barren)
    for node in fitted.silent:
        roles.dead[:, node] |= roles.alive[:, node]
        roles.alive[:, node] = False
    for batch, rows in sweep_in_batches(network, parameters, codes, batch_size, roles, memory_budget=memory_budget):
        yield answer(batch, rows)


class Parts(NamedTuple, Generic[Answer]):
    """What is known of some rows: exact answers where there is room for them, the rest sampled.

    Attributes
    ----------
    exact : int ndarray
        Rows that were answered exactly.
    answers : list
        One a batch of these.
    others : int ndarray
        Rows that chains were asked about.
    sampled : SampledRows or None
        What they said.
    """

    exact: IntArray
    answers: list[Answer]
    others: IntArray
    sampled: SampledRows | None

    def join(self, exact: list[Any], sampled: Callable[[SampledRows], Any], like: Any) -> Any:
        """Put the pieces of all batches, and what was sampled, into the rows of an array."""
        if len(self.exact):
            like[self.exact] = np.concatenate(exact)
        if self.sampled is not None:
            like[self.others] = sampled(self.sampled)
        return like

    def log_likelihoods(self, exact: list[FloatArray]) -> FloatArray:
        """Put log-likelihoods together; ``exact`` has a piece for each batch."""
        like = np.empty(len(self.exact) + len(self.others))
        return self.join(exact, lambda rows: rows.log_likelihood, like)


def _ask(
    fitted: Fitted,
    codes: IntArray,
    numbers: IntArray,
    answerer: Callable[[], Callable[[slice, RowPass], Answer]],
    seed: int,
    *,
    prune_barren: bool,
) -> Parts[Answer]:
    """Answer a question about rows, by chains where a row is too large and that is allowed.

    ``e_step="sampled"`` asks chains wherever a table is too large, "auto" only about rows that exceed the
    memory by themselves, once it has turned out that there are such.

    Parameters
    ----------
    codes : int ndarray of shape (n_rows, n_nodes)
        The rows, -1 where missing.
    numbers : int ndarray of shape (n_rows,)
        Position of each in the user's table, for messages.
    answerer : callable
        Makes the function that answers a batch; it is called again where the first try fails.
    seed : int
        Of the chains.
    """
    rows, sampler = np.arange(len(codes)), fitted.sampler
    if sampler is None or not fitted.prefers_chains:
        try:
            answers = list(_in_batches(fitted, codes, answerer(), prune_barren=prune_barren))
            return Parts(rows, answers, rows[:0], None)
        except MemoryBudgetError:
            if sampler is None:
                raise
    limit, budget = (sampler.limit, np.inf) if fitted.prefers_chains else (np.inf, float(fitted.memory_budget))
    while True:
        large = rows_to_sample(fitted.network, codes, prune_barren=prune_barren, limit=limit, memory_budget=budget)
        exact, others = rows[~large], rows[large]
        try:
            batches = _in_batches(fitted, codes[exact], answerer(), prune_barren=prune_barren) if len(exact) else ()
            answers = list(batches)
            break
        except MemoryBudgetError:  # the prediction was too low
            budget = min(budget, fitted.memory_budget) / 2
    sampled = None
    if len(others):
        sampled = sample_rows(
            fitted.network,
            fitted.parameters,
            codes[others],
            numbers[others],
            sampler,
            seed,
            likelihood_only=prune_barren,
        )
    return Parts(exact, answers, others, sampled)


def log_likelihoods(fitted: Fitted, codes: IntArray) -> FloatArray:
    """Log-likelihood of each row's observed states, in nats; -inf where impossible.

    Returns
    -------
    float ndarray of shape (n_rows,)
    """
    first, inverse = distinct_rows(list(codes.T))

    def answer(_: slice, rows: RowPass) -> FloatArray:
        return row_log_likelihood(rows, fitted.parameters)

    parts = _ask(fitted, codes[first], first, lambda: answer, fitted.seed, prune_barren=True)
    return parts.log_likelihoods(parts.answers)[inverse]


def mean_log_likelihood(samples: FloatArray, weight: FloatArray, observed: BoolArray) -> float:
    """Take the mean of rows' log-likelihoods.

    Parameters
    ----------
    samples : float ndarray of shape (n_rows,)
        The log-likelihoods, in nats.
    weight : float ndarray of shape (n_rows,)
        Rows of weight 0 do not count.
    observed : bool ndarray of shape (n_rows,)
        Rows with an observed value. The others do not count: their 0 says nothing of the model, and would bring the
        means of all models together.

    Raises
    ------
    ValueError
        There is nothing to take the mean of.
    """
    counted = observed & (weight > 0)
    if not counted.any():
        raise ValueError(
            "score is a mean over the rows that have a value of any of the model's variables, and no row of positive "
            "weight has one. Check how the table was read."
        )
    return float(np.average(samples[counted], weights=weight[counted]))


def check_possible(network: Network, codes: IntArray, log_likelihood: FloatArray) -> None:
    """Refuse rows of probability zero, which have no posterior; the first is named."""
    impossible = np.flatnonzero(np.isneginf(log_likelihood))
    if len(impossible):
        row = int(impossible[0])
        raise ImpossibleEvidenceError(row, network.observed_states(codes[row]))


def posteriors(fitted: Fitted, codes: IntArray) -> dict[int, tuple[IntArray, FloatArray]]:
    """Posterior of every missing cell.

    Returns
    -------
    dict
        For each variable with a missing cell: the rows where it is missing, and a float
        ndarray of shape (n_missing, cardinality).
    """
    first, inverse = distinct_rows(list(codes.T))
    distinct = codes[first]

    def answer(_: slice, rows: RowPass) -> tuple[FloatArray, dict[int, FloatArray]]:
        return row_log_likelihood(rows, fitted.parameters), row_posteriors(rows)

    parts = _ask(fitted, distinct, first, lambda: answer, fitted.seed, prune_barren=False)
    check_possible(fitted.network, codes, parts.log_likelihoods([single for single, _ in parts.answers])[inverse])
    found: dict[int, tuple[IntArray, FloatArray]] = {}
    asked = [node for node in range(fitted.network.n_nodes) if node not in fitted.silent]
    for node in (node for node in asked if (codes[:, node] == MISSING).any()):
        known = np.zeros((len(distinct), fitted.network.cardinalities[node]))
        missing = distinct[:, node] == MISSING
        pieces = [posteriors[node] for _, posteriors in parts.answers if node in posteriors]
        if pieces:
            known[parts.exact[missing[parts.exact]]] = np.concatenate(pieces)
        if parts.sampled is not None and node in parts.sampled.posteriors:
            known[parts.others[missing[parts.others]]] = parts.sampled.posteriors[node]
        rows = np.flatnonzero(codes[:, node] == MISSING)
        found[node] = rows, known[inverse[rows]]
    return found


def draws(fitted: Fitted, codes: IntArray, seed: int | None) -> IntArray:
    """Draw every row's missing cells from their joint posterior.

    Each cell has its own uniform number, row by row, so that the draws do not depend on
    the size of the batches.
    """
    source = np.random.SeedSequence(seed)

    def answerer() -> Callable[[slice, RowPass], tuple[FloatArray, IntArray]]:
        rng = np.random.default_rng(source)

        def answer(batch: slice, rows: RowPass) -> tuple[FloatArray, IntArray]:
            uniforms = rng.random((batch.stop - batch.start, fitted.network.n_nodes))
            return row_log_likelihood(rows, fitted.parameters), draw_completions(rows, uniforms)

        return answer

    numbers = np.arange(len(codes))
    parts = _ask(fitted, codes, numbers, answerer, int(source.generate_state(1)[0]), prune_barren=False)
    check_possible(fitted.network, codes, parts.log_likelihoods([single for single, _ in parts.answers]))
    completed = [rows for _, rows in parts.answers]
    return parts.join(completed, lambda rows: rows.completed, np.empty(codes.shape, dtype=np.int64))


def modes(fitted: Fitted, codes: IntArray) -> IntArray:
    """Fill every missing cell with the most probable state of its posterior."""
    completed = codes.astype(np.int64)
    for node, (rows, probabilities) in posteriors(fitted, codes).items():
        completed[rows, node] = probabilities.argmax(axis=1)
    return completed


def probability_frames(
    network: Network, found: dict[int, tuple[IntArray, FloatArray]], index: pd.Index
) -> dict[Hashable, pd.DataFrame]:
    """Label posteriors by row and state."""
    return {
        network.names[node]: pd.DataFrame(
            probabilities,
            index=index[rows],
            columns=pd.Index(list(network.state_names[node]), name=network.names[node], tupleize_cols=False),
        )
        for node, (rows, probabilities) in found.items()
    }


def completion_frame(
    network: Network, parameters: FloatArray, codes: IntArray, weight: FloatArray, index: pd.Index
) -> pd.DataFrame:
    """List the completions of all rows that have positive probability, with their weights."""
    total = sum(count_completions(network, codes))
    if total > MAX_COMPLETIONS:
        raise MemoryBudgetError(
            f"the {len(codes):,} rows have {total:,} completions, more than the {MAX_COMPLETIONS:,} that are listed. "
            "Pass fewer rows, or draw completions with impute(data, how='sample')."
        )
    completions = enumerate_completions(network, codes)
    posterior, log_likelihood = weigh_completions(network, parameters, completions, len(codes))
    check_possible(network, codes, log_likelihood)
    kept = posterior > 0
    rows = completions.row[kept]
    frame = pd.DataFrame(
        {
            name: _state_array(network.state_names[node])[completions.codes[kept, node]]
            for node, name in enumerate(network.names)
        },
        index=index[rows],
    ).infer_objects()
    frame["_weight"] = posterior[kept] * weight[rows]
    return frame


def _state_array(states: tuple[Any, ...]) -> np.ndarray:
    """States as an object array that holds each as it is, tuples included."""
    array = np.empty(len(states), dtype=object)
    array[:] = states
    return array


def fill_table(network: Network, data: pd.DataFrame, codes: IntArray, completed: IntArray) -> pd.DataFrame:
    """Fill the holes of a table, in its own columns, words and types."""
    filled = data.copy()
    columns = set(data.columns.to_list())
    for node, name in enumerate(network.names):
        if name in columns and (holes := codes[:, node] == MISSING).any():
            filled[name] = _fill_column(data[name], holes, completed[:, node], network.state_names[node])
    return filled


def _fill_column(column: pd.Series, holes: np.ndarray, codes: IntArray, states: tuple[Any, ...]) -> pd.Series:
    """Fill one column; a state that the column itself shows is written as it is there."""
    words = _state_array(states)
    shown = list(column[~holes].unique())
    positions = match_states(shown, states)
    times = Counter(positions)
    for value, position in zip(shown, positions, strict=True):
        if position is not None and times[position] == 1:  # 1 beside "1": as the state itself
            words[position] = value
    values = column.to_numpy(dtype=object, copy=True)
    values[holes] = words[codes[holes]]
    filled = pd.Series(values, index=column.index, name=column.name, dtype=object)
    if isinstance(column.dtype, pd.CategoricalDtype):
        known = set(column.cat.categories)
        new = [word for word in words if word not in known]
        return filled.astype(pd.CategoricalDtype([*column.cat.categories, *new], column.cat.ordered))
    if not shown:  # the type of an empty column says nothing about its states
        return filled.infer_objects()
    try:
        return filled.astype(column.dtype)
    except (TypeError, ValueError):
        return filled.infer_objects()


def cpd_frames(network: Network, vector: np.ndarray) -> dict[Hashable, pd.DataFrame]:
    """Label something of every CPD entry as pgmpy labels state counts: states by parent configurations."""
    frames = {}
    for node, name in enumerate(network.names):
        parents = network.families[node].parents
        values = network.cpd_values(vector, node)
        columns = None
        if parents:
            columns = pd.MultiIndex.from_product(
                [network.state_names[parent] for parent in parents], names=[network.names[parent] for parent in parents]
            )
        rows = pd.Index(list(network.state_names[node]), name=name, tupleize_cols=False)
        frames[name] = pd.DataFrame(values, index=rows, columns=columns)
    return frames
