"""Tidy columns of text for a terminal."""

from collections.abc import Sequence


def align(rows: Sequence[Sequence[str]], sides: str) -> str:
    """Put rows of cells into columns, two blanks apart.

    Parameters
    ----------
    rows : sequence of sequences of str
        A row may be shorter than the others.
    sides : str
        For each column "<" (left) or ">" (right).

    Examples
    --------
    >>> print(align([("rows", "10,000"), ("holes", "7")], "<>"))
    rows   10,000
    holes       7
    """
    widths = [max((len(row[k]) for row in rows if k < len(row)), default=0) for k in range(len(sides))]
    lines = ("  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths)) for row in rows)  # noqa: B905
    return "\n".join(line.rstrip() for line in lines)
