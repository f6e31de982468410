"""Imports go down the list of layers only; the list is the architecture page's."""

import ast
from pathlib import Path

import pytest

import pgmpy_em_ext

ROOT = Path(pgmpy_em_ext.__file__).parent

LAYERS = [
    ["cli"],
    ["demo", "fitted"],
    ["formats"],
    ["weighted_em"],
    ["finish", "progress"],
    ["prepare"],
    ["settings", "restarts", "answers"],
    ["checkpoint"],
    ["em"],
    ["monitor", "initializer", "saddle"],
    ["e_step.exact", "e_step.enumeration", "e_step.pgmpy_inference"],
    ["e_step._base", "cpd_family.categorical"],
    ["cpd_family._base", "prior", "reduction", "states", "structure"],
    ["encoding"],
    ["network"],
    ["packing", "registry"],
    ["types", "exceptions"],
]
RANK = {module: rank for rank, layer in enumerate(reversed(LAYERS)) for module in layer}
PANDAS_OR_PGMPY = {  # the two ends, and what speaks to pgmpy by its trade
    "answers",
    "cli",
    "cpd_family.categorical",
    "demo",
    "e_step.pgmpy_inference",
    "encoding",
    "fitted",
    "formats",
    "initializer",
    "prepare",
    "settings",
    "states",
    "structure",
    "weighted_em",
}


def layer_of(module):
    """The layer of a dotted module name below the package; None for package files."""
    parts = module.split(".")
    for length in (2, 1):
        name = ".".join(parts[:length])
        if name in RANK:
            return name
    return None


def modules():
    named = [(".".join(path.relative_to(ROOT).with_suffix("").parts), path) for path in sorted(ROOT.rglob("*.py"))]
    return [(name, path) for name, path in named if not name.endswith("__init__") and name != "_version"]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from submodules if node.module == "pgmpy_em_ext" else [node.module]
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize(("name", "path"), modules(), ids=[name for name, _ in modules()])
def test_imports_go_down(name, path):
    own = layer_of(name)
    assert own is not None, f"{name} has no layer: add it to LAYERS and to docs/architecture.md"
    for imported in imports(path):
        if not imported.startswith("pgmpy_em_ext."):
            continue
        other = layer_of(imported.removeprefix("pgmpy_em_ext."))
        if other is not None and other != own:
            assert RANK[other] < RANK[own], f"{name} imports {imported}"


@pytest.mark.parametrize(("name", "path"), modules(), ids=[name for name, _ in modules()])
def test_pandas_and_pgmpy_stay_at_the_ends(name, path):
    roots = {imported.split(".")[0] for imported in imports(path)}
    if layer_of(name) not in PANDAS_OR_PGMPY:
        assert not roots & {"pandas", "pgmpy"}
