"""Conditional Gaussian networks in files: JSON with a version, in which floats, names and states keep what they are."""

import json
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from pgmpy.factors.discrete import TabularCPD
from pgmpy.utils import compat_fns

from pgmpy_em_ext._tools.files import read_bytes, write_bytes
from pgmpy_em_ext.networks.conditional_gaussian_cpd import ConditionalGaussianCPD
from pgmpy_em_ext.networks.json_values import read_value, write_value

FORMAT = "pgmpy_em_ext conditional Gaussian network"
"""What such a file says of itself, by which others are told apart."""

VERSION = 1
"""Of the format. A change that this version cannot read makes it one more."""

CPD: TypeAlias = TabularCPD | ConditionalGaussianCPD


class Record(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    nodes : list
        The variables, in order.
    edges : list of (hashable, hashable)
        Parents and children.
    roles : dict
        The variables of each role, latents among them.
    cpds : list
        `TabularCPD`s and `ConditionalGaussianCPD`s.
    """

    nodes: list[Hashable]
    edges: list[tuple[Hashable, Hashable]]
    roles: dict[Hashable, list[Hashable]]
    cpds: list[CPD]


def write_record(path: Path, record: Record) -> None:
    """Write a file; the same record gives the same bytes. One whose name ends with ``.gz`` is packed.

    Raises
    ------
    TypeError
        A name or state is no text, integer, float, boolean or tuple of these.
    OSError
        The file cannot be written.
    """
    document = {
        "format": FORMAT,
        "version": VERSION,
        "nodes": _write_names(record.nodes),
        "edges": [_write_names(edge) for edge in record.edges],
        # Pairs, since the keys of JSON's objects are texts only.
        "roles": [[write_value(role, "the role"), _write_names(nodes)] for role, nodes in sorted(record.roles.items())],
        "cpds": [_write_cpd(cpd) for cpd in record.cpds],
    }
    write_bytes(path, _lay_out(document).encode())


def read_record(path: Path) -> Record:
    """Read a file that `write_record` has written.

    Raises
    ------
    ValueError
        It is another kind of file, of a later version, or damaged.
    OSError
        The file cannot be opened.
    """
    content = read_bytes(path)
    try:
        document = json.loads(content)
    except ValueError as error:  # also of bytes that are no text, and of numbers with thousands of digits
        raise ValueError(f"{path} is no file of a conditional Gaussian network: it is not JSON, {error}.") from error
    except RecursionError:
        raise ValueError(
            f"{path} is no file of a conditional Gaussian network: its JSON has too many brackets in brackets."
        ) from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"{path} is no file of a conditional Gaussian network: it does not say 'format': {FORMAT!r}.")
    if document.get("version") != VERSION:
        raise ValueError(
            f"{path} has version {document.get('version')!r} of its format; this version of pgmpy_em_ext reads "
            f"{VERSION}. Use the version that wrote it, or a later one."
        )
    try:
        return _read_document(document)
    except RecursionError:
        raise ValueError(f"{path} is damaged: a name or state has too many tuples in tuples.") from None
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {type(error).__name__}: {error}") from error


def _lay_out(document: dict[str, Any]) -> str:
    """Write JSON with a line for each field and each CPD, so that versions of a file compare well.

    Python writes the shortest decimal that reads back as the same float.
    """
    fields = {key: json.dumps(content, allow_nan=False) for key, content in document.items()}
    fields["cpds"] = "[\n" + ",\n".join(json.dumps(cpd, allow_nan=False) for cpd in document["cpds"]) + "\n]"
    return "{\n" + ",\n".join(f'"{key}": {content}' for key, content in fields.items()) + "\n}\n"


def _read_document(document: dict[str, Any]) -> Record:
    """Take a document apart."""
    return Record(
        nodes=_read_names(document["nodes"]),
        edges=[(read_value(parent), read_value(child)) for parent, child in document["edges"]],
        roles={read_value(role): _read_names(nodes) for role, nodes in document["roles"]},
        cpds=[_read_cpd(written) for written in document["cpds"]],
    )


def _write_names(names: Iterable[Hashable]) -> list[Any]:
    return [write_value(name, "the variable") for name in names]


def _read_names(written: list[Any]) -> list[Hashable]:
    return [read_value(name) for name in written]


def _write_states(cpd: CPD, names: Iterable[Hashable]) -> list[list[Any]]:
    return [[write_value(state, f"{name!r}: the state") for state in cpd.state_names[name]] for name in names]


def _read_states(names: Iterable[Hashable], written: list[list[Any]]) -> dict[Hashable, list[Hashable]]:
    return {name: _read_names(states) for name, states in zip(names, written, strict=True)}


def _write_cpd(cpd: CPD) -> dict[str, Any]:
    """Write a CPD of either kind."""
    if isinstance(cpd, TabularCPD):
        return {
            "kind": "table",
            "variable": write_value(cpd.variable, "the variable"),
            "evidence": _write_names(cpd.variables[1:]),
            "states": _write_states(cpd, cpd.variables),
            "values": compat_fns.to_numpy(cpd.get_values()).tolist(),
        }
    return {
        "kind": "gaussian",
        "variable": write_value(cpd.variable, "the variable"),
        "evidence": _write_names(cpd.evidence),
        "discrete_evidence": _write_names(cpd.discrete_evidence),
        "states": _write_states(cpd, cpd.discrete_evidence),
        "beta": cpd.beta.tolist(),
        "std": cpd.std.tolist(),
    }


def _read_cpd(written: dict[str, Any]) -> CPD:
    """Read a CPD of either kind."""
    variable, evidence = read_value(written["variable"]), _read_names(written["evidence"])
    if written["kind"] == "table":
        states = _read_states([variable, *evidence], written["states"])
        cards = [len(names) for names in states.values()]
        table = np.asarray(written["values"], dtype=float)
        return TabularCPD(variable, cards[0], table, evidence or None, cards[1:] or None, states)
    if written["kind"] == "gaussian":
        discrete = _read_names(written["discrete_evidence"])
        states = _read_states(discrete, written["states"])
        return ConditionalGaussianCPD(variable, written["beta"], written["std"], evidence, discrete, states)
    raise ValueError(f"a CPD is of the kind {written['kind']!r}.")
