"""Networks in files, by the ending of the file's name."""

import csv
import io
import random
import re
import textwrap
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import networkx as nx
import numpy as np
from pgmpy.base import DAG
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DiscreteBayesianNetwork
from pgmpy.readwrite import (
    BIFReader,
    BIFWriter,
    NETReader,
    NETWriter,
    XDSLReader,
    XDSLWriter,
    XMLBIFReader,
    XMLBIFWriter,
)

from pgmpy_em_ext._tools.files import GZIP, read_bytes, write_bytes
from pgmpy_em_ext.io import bif_text
from pgmpy_em_ext.types import FloatArray

MAX_REASON = 300
"""Characters of what pgmpy says is wrong with a file: it may hold the whole file."""


class NetworkFormat(NamedTuple):
    """A file format of networks: how it is read and written, and which names it can hold.

    Attributes
    ----------
    label : str
        What people call it.
    read : callable
        From the file's bytes to a model.
    write : callable
        From a model to the file's bytes; the numbers keep all their digits.
    variable, state, lone_state : re.Pattern
        What the name of a variable, of a state, and of the only state of a variable may be.
    cannot : str
        What it can not hold, in words.
    ignores_case : bool
        Whether variables must differ in more than upper and lower case.
    """

    label: str
    read: Callable[[bytes], DiscreteBayesianNetwork]
    write: Callable[[DiscreteBayesianNetwork], bytes]
    variable: re.Pattern[str]
    state: re.Pattern[str]
    lone_state: re.Pattern[str]
    cannot: str
    ignores_case: bool = False


def _lines(content: bytes) -> str:
    """Decode a text; pgmpy finds the end of a block only where a bare newline follows its brace."""
    return "\n".join(line.rstrip() for line in content.decode("utf-8-sig").splitlines()) + "\n"


def _read_bif(content: bytes) -> DiscreteBayesianNetwork:
    return BIFReader(string=bif_text.prepare(content.decode("utf-8-sig"))).get_model()


def _read_net(content: bytes) -> DiscreteBayesianNetwork:
    return NETReader(string=_lines(content)).get_model()


def _read_xmlbif(content: bytes) -> DiscreteBayesianNetwork:
    return XMLBIFReader(path=io.BytesIO(content)).get_model()


def _read_xdsl(content: bytes) -> DiscreteBayesianNetwork:
    return XDSLReader(path=io.BytesIO(content)).get_model()


def _write_bif(model: DiscreteBayesianNetwork) -> bytes:
    return str(BIFWriter(model)).encode()


def _write_xmlbif(model: DiscreteBayesianNetwork) -> bytes:
    return str(XMLBIFWriter(model)).encode()


def _in_brackets(table: FloatArray) -> str:
    """Write an array as nested lists in round brackets, with all digits."""
    return f"({' '.join(map(_in_brackets, table))})" if np.ndim(table) else repr(float(table))


class _ExactNETWriter(NETWriter):
    """pgmpy's writer, without its rounding to eight decimals, which turns small probabilities to zero."""

    def net_cpd(self, var_name: str) -> str:
        return _in_brackets(np.moveaxis(np.asarray(self.tables[var_name]), 0, -1))


def _write_net(model: DiscreteBayesianNetwork) -> bytes:
    return str(_ExactNETWriter(model)).encode()


def _write_xdsl(model: DiscreteBayesianNetwork) -> bytes:
    # pgmpy draws the nodes' places on the page; the same network should give the same file.
    state = random.getstate()
    random.seed(0)
    try:
        writer = XDSLWriter(model)
    finally:
        random.setstate(state)
    for cpd in model.get_cpds():  # pgmpy rounds to sixteen decimals
        numbers = cpd.get_values().ravel(order="F")
        writer.variables[cpd.variable].find("probabilities").text = " ".join(repr(float(number)) for number in numbers)
    ElementTree.indent(writer.root)
    return ElementTree.tostring(writer.root, encoding="utf-8", xml_declaration=True)


_XML_TEXT = r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u2028\u2029]"

_BIF = NetworkFormat(
    label="BIF",
    read=_read_bif,
    write=_write_bif,
    variable=re.compile(r"(?!.*(//|/\*|(table|default)[-+.eE\d]))[^\W\d_][^\s|,(){}\"]*"),
    state=re.compile(r"(?!.*(//|/\*))[^\s,(){}\"]([^\x00-\x1f\x7f-\x9f\u2028\u2029,(){}\"]*[^\s,(){}\"])?"),
    lone_state=re.compile(r"(?!.*(//|/\*))[^\s,(){}\"]+"),
    cannot="commas, brackets, braces, quotes, // and /*, or blanks in a variable's name or at the ends of a state's",
    ignores_case=True,
)
_XMLBIF = NetworkFormat(
    label="XMLBIF",
    read=_read_xmlbif,
    write=_write_xmlbif,
    variable=re.compile(_XML_TEXT + "+"),
    state=re.compile(r"[A-Za-z0-9_]+"),
    lone_state=re.compile(r"[A-Za-z0-9_]+"),
    cannot="states of anything but letters, digits and underscores, which pgmpy's writer would replace",
)
_XDSL = NetworkFormat(
    label="XDSL",
    read=_read_xdsl,
    write=_write_xdsl,
    variable=re.compile(rf"((?!\s){_XML_TEXT})+"),
    state=re.compile(_XML_TEXT + "*"),
    lone_state=re.compile(_XML_TEXT + "*"),
    cannot="blanks in a variable's name, or control characters",
)
_NET = NetworkFormat(
    label="NET (HUGIN)",
    read=_read_net,
    write=_write_net,
    variable=re.compile(r"[A-Za-z0-9_-]+"),
    state=re.compile(r"(?!.*(//|/\*))[!#-'*+\--~]+"),
    lone_state=re.compile(r"(?!.*(//|/\*))[!#-'*+\--~]+"),
    cannot="anything but ASCII without blanks, commas, brackets, quotes and // (in a variable's name: "
    "letters, digits, - and _)",
)

NETWORK_FORMATS = {".bif": _BIF, ".xmlbif": _XMLBIF, ".xml": _XMLBIF, ".xdsl": _XDSL, ".net": _NET}
"""Formats by ending, each also with ``.gz`` after it.

UAI is not among them: it has no names, and pgmpy 1.1 reads the parents of a node in an arbitrary order.
"""

CONDITIONAL_GAUSSIAN = ".json"
"""Ending of networks with continuous variables, also with ``.gz``: what `ConditionalGaussianNetwork.save` writes."""

EDGE_LISTS = {".csv": ",", ".tsv": "\t"}
"""Endings of structures without CPDs, also with ``.gz``, and what stands between a parent and its child."""

EDGE_HEADER = ["parent", "child"]
"""The first line of a structure without CPDs."""


def ending_of(path: Path) -> str:
    """Give a file's ending, in lower case, without ``.gz``."""
    name = path.name.lower()
    return Path(name.removesuffix(GZIP)).suffix


def _network_format(path: Path) -> NetworkFormat:
    """Find a network's format."""
    if ending_of(path) not in NETWORK_FORMATS:
        raise ValueError(
            f"{path}: networks are read and written by the ending of the file's name. "
            f"Known: {', '.join(NETWORK_FORMATS)}, each also with {GZIP}. With continuous variables: "
            f"{CONDITIONAL_GAUSSIAN}. To be read only, a list of edges: {', '.join(EDGE_LISTS)}."
        )
    return NETWORK_FORMATS[ending_of(path)]


def read_network(path: str | PathLike[str]) -> DiscreteBayesianNetwork:
    """Read a network: its structure, states and CPDs.

    Parameters
    ----------
    path : path
        Its ending says the format: one of `NETWORK_FORMATS`.

    Returns
    -------
    DiscreteBayesianNetwork
        All states are texts. No variable is latent: no format says so.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        The ending is unknown, or the file is not of the format that it says.
    """
    path = Path(path)
    found = _network_format(path)
    content = read_bytes(path)
    try:
        model = found.read(content)
    except bif_text.BIFError as error:
        raise ValueError(f"{path}, {error}") from None
    except Exception as error:  # pgmpy's parsers raise whatever they stumble on
        why = textwrap.shorten(str(error), MAX_REASON)
        raise ValueError(f"{path} cannot be read as {found.label}: {type(error).__name__}: {why}") from error
    if len(model.nodes()) == 0:
        raise ValueError(f"{path} cannot be read as {found.label}: it declares no variables.")
    return model


def read_edges(path: str | PathLike[str]) -> DAG:
    """Read a structure without CPDs: a table of edges.

    Parameters
    ----------
    path : path
        In UTF-8, ``.csv`` or ``.tsv``, also with ``.gz``. Its header is "parent", "child"; a line is an edge, or with
        one of the two left empty a variable.

    Returns
    -------
    DAG
        No variable is latent.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        The file is no such table, or the edges form a cycle.
    """
    path = Path(path)
    content = read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
        lines = [[cell.strip() for cell in line] for line in csv.reader(io.StringIO(text), delimiter=_separator(path))]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} cannot be read as a list of edges: {error}.") from error
    if not lines or lines[0] != EDGE_HEADER:
        raise ValueError(
            f"{path} cannot be read as a list of edges: its first line must be {_separator(path).join(EDGE_HEADER)!r}."
        )
    graph = nx.DiGraph()
    for number, line in enumerate(lines[1:], start=2):
        names = [name for name in line if name]
        if len(line) > len(EDGE_HEADER):
            raise ValueError(f"{path}, line {number}: an edge has a parent and a child. Got: {line}.")
        graph.add_nodes_from(names)
        if len(names) == len(EDGE_HEADER):
            graph.add_edge(*names)
    return _to_dag(graph, path)


def _separator(path: Path) -> str:
    return EDGE_LISTS[ending_of(path)]


def _to_dag(graph: nx.DiGraph, path: Path) -> DAG:
    """Turn a graph into pgmpy's, if it is one of a network."""
    if len(graph) == 0:
        raise ValueError(f"{path} cannot be read as a list of edges: it names no variables.")
    if not nx.is_directed_acyclic_graph(graph):
        cycle = [edge[0] for edge in nx.find_cycle(graph)]
        raise ValueError(f"{path}: the edges form a cycle through {cycle}. Remove one.")
    model = DAG()
    model.add_nodes_from(graph)
    model.add_edges_from(graph.edges())
    return model


def check_ending(path: str | PathLike[str], continuous: Sequence[Hashable] = ()) -> None:
    """Check that a network can be written to a file of this ending.

    Parameters
    ----------
    path : path
        The file.
    continuous : sequence
        Continuous variables, which one ending alone can hold.

    Raises
    ------
    ValueError
        It cannot.
    """
    path = Path(path)
    if ending_of(path) == CONDITIONAL_GAUSSIAN:
        return
    found = _network_format(path)
    if continuous:
        raise ValueError(
            f"{path} cannot hold the continuous variables {list(continuous)}: {found.label} is for discrete ones. "
            f"Choose the ending {CONDITIONAL_GAUSSIAN}."
        )


def check_names(path: str | PathLike[str], states: Mapping[Hashable, Sequence[Hashable]]) -> None:
    """Check that a file of this ending can hold these variables and states, so that they come back the same.

    Raises
    ------
    ValueError
        It cannot; the message names the variable or state and what the format lacks.
    """
    path = Path(path)
    found = _network_format(path)
    way_out = f"{found.label} as pgmpy reads it cannot hold {found.cannot}. Rename it, or choose another ending."
    seen: dict[str, Hashable] = {}
    for name, names in states.items():
        if not isinstance(name, str) or not found.variable.fullmatch(name):
            raise ValueError(f"{path} cannot hold the variable {name!r}: {way_out}")
        key = name.lower() if found.ignores_case else name
        if key in seen:
            raise ValueError(
                f"{path} cannot hold both variables {seen[key]!r} and {name!r}: {found.label} as pgmpy reads it "
                "ignores case. Rename one, or choose another ending."
            )
        seen[key] = name
        pattern = found.lone_state if len(names) == 1 else found.state
        written: dict[str, Hashable] = {}
        for state in names:
            if not pattern.fullmatch(str(state)):
                raise ValueError(f"{path} cannot hold the state {state!r} of {name!r}: {way_out}")
            if str(state) in written:
                raise ValueError(
                    f"{path} cannot hold both states {written[str(state)]!r} and {state!r} of {name!r}, which are "
                    "written alike. Rename one, or take them for one state."
                )
            written[str(state)] = state


def write_network(path: str | PathLike[str], cpds: Iterable[TabularCPD], name: str | None = None) -> None:
    """Write a network, given by its CPDs.

    Parameters
    ----------
    path : path
        Its ending says the format: one of `NETWORK_FORMATS`. An existing file is replaced.
    cpds : iterable of TabularCPD
        One for each variable; states are written as texts. All digits are kept.
    name : str, optional
        Of the network.

    Raises
    ------
    ValueError
        The ending is unknown, or the format cannot hold a name.
    OSError
        The file cannot be written.
    """
    path = Path(path)
    found = _network_format(path)
    cpds = list(cpds)
    check_names(path, {cpd.variable: cpd.state_names[cpd.variable] for cpd in cpds})
    model = DiscreteBayesianNetwork()
    model.add_nodes_from([cpd.variable for cpd in cpds])
    model.add_edges_from((parent, cpd.variable) for cpd in cpds for parent in cpd.variables[1:])
    model.add_cpds(*cpds)
    model.name = name if name and re.fullmatch(r"\w+", name) else None
    write_bytes(path, found.write(model))


def check_folder(path: str | PathLike[str]) -> None:
    """Check, before any work, that the folder is there in which a file is to be written."""
    folder = Path(path).parent
    if not folder.is_dir():
        raise ValueError(f"{path} cannot be written: there is no folder {str(folder)!r}. Make it first.")
