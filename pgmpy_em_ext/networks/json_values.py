"""Names and states in JSON, so that they come back as they were: a tuple as a tuple, 1.0 as a float."""

import math
from collections.abc import Hashable
from typing import Any

import numpy as np


def write_value(value: Hashable, what: str) -> Any:
    """Turn a name or a state into what JSON has.

    Texts, booleans, integers and finite floats stand as they are. A tuple is written ``{"tuple": [...]}``, an infinite
    float ``{"float": "inf"}``. Scalars of numpy become Python's own.

    Parameters
    ----------
    value : hashable
        The name or state.
    what : str
        What it is, for messages.

    Raises
    ------
    TypeError
        It is of another kind.

    Examples
    --------
    >>> write_value(("low", 1, True), "the state")
    {'tuple': ['low', 1, True]}
    """
    plain: Any = value.item() if isinstance(value, np.generic) else value
    # By exact type: an enumeration or another subclass would come back as something else.
    if type(plain) is tuple:
        return {"tuple": [write_value(member, what) for member in plain]}
    if type(plain) is float and not math.isfinite(plain):
        return {"float": repr(plain)}
    if type(plain) in (str, bool, int, float):
        return plain
    raise TypeError(
        f"{what} {value!r} cannot be saved: a file holds texts, integers, floats, booleans, and tuples of these."
    )


def read_value(written: Any) -> Hashable:
    """Turn what `write_value` has written back into a name or a state.

    Raises
    ------
    ValueError
        `write_value` writes no such thing.

    Examples
    --------
    >>> read_value({"tuple": ["low", 1, True]})
    ('low', 1, True)
    """
    if isinstance(written, (str, bool, int, float)):
        return written
    if isinstance(written, dict) and len(written) == 1:
        [(tag, content)] = written.items()
        if tag == "tuple" and isinstance(content, list):
            return tuple(read_value(member) for member in content)
        if tag == "float" and content in ("inf", "-inf", "nan"):
            return float(content)
    raise ValueError(f"{written!r} is no name and no state.")
