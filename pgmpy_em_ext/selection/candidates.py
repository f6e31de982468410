"""The candidates among which `select_latent_card` chooses: checked, each with its estimator."""

import itertools
from collections.abc import Hashable, Iterable, Mapping
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pgmpy_em_ext._tools.checks import check_integer
from pgmpy_em_ext.data.checks import check_columns, check_weight
from pgmpy_em_ext.data.encoding import has_value, number_rows, observed_states, read_table
from pgmpy_em_ext.estimators.weighted_em import WeightedEM
from pgmpy_em_ext.networks.structure import Structure, read_structure
from pgmpy_em_ext.prepare.arguments import check_settings
from pgmpy_em_ext.selection.folds import MAX_RECORDS, FoldScore, count_records
from pgmpy_em_ext.types import FloatArray

CRITERIA = ("bic", "aic", "held_out")

COLUMNS = (
    *("n_parameters", "log_likelihood", "aic", "bic", "held_out", "held_out_error", "n_impossible"),
    *("converged", "replicated", "chosen"),
)
"""The table's columns, besides those of the latents."""


class Candidate(NamedTuple):
    """A number of states for each latent.

    Attributes
    ----------
    cards : dict
        The numbers of states.
    estimator : WeightedEM
        To be fitted, in place.
    folds : list of FoldScore
        Filled as the folds are scored; empty where none are.
    """

    cards: dict[Hashable, int]
    estimator: WeightedEM
    folds: list[FoldScore]

    @property
    def label(self) -> str:
        """The candidate in words, for messages."""
        return ", ".join(f"{name}={card}" for name, card in self.cards.items())


class Task(NamedTuple):
    """The input of `select_latent_card`, checked.

    Attributes
    ----------
    structure : Structure
        The model, read.
    model, data
        The user's own, not to be modified.
    weight : float ndarray of shape (n_rows,)
        Row weights, in records.
    candidates : list of Candidate
        In the order in which they were given.
    criterion : str
        One of `CRITERIA`.
    n_folds : int
        For "held_out" only.
    sample : float ndarray of shape (n_rows,)
        The weights of rows that observe something; 0 for the others, which say nothing of any candidate.
    """

    structure: Structure
    model: Any
    data: pd.DataFrame
    weight: FloatArray
    candidates: list[Candidate]
    criterion: str
    n_folds: int
    sample: FloatArray

    @property
    def n_fits(self) -> int:
        """How many fits there are to make."""
        return len(self.candidates) * (1 + self.n_folds * (self.criterion == "held_out"))


def check_task(
    model: Any,
    data: Any,
    cards: Any,
    criterion: Any,
    estimator: Any,
    sample_weight: Any,
    n_folds: Any,
    seed: Any,
) -> Task:
    """Check every argument before any work."""
    if criterion not in CRITERIA:
        raise ValueError(f"criterion must be one of {list(CRITERIA)}. Got: {criterion!r}.")
    check_integer("n_folds", n_folds, low=2)
    check_integer("seed", seed, low=0, optional=True)
    template = _check_estimator(estimator)
    if seed is not None:
        template.set_params(seed=seed)
    structure = read_structure(model)
    check_columns(data, structure.names)
    weight = check_weight(sample_weight, data)
    numbers = _check_cards(cards)
    _check_latents(structure, data, weight, numbers)
    table = read_table(number_rows(data), structure.names)
    sample = np.where(has_value(table), weight, 0.0)
    if criterion == "held_out":
        _check_folds(sample, n_folds)
    candidates = []
    for combination in itertools.product(*numbers.values()):
        chosen = dict(zip(numbers, combination, strict=True))
        latent_card = {**(template.latent_card or {}), **chosen}
        candidates.append(Candidate(chosen, template.clone().set_params(latent_card=latent_card), []))
    return Task(structure, model, data, weight, candidates, criterion, n_folds, sample)


def _check_estimator(estimator: Any) -> WeightedEM:
    """Check the estimator and copy it."""
    if estimator is None:
        return WeightedEM(show_progress=False)
    if not isinstance(estimator, WeightedEM):
        raise TypeError(f"estimator must be a WeightedEM, or None. Got: {estimator!r}.")
    check_settings(estimator)
    if estimator.latent_card is not None and not isinstance(estimator.latent_card, Mapping):
        raise TypeError(
            f"the estimator's latent_card must be a dict, or None. Got: {type(estimator.latent_card).__name__}."
        )
    if estimator.checkpoint is not None:
        raise ValueError(
            "the estimator has a checkpoint, which is a file for one fit, and there are several: leave it out."
        )
    return estimator.clone().set_params(show_progress=False)


def _check_cards(cards: Any) -> dict[Hashable, list[int]]:
    """Check the candidates, apart from the model."""
    if not isinstance(cards, Mapping) or not cards:
        raise TypeError(
            f"cards must be a dict of latent variables and numbers of states, such as {{'H': range(1, 7)}}. "
            f"Got: {cards!r}."
        )
    numbers = {}
    for name, given in cards.items():
        found = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else []
        if not found:
            raise ValueError(f"cards of {name!r} must be numbers of states, such as range(1, 7). Got: {given!r}.")
        for card in found:
            if isinstance(card, bool) or not isinstance(card, Integral) or card < 1:
                raise ValueError(f"cards of {name!r} must be integers >= 1. Got: {card!r}.")
        numbers[name] = [int(card) for card in dict.fromkeys(found)]
    return numbers


def _check_latents(
    structure: Structure, data: pd.DataFrame, weight: FloatArray, numbers: Mapping[Hashable, list[int]]
) -> None:
    """Check that the candidates are for latents; a variable without any value is one."""
    unknown = [name for name in numbers if name not in structure.parents]
    if unknown:
        raise ValueError(f"cards names {unknown}, which the model does not have. Known: {list(structure.names)}.")
    observed = observed_states(read_table(number_rows(data)[weight > 0], numbers))
    for name in numbers:
        if observed.get(name):
            raise ValueError(
                f"cards names {name!r}, whose states are the data's (such as {observed[name][0]!r}): only a latent "
                f"variable has a number of states to choose. The model's latents: {list(structure.latents)}."
            )
        if name in COLUMNS:
            raise ValueError(f"cards names {name!r}, but a column of the table has that name: rename the variable.")


def _check_folds(weight: FloatArray, n_folds: int) -> None:
    """Check that every fold gets a record."""
    n_records = count_records(weight)
    if n_folds > n_records:
        raise ValueError(f"n_folds={n_folds} is more than the {n_records} records that can be held out. Give fewer.")
    if n_records > MAX_RECORDS:
        raise ValueError(
            f"sample_weight adds up to {n_records:,} records, more than the {MAX_RECORDS:,} that criterion='held_out' "
            "can deal into folds. Use criterion='bic', or divide all weights by a constant."
        )
