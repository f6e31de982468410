from typing import Any

from numpydoc.docscrape import NumpyDocString

from pgmpy_em_ext import __version__

project = "pgmpy_em_ext"
author = "the pgmpy_em_ext authors"
release = version = __version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
]
exclude_patterns = ["_build", "plans"]
templates_path = ["_templates"]

myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say it in words
numpydoc_show_class_members = False  # the class template lists methods itself, without the inherited ones
numpydoc_xref_param_type = False
NumpyDocString.sections["Tags"] = []  # ours; `show_tags` renders it

html_theme = "pydata_sphinx_theme"
html_title = f"{project} {release}"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}
html_show_sourcelink = False


def skip_fields(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    # The fields of a NamedTuple stand in its docstring; their own say "Alias for field number".
    return True if type(obj).__name__ == "_tuplegetter" else None


def show_tags(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    # numpydoc renders the sections that it knows; a rubric stays.
    for number, line in enumerate(lines[:-1]):
        if line == "Tags" and lines[number + 1] == "----":
            lines[number : number + 2] = [".. rubric:: Tags", ""]


def setup(app: Any) -> None:
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("autodoc-process-docstring", show_tags, priority=100)  # before numpydoc
