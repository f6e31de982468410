"""Values of a table matched with states: 1, 1.0 and the text "1" are one."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np


def to_plain(value: Any) -> Any:
    """Turn a numpy scalar into Python's own, and a whole float into an integer."""
    if isinstance(value, (np.float16, np.float32)):
        value = float(str(value))  # 0.1, not the 0.10000000149 that its bits come to
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _texts(plain: Any) -> list[str]:
    """List the ways in which a value is written: a whole number also with a decimal point, as beside holes."""
    is_whole = isinstance(plain, int) and not isinstance(plain, bool)
    return [str(plain), f"{plain}.0"] if is_whole else [str(plain)]


def match_states(values: Iterable[Any], states: Sequence[Hashable]) -> list[int | None]:
    """Find the position of each value among the states.

    Values are compared as Python does, so that 1.0 matches 1 and True matches 1; what
    is not found so is compared by its text, so that the integer 1 of a table matches the
    state "1" or "1.0" of a BIF file, and the other way round.

    Parameters
    ----------
    values : iterable
        Values without missing ones.
    states : sequence of hashables
        The known states.

    Returns
    -------
    list of int or None
        None where no state matches, or where two do by their text.

    Examples
    --------
    >>> match_states([1.0, "b", 7], ["1", "b"])
    [0, 1, None]
    """
    by_value = {state: position for position, state in enumerate(states)}
    by_text: dict[str, int | None] = {}
    for position, state in enumerate(states):
        for text in _texts(to_plain(state)):
            by_text[text] = None if text in by_text else position

    def find(plain: Any) -> int | None:
        return by_value.get(plain, next((by_text[text] for text in _texts(plain) if text in by_text), None))

    return [find(plain) for plain in map(to_plain, values)]


def is_hashable(value: Any) -> bool:
    """Tell whether a value can be looked up; a tuple that holds a list can not."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def sort_states(values: Iterable[Any]) -> list[Any]:
    """Sort states as pgmpy does; states of mixed types, which do not compare, by type and text."""
    plain = [to_plain(value) for value in values]
    try:
        return sorted(plain)
    except TypeError:
        return sorted(plain, key=lambda value: (type(value).__name__, str(value)))


def differ_in_writing(values: Iterable[Any]) -> list[Any]:
    """Leave out values that are written as another one is; texts before all others."""
    written: set[str] = set()
    kept = []
    for value in sorted(sort_states(values), key=lambda value: isinstance(value, str)):
        texts = _texts(value)
        if written.isdisjoint(texts):
            kept.append(value)
        written.update(texts)
    return kept
