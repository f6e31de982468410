"""Tables in files, by the ending of the file's name; what is missing in them, and what their rows weigh."""

import importlib.util
import io
import re
import warnings
from collections.abc import Collection, Hashable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pandas as pd

from pgmpy_em_ext._tools.files import GZIP, read_bytes, write_bytes
from pgmpy_em_ext.io.networks import ending_of
from pgmpy_em_ext.types import FloatArray

DEFAULT_MARKS = (
    *("", "?", "NA", "N/A", "n/a", "<NA>", "#N/A", "#N/A N/A", "#NA", "NULL", "null", "None"),
    *("NaN", "nan", "-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
"""Texts that mean "missing" unless the user says which do: those of `pandas.read_csv`, and "?"."""

NO_NUMBER = "is no number. Correct the cell, or name its text with --missing, which replaces the usual marks."

TABLE_ENDINGS = (".csv", ".tsv", ".parquet")
"""Endings of tables; the first two also with ``.gz`` after them."""


def table_ending(path: Path) -> str:
    """Find a table's format."""
    ending = ending_of(path)
    if ending not in TABLE_ENDINGS or (ending == ".parquet" and path.name.lower().endswith(GZIP)):
        raise ValueError(
            f"{path}: tables are read and written by the ending of the file's name. "
            f"Known: .csv, .csv{GZIP}, .tsv, .tsv{GZIP}, .parquet."
        )
    return ending


def read_table(path: str | PathLike[str]) -> pd.DataFrame:
    """Read a table as it stands: nothing is taken for missing, and CSV is all texts.

    Parameters
    ----------
    path : path
        ``.csv`` or ``.tsv``, in UTF-8 and with a header, also with ``.gz``; or ``.parquet``.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        The ending is unknown, the file is not of the format that it says, two columns
        have one name, or there are no rows.
    ImportError
        Parquet without pyarrow.
    """
    path = Path(path)
    ending = table_ending(path)
    try:
        table = _read_parquet(path) if ending == ".parquet" else _read_text(path, "\t" if ending == ".tsv" else ",")
    except (ValueError, pd.errors.ParserWarning) as error:
        raise ValueError(f"{path} cannot be read as {ending}: {error}") from error
    if len(table) == 0:
        raise ValueError(f"{path} has a header, but no rows; at least one is needed.")
    return table


def _read_text(path: Path, separator: str) -> pd.DataFrame:
    """Read CSV or TSV; a line that is too long is an error, not an index."""
    content = read_bytes(path)
    options: dict[str, Any] = {"sep": separator, "dtype": str, "na_filter": False, "index_col": False}
    header = pd.read_csv(io.BytesIO(content), header=None, nrows=1, **options)
    names = header.iloc[0].str.removeprefix("\ufeff")
    if names.duplicated().any():  # pandas would number them
        raise ValueError(f"several columns are named {names[names.duplicated()].iloc[0]!r}; keep one")
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(io.BytesIO(content), **options)


def _need_pyarrow() -> None:
    """Ask for the optional dependency."""
    if importlib.util.find_spec("pyarrow") is None:
        raise ImportError(
            'Parquet files need pyarrow: pip install "pgmpy_em_ext[parquet]", or convert the table to .csv.'
        )


def _read_parquet(path: Path) -> pd.DataFrame:
    _need_pyarrow()
    return pd.read_parquet(path, engine="pyarrow")


def write_table(path: str | PathLike[str], table: pd.DataFrame) -> None:
    """Write a table, without its index.

    Parameters
    ----------
    path : path
        Its ending says the format, as for `read_table`. An existing file is replaced.
    table : pandas.DataFrame
        Missing cells become empty.
    """
    path = Path(path)
    ending = table_ending(path)
    if ending == ".parquet":
        _need_pyarrow()
        content = io.BytesIO()
        table.to_parquet(content, engine="pyarrow", index=False)
        write_bytes(path, content.getvalue())
    else:
        text = table.to_csv(sep="\t" if ending == ".tsv" else ",", index=False, lineterminator="\n")
        write_bytes(path, text.encode())


def default_marks(path: str | PathLike[str]) -> Collection[str] | None:
    """Give the marks to look for where the user names none: in Parquet none, since it has true missing cells."""
    return () if ending_of(Path(path)) == ".parquet" else None


class UsualMarks(NamedTuple):
    """What became of the texts that usually mean "missing".

    Attributes
    ----------
    kept : dict
        Those that were read as states, and in which columns.
    removed : dict
        Those that were read as missing, but for the empty text, and in how many cells of each column.
    """

    kept: dict[str, list[Hashable]]
    removed: dict[str, dict[Hashable, int]]


def mark_missing(
    table: pd.DataFrame, states: Mapping[Hashable, Sequence[Hashable]], marks: Collection[str] | None = None
) -> tuple[pd.DataFrame, UsualMarks]:
    """Make the cells missing that say so, in the columns of a network's variables.

    A whole number written with a decimal point, as pandas writes a column with holes,
    becomes the declared state that it equals: "1.0" is read as "1".

    Parameters
    ----------
    table : pandas.DataFrame
        As `read_table` gives it; not modified.
    states : mapping
        The network's variables, with their declared states, or none where it declares none.
    marks : collection of str, optional
        Texts that mean "missing", also where they are declared states. By default
        `DEFAULT_MARKS`, except those that are declared states of their column's variable.
        An empty text always is one, unless it is a declared state.

    Returns
    -------
    table : pandas.DataFrame
        A copy, with NaN for what is missing.
    usual : UsualMarks
        What became of the usual marks, where ``marks`` is None.

    Examples
    --------
    >>> table = pd.DataFrame({"A": ["?", "None", "1.0"], "B": ["?", "None", "x"]}, dtype=object)
    >>> marked, usual = mark_missing(table, {"A": ["1", "None"], "B": []})
    >>> marked
          A    B
    0   NaN  NaN
    1  None  NaN
    2     1    x
    >>> usual
    UsualMarks(kept={'None': ['A']}, removed={'?': {'A': 1, 'B': 1}, 'None': {'B': 1}})
    """
    table = table.copy()
    found = UsualMarks({}, {})
    for name in [name for name in states if name in table.columns]:
        column = table[name]
        if not (pd.api.types.is_string_dtype(column) or pd.api.types.is_object_dtype(column)):
            continue
        declared = {str(state) for state in states[name]}
        usual = set(DEFAULT_MARKS if marks is None else [""])
        missing = (usual - declared) | set(marks or ())
        is_missing = column.isin(list(missing))
        if marks is None:
            for mark in sorted(usual & declared & set(column.dropna().unique())):
                found.kept.setdefault(mark, []).append(name)
            for mark, count in column[is_missing].value_counts().sort_index().items():
                if mark != "":  # an empty cell says nothing but that it is one
                    found.removed.setdefault(mark, {})[name] = count
        table[name] = _plain_numbers(column.mask(is_missing), declared)
    return table, found


def _plain_numbers(column: pd.Series, declared: Collection[str]) -> pd.Series:
    """Replace texts such as "1.0" by the declared state "1"."""
    changed = {}
    for text in column.dropna().unique():
        whole = re.fullmatch(r"(-?\d+)\.0+", str(text))
        if whole and text not in declared and whole[1] in declared:
            changed[text] = whole[1]
    return column.replace(changed) if changed else column


def read_numbers(
    table: pd.DataFrame, continuous: Collection[Hashable], undecided: Collection[Hashable] = ()
) -> pd.DataFrame:
    """Turn texts into numbers.

    Parameters
    ----------
    table : pandas.DataFrame
        As `mark_missing` gives it; not modified.
    continuous : collection
        Variables whose column must hold numbers.
    undecided : collection
        Variables whose column becomes numbers where it holds nothing else, and stays as it is where it holds none.

    Raises
    ------
    ValueError
        A text that is no number where there must be one, or among numbers; the message names the row and the cell.

    Examples
    --------
    >>> table = pd.DataFrame({"A": ["1.5", None], "B": ["2", "3"], "C": ["x", None]}, dtype=object)
    >>> read_numbers(table, ["A"], ["B", "C"])
         A    B     C
    0  1.5  2.0     x
    1  NaN  3.0  None
    """
    table = table.copy()
    for name in [name for name in table.columns if name in continuous or name in undecided]:
        column = table[name]
        if pd.api.types.is_numeric_dtype(column):  # truth values too
            continue
        numbers = pd.to_numeric(column.astype(object), errors="coerce")
        wrong = np.flatnonzero(numbers.isna() & column.notna())
        if len(wrong) == 0 and (name in continuous or column.notna().any()):
            table[name] = numbers.astype(float)
        elif name in continuous:
            _refuse_text(column, int(wrong[0]), NO_NUMBER)
        elif numbers.notna().any():
            _refuse_text(
                column,
                int(wrong[0]),
                f"is no number, as others in this column are. Correct the cell, or say --discrete {name}.",
            )
    return table


def _refuse_text(column: pd.Series, row: int, why: str) -> NoReturn:
    raise ValueError(f"column {column.name!r}, row {row} (counting from 0): {column.iloc[row]!r} {why}")


def keep_texts(filled: pd.DataFrame, texts: pd.DataFrame, continuous: Collection[Hashable]) -> pd.DataFrame:
    """Write the numbers that were observed as they stood: "1.50" does not become "1.5".

    Parameters
    ----------
    filled : pandas.DataFrame
        Without holes; not modified.
    texts : pandas.DataFrame
        The same table before `read_numbers`, with its holes.
    continuous : collection
        The columns of numbers.
    """
    filled = filled.copy()
    for name in [name for name in filled.columns if name in continuous]:
        if not pd.api.types.is_numeric_dtype(texts[name]):
            filled[name] = texts[name].astype(object).where(texts[name].notna(), filled[name].astype(object))
    return filled


def read_weights(table: pd.DataFrame, column: str, variables: Collection[Hashable]) -> FloatArray:
    """Take the row weights from a table's column.

    Returns
    -------
    float ndarray of shape (n_rows,)
        Numbers; whether they can be weights is for the estimator to say.

    Raises
    ------
    ValueError
        There is no such column, it is a variable of the network, or a cell is no number;
        the message names the row and the cell.
    """
    if column not in table.columns:
        raise ValueError(f"there is no column {column!r} for the weights. Known: {list(table.columns)}.")
    if column in variables:
        raise ValueError(f"the column {column!r} cannot hold the weights: it is a variable of the network.")
    numbers = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=float)
    wrong = np.flatnonzero(np.isnan(numbers))
    if len(wrong):
        row = int(wrong[0])
        raise ValueError(
            f"column {column!r}, row {row} (counting from 0): the weight {table[column].iloc[row]!r} is no number. "
            "Correct the cell, or give the row weight 0."
        )
    return numbers
