"""Which variables of a mixed network are discrete, and which continuous."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from pgmpy.factors.discrete import TabularCPD

from pgmpy_em_ext.data.checks import check_columns


def find_kinds(
    names: Sequence[Hashable],
    parents: Mapping[Hashable, Sequence[Hashable]],
    data: pd.DataFrame,
    *,
    discrete: Iterable[Hashable] | None,
    continuous: Iterable[Hashable] | None,
    described: Iterable[Hashable] = (),
    cpds: Mapping[Hashable, Any] | None = None,
) -> tuple[list[Hashable], list[Hashable]]:
    """Sort variables into discrete and continuous ones.

    What the user says comes first, then CPDs, then the column's type: numbers are continuous, all else, truth values
    included, is discrete. A variable without a column is discrete, unless it has a continuous parent.

    Parameters
    ----------
    names : sequence
        The variables.
    parents : mapping
        Parents of each.
    data : pandas.DataFrame
        The table.
    discrete, continuous : iterable or None
        What the user says.
    described : iterable
        Variables whose states the user gives, which makes them discrete.
    cpds : mapping
        CPDs that the user gives.

    Returns
    -------
    discrete, continuous : list
        Each in the order of ``names``.

    Raises
    ------
    ValueError
        A variable that is said to be both, or that is unknown; a discrete variable with a continuous parent.
    """
    said, with_states = _read_arguments(names, discrete, continuous), set(described)
    contradicted = [name for name in with_states if said.get(name) == "continuous"]
    if contradicted:
        raise ValueError(
            f"{contradicted[0]!r} is named in continuous, but state_names or latent_card gives it states: "
            "leave one out."
        )
    check_columns(data, names)
    columns = set(data.columns.to_list())
    found: dict[Hashable, str] = {}
    for name in _parents_first(names, parents):
        if name in said:
            found[name] = said[name]
        elif name in with_states:
            found[name] = "discrete"
        elif cpds and name in cpds:
            found[name] = "discrete" if isinstance(cpds[name], TabularCPD) else "continuous"
        elif name in columns and not data[name].isna().all():
            found[name] = "continuous" if _is_numeric(data[name]) else "discrete"
        else:
            has_continuous = any(found[parent] == "continuous" for parent in parents[name])
            found[name] = "continuous" if has_continuous else "discrete"
    _check_parents(names, parents, found)
    return [name for name in names if found[name] == "discrete"], [
        name for name in names if found[name] == "continuous"
    ]


def _read_arguments(
    names: Sequence[Hashable], discrete: Iterable[Hashable] | None, continuous: Iterable[Hashable] | None
) -> dict[Hashable, str]:
    said: dict[Hashable, str] = {}
    for argument, given in (("discrete", discrete), ("continuous", continuous)):
        if given is None:
            continue
        if isinstance(given, (str, Mapping)) or not isinstance(given, Iterable):
            raise TypeError(f"{argument} must be a list of variables, or None. Got: {given!r}.")
        for name in given:
            if name not in set(names):
                raise ValueError(f"{argument} names {name!r}, which the model does not have. Known: {list(names)}.")
            if said.get(name, argument) != argument:
                raise ValueError(f"{name!r} is named in both discrete and continuous: leave it in one of them.")
            said[name] = argument
    return said


def _parents_first(names: Sequence[Hashable], parents: Mapping[Hashable, Sequence[Hashable]]) -> list[Hashable]:
    """Order variables so that parents come before their children."""
    order: dict[Hashable, None] = {}
    left = list(names)
    while left:
        ready = [name for name in left if all(parent in order for parent in parents[name])]
        order.update(dict.fromkeys(ready))
        left = [name for name in left if name not in order]
    return list(order)


def _is_numeric(column: pd.Series) -> bool:
    """Whether a column holds numbers; truth values and categories are states, whatever they are called."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _check_parents(
    names: Sequence[Hashable], parents: Mapping[Hashable, Sequence[Hashable]], found: Mapping[Hashable, str]
) -> None:
    """Refuse continuous parents of discrete variables, which these networks do not have."""
    for name in names:
        wrong = [parent for parent in parents[name] if found[parent] == "continuous"]
        if found[name] == "discrete" and wrong:
            raise ValueError(
                f"the discrete variable {name!r} has the continuous parent {wrong[0]!r}, which conditional Gaussian "
                f"networks do not have. If {wrong[0]!r} holds codes of states, give discrete=[..., {wrong[0]!r}]; if "
                f"{name!r} is a number, give continuous=[..., {name!r}]; else turn the edge round, or cut "
                f"{wrong[0]!r} into states."
            )
