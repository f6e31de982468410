"""Imports go down the list of layers only; the list is the architecture page's."""

import ast
import re
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "pgmpy_em_ext"

# The two ends, and what deals with pandas or pgmpy by its purpose: folders, and single modules of the others.
PANDAS_OR_PGMPY = {
    "_tools/packing",  # for its hash table
    "cli",
    "cpd_family/categorical",
    "cpd_family/gaussian_cpd",
    "data",
    "e_step/approx_inference",
    "e_step/pgmpy_inference",
    "estimators",
    "inference/answers",
    "io",
    "networks",
    "prepare",
    "selection",
    "start/initializer",
    "uncertainty/tables",
}


def documented_ranks():
    """The layers on the page of the architecture, numbered from the lowest."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    block = re.search(r"## The layers\n.*?```text\n(.*?)```", page, re.DOTALL)
    layers = [line.split() for line in reversed(block[1].splitlines())]
    return {module: rank for rank, layer in enumerate(layers) for module in layer}


RANKS = documented_ranks()
MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix(): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.stem not in ("__init__", "_version")
}


def folder(module):
    """The folder of a module, or its own name at the top."""
    return module.split("/")[0]


def imports(path):
    """Dotted names of all that a module imports, at its top or inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from submodules if node.module == "pgmpy_em_ext" else [node.module]
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def own_imports(module):
    """The package's modules that one imports, by their names here."""
    for imported in imports(MODULES[module]):
        name = imported.removeprefix("pgmpy_em_ext.").replace(".", "/")
        if imported.startswith("pgmpy_em_ext.") and name != "_version":
            yield name


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module):
    own = folder(module)
    assert own in RANKS, f"docs/architecture.md does not list {own}"
    for imported in own_imports(module):
        other = folder(imported)
        assert other == own or RANKS[other] < RANKS[own], f"{module} imports {imported}"


def test_no_module_imports_itself_by_way_of_others():
    graph = nx.DiGraph([(module, other) for module in MODULES for other in own_imports(module) if other in MODULES])
    assert not list(nx.simple_cycles(graph))


@pytest.mark.parametrize("module", MODULES)
def test_pandas_and_pgmpy_stay_at_the_ends(module):
    roots = {imported.split(".")[0] for imported in imports(MODULES[module])}
    assert {folder(module), module} & PANDAS_OR_PGMPY or not roots & {"pandas", "pgmpy"}


def test_what_the_page_lists_exists():
    assert set(RANKS) == {folder(module) for module in MODULES}
