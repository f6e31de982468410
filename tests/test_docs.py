"""The documentation is true: its Python runs, its messages are the code's."""

import ast
import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "pgmpy_em_ext"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = "`" * 3
EXAMPLE = re.compile(rf"^{FENCE}python\n(.*?)^{FENCE}\n(?:\n{FENCE}text\n(.*?)^{FENCE}$)?", re.MULTILINE | re.DOTALL)
NOT_THE_USERS = {"AssertionError", "AttributeError"}  # our own faults, and names that the package lacks
FILES = ("_tools/files", "cli/", "io/")  # what is said of files and by the command line is not in the table


def examples(page):
    """The page's Python blocks: line number, code, and the output that directly follows, if any."""
    text = page.read_text(encoding="utf-8")
    return [(text[: m.start(1)].count("\n"), m[1], m[2]) for m in EXAMPLE.finditer(text)]


@pytest.mark.parametrize("page", [page for page in PAGES if examples(page)], ids=lambda page: page.name)
def test_python_runs_and_prints_what_the_page_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "page"}
    for line, code, expected in examples(page):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * line + code, str(page), "exec"), namespace)
        shown = [text.rstrip() for text in (expected or "").splitlines()]
        assert [text.rstrip() for text in printed.getvalue().rstrip().splitlines()] == shown, f"{page}, line {line}"


def sources():
    """Modules of the package, by their place below it without the ending."""
    return {
        path.relative_to(PACKAGE).with_suffix("").as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def message_pattern(node):
    """Turn a string expression into a pattern, with anything where a value is filled in; None for other nodes."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.escape(node.value)
    if isinstance(node, ast.JoinedStr):
        parts = [re.escape(part.value) if isinstance(part, ast.Constant) else ".*" for part in node.values]
        return "".join(parts)
    return None


def is_message_call(node):
    """Whether a call makes an exception or a warning: ``...Error(...)``, ``warn(...)`` or ``super().__init__(...)``."""
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name not in NOT_THE_USERS and (name.endswith("Error") or name in ("warn", "__init__"))


def message_patterns():
    """Patterns of all messages that the package raises or warns with, outside the command line."""
    return {
        pattern: f"{module}, line {node.lineno}"
        for module, tree in sources().items()
        if not module.startswith(FILES)
        for node in ast.walk(tree)
        if is_message_call(node) and node.args and (pattern := message_pattern(node.args[0])) is not None
    }


def documented_messages():
    """The first column of the tables on the page of errors."""
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `(.+?)` \|", page, re.MULTILINE)


def test_every_message_on_the_page_of_errors_is_in_the_code():
    patterns = message_patterns()
    stale = [text for text in documented_messages() if not any(re.fullmatch(p, text, re.DOTALL) for p in patterns)]
    assert not stale


def test_every_message_in_the_code_is_on_the_page_of_errors():
    documented = documented_messages()
    assert len(documented) > 50
    absent = {
        place: pattern
        for pattern, place in message_patterns().items()
        if not any(re.fullmatch(pattern, text, re.DOTALL) for text in documented)
    }
    assert not absent
