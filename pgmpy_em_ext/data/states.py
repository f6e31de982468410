"""Which states every variable has, and which variables are latent."""

import logging
import sys
import warnings
from collections.abc import Hashable, Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pgmpy_em_ext._tools.labels import match_states, sort_states
from pgmpy_em_ext.data.encoding import Table, observed_states

logger = logging.getLogger(__name__)

DEFAULT_LATENT_CARD = 2

SHOWN = 3
"""Pairs of values that a warning names."""

MODEL = "the model's CPDs"
"""The source that an explicit ``latent_card`` outranks: CPDs of an earlier fit with another number of states."""


class States(NamedTuple):
    """The states of all variables.

    Attributes
    ----------
    names : dict
        The list of states of each variable.
    sources : dict
        Where they come from, in words, for messages.
    latents : tuple
        The variables that are never observed.
    promoted : tuple
        Those of them that were not declared, but whose columns are missing throughout.
    """

    names: dict[Hashable, list[Hashable]]
    sources: dict[Hashable, str]
    latents: tuple[Hashable, ...]
    promoted: tuple[Hashable, ...]


def resolve_states(
    names: Sequence[Hashable],
    declared_latents: Iterable[Hashable],
    table: Table,
    state_names: Mapping[Hashable, Sequence[Hashable]] | None,
    latent_card: Mapping[Hashable, int] | None,
    declared: Sequence[tuple[str, Mapping[Hashable, Sequence[Hashable]]]],
) -> States:
    """Decide on the states of every variable.

    What the user gives comes first, then what CPDs declare, then what the data shows; for
    a latent variable, ``latent_card`` states numbered from 0. A ``latent_card`` that differs
    from the CPDs that the model happens to have counts more than these.

    Parameters
    ----------
    names : sequence of hashables
        The model's variables.
    declared_latents : iterable of hashables
        Those that the model declares to be latent.
    table : Table
        The data; columns already checked.
    state_names, latent_card : mapping or None
        As the user gave them.
    declared : sequence of (str, mapping)
        States that CPDs declare, the most important source first, with its name.

    Raises
    ------
    ValueError
        A node without a column that is not latent, a latent that has data, a latent's
        cardinality that is below 1, no integer or in conflict with its state names.
    """
    state_names, latent_card = _check_names(names, state_names, latent_card)
    observed = observed_states(table)
    latents = _find_latents(names, set(declared_latents), observed)
    sources_in_order = [("state_names", state_names), *declared]
    found: dict[Hashable, list[Hashable]] = {}
    sources: dict[Hashable, str] = {}
    for name in names:
        card = latent_card.get(name) if name in latents else None
        for source, known in sources_in_order:
            if name in known and not _is_outranked(source, known[name], card):
                found[name], sources[name] = _check_states(name, known[name], source), source
                break
        else:
            sources[name] = "latent_card" if name in latents else "the data"
            found[name] = list(range(card or DEFAULT_LATENT_CARD)) if name in latents else observed[name]
            if name not in latents:
                _warn_of_alike(name, table.columns[name].values, found[name])
        _check_conflict(name, found[name], card, sources[name])
    ignored = [name for name in latent_card if name in observed and name not in latents]
    if ignored:
        logger.warning("latent_card names %s, which have data: ignored. Their states are the data's.", ignored)
    promoted = tuple(name for name in latents if name not in set(declared_latents))
    if promoted:
        logger.info("The columns %s are missing in every row: taken as latent variables.", list(promoted))
    return States(found, sources, latents, promoted)


def _find_latents(
    names: Sequence[Hashable], declared: set[Hashable], observed: Mapping[Hashable, list[Hashable]]
) -> tuple[Hashable, ...]:
    """Find the variables that are never observed, and check them against the table."""
    for name in names:
        if name in declared and observed.get(name):
            raise ValueError(
                f"{name!r} is declared latent, but its column has data (such as {observed[name][0]!r}). "
                "Drop the column, or set model.latents without the variable."
            )
        if name not in declared and name not in observed:
            raise ValueError(
                f"the model's node {name!r} has no column in the data and is not latent. Add the column, declare "
                f"it with model.latents = {{..., {name!r}}}, or remove it from the model."
            )
    return tuple(name for name in names if not observed.get(name))


def _check_names(
    names: Sequence[Hashable],
    state_names: Mapping[Hashable, Sequence[Hashable]] | None,
    latent_card: Mapping[Hashable, int] | None,
) -> tuple[Mapping[Hashable, Sequence[Hashable]], Mapping[Hashable, int]]:
    """Check the kinds of the user's arguments; states of a data set's other columns are ignored, with a log line."""
    for argument, given in (("state_names", state_names), ("latent_card", latent_card)):
        if given is not None and not isinstance(given, Mapping):
            raise TypeError(f"{argument} must be a dict, or None. Got: {type(given).__name__}.")
        unknown = [name for name in given or {} if name not in set(names)]
        if unknown and argument == "latent_card":
            raise ValueError(f"latent_card names {unknown}, which the model does not have. Known: {list(names)}.")
        if unknown:
            logger.info("state_names names %s, which the model does not have: ignored.", unknown)
    for name, card in (latent_card or {}).items():
        if isinstance(card, bool) or not isinstance(card, Integral) or card < 1:
            raise ValueError(f"latent_card of {name!r} must be an integer >= 1. Got: {card!r}.")
    return state_names or {}, latent_card or {}


def _check_states(name: Hashable, states: Any, source: str) -> list[Hashable]:
    """Check one variable's declared states: a list, a tuple, or an array of pandas or numpy."""
    if isinstance(states, (np.ndarray, pd.Index, pd.Series, pd.api.extensions.ExtensionArray)):
        states = states.tolist()
    if isinstance(states, str) or not isinstance(states, Sequence) or len(states) == 0:
        raise ValueError(f"the states of {name!r} by {source} must be a non-empty list. Got: {states!r}.")
    if not all(isinstance(state, Hashable) and not isinstance(state, frozenset) for state in states):
        raise ValueError(f"the states of {name!r} by {source} must be texts, numbers or tuples. Got: {list(states)}.")
    if any(np.ndim(state) == 0 and pd.isna(state) for state in states):
        raise ValueError(f"the states of {name!r} by {source} hold a missing value, which is no state: {list(states)}.")
    if len(set(states)) < len(states):
        raise ValueError(f"the states of {name!r} by {source} must differ. Got: {list(states)}.")
    return list(states)


def _warn_of_alike(name: Hashable, values: Sequence[Any], states: Sequence[Hashable]) -> None:
    """Warn of values of a column that were taken for another one, since they are written alike."""
    own = set(states)
    others = [value for value in sort_states(values) if value not in own]
    alike = [
        (states[place], value)
        for value, place in zip(others, match_states(others, states), strict=True)
        if place is not None
    ]
    if alike:
        pairs = ", ".join(f"{state!r} and {value!r}" for state, value in alike[:SHOWN])
        more = f" and {len(alike) - SHOWN:,} more such pairs" if len(alike) > SHOWN else ""
        warnings.warn(
            f"column {name!r} holds {pairs}{more}, which are written alike: each pair is taken as one state, the first "
            f"of the two. Convert the column to one type, such as by data[{name!r}].astype(str), or, to keep them "
            f"apart, declare them with state_names={{{name!r}: [...]}}.",
            UserWarning,
            stacklevel=_levels_to_caller(),
        )


def _levels_to_caller() -> int:
    """Count the frames up to the first one that is not of this package, for `warnings.warn` in the calling function."""
    package = __name__.partition(".")[0]
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        frame, level = frame.f_back, level + 1
    return level


def _is_outranked(source: str, states: Sequence[Hashable], card: int | None) -> bool:
    """Whether these are a latent's states in the model's own CPDs, and ``latent_card`` says otherwise."""
    return source == MODEL and card is not None and card != len(states)


def _check_conflict(name: Hashable, states: Sequence[Hashable], card: int | None, source: str) -> None:
    """Refuse a latent cardinality that its states contradict."""
    if card is not None and card != len(states):
        raise ValueError(
            f"latent_card says {card} states for {name!r}, but {len(states)} come from {source}: "
            f"{list(states)}. Make them agree, or leave latent_card out."
        )
