"""Imports go down the list of layers only; the list is the architecture page's."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "pgmpy_em_ext"

# The two ends, and what speaks to pgmpy by its trade.
PANDAS_OR_PGMPY = {
    "answers",
    "candidates",
    "cli",
    "conditional_gaussian_cpd",
    "conditional_gaussian_em",
    "conditional_gaussian_file",
    "conditional_gaussian_network",
    "cpd_family/categorical",
    "demo",
    "e_step/approx_inference",
    "e_step/pgmpy_inference",
    "encoding",
    "formats",
    "functional",
    "hybrid_cpds",
    "hybrid_data",
    "hybrid_em",
    "hybrid_prepare",
    "initializer",
    "kinds",
    "linear_gaussian_em",
    "outcome",  # whether to show a progress bar
    "packing",  # for its hash table
    "prepare",
    "selection",
    "settings",
    "states",
    "structure",
    "tables",
    "uncertainty",
    "weighted_em",
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


def listed(module):
    """A module's name on the page, or that of its folder; None for the package's own file."""
    parts = module.split("/")
    return next((name for name in ("/".join(parts[:2]), parts[0]) if name in RANKS), None)


def imports(path):
    """Dotted names of all that a module imports, at its top or inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from submodules if node.module == "pgmpy_em_ext" else [node.module]
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module):
    own = listed(module)
    assert own is not None, f"docs/architecture.md does not list {module}"
    for imported in imports(MODULES[module]):
        if not imported.startswith("pgmpy_em_ext."):
            continue
        other = listed(imported.removeprefix("pgmpy_em_ext.").replace(".", "/"))
        assert other in (None, own) or RANKS[other] < RANKS[own], f"{module} imports {imported}"


@pytest.mark.parametrize("module", MODULES)
def test_pandas_and_pgmpy_stay_at_the_ends(module):
    roots = {imported.split(".")[0] for imported in imports(MODULES[module])}
    assert listed(module) in PANDAS_OR_PGMPY or not roots & {"pandas", "pgmpy"}


def test_every_module_on_the_page_exists():
    assert {module for module in RANKS if not (PACKAGE / module).is_dir()} <= set(MODULES)
