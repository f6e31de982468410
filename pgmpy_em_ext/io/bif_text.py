"""BIF files made ready for pgmpy's reader, whose time is quadratic in what it finds no end of.

pgmpy looks for blocks, comments and lists with regular expressions that start at every place where one may begin, and
go on to the end of the text where none ends. Nothing that pgmpy can read is like that, so that such files are refused,
by one look at the text. So are `default` lines, which pgmpy takes for something else.
"""

import re

BLOCK = re.compile(r"variable|probability")
END_OF_BLOCK = "}\n"
HEADER = re.compile(r"probability\s*+\([^\n]*\)")
DEFAULT = re.compile(r"[{;\n][ \t]*+default\s")
OPENING = re.compile(r'"|/\*|//')
QUOTED = re.compile(r'(?:[^"\\]|\\.)*+"', re.DOTALL)

MAX_STEPS = 50_000_000
"""Characters that pgmpy may look at again and again in one block: a few seconds."""


class BIFError(ValueError):
    """A text that cannot be read; the message begins with the line."""


def prepare(text: str) -> str:
    r"""Take out what pgmpy's reader stumbles on, and refuse what it would not come to an end with.

    Parameters
    ----------
    text : str
        Of a BIF file.

    Returns
    -------
    str
        Without comments, empty lines, and blanks at the ends of lines: pgmpy finds the end of a block only where a bare
        newline follows its brace.

    Raises
    ------
    BIFError
        Something begins and does not end, or a line is a `default`; the message names the line.

    Examples
    --------
    >>> prepare('variable X { // one of two\n  type discrete [ 2 ] { a, b };  \n\n}')
    'variable X {\n  type discrete [ 2 ] { a, b };\n}\n'
    """
    text = "\n".join(line.rstrip() for line in _without_comments(text).splitlines()) + "\n"
    _check_blocks(text.replace('"', " "))
    return "\n".join(line for line in text.splitlines() if line) + "\n"


def _without_comments(text: str) -> str:
    """Take out comments, but for the newlines in them, by which lines are counted."""
    kept, place = [], 0
    while found := OPENING.search(text, place):
        kept.append(text[place : found.start()])
        if found[0] == '"':
            closed = QUOTED.match(text, found.end())
            end = closed.end() if closed else -1
            kept.append(text[found.start() : end])
        else:
            closing = "*/" if found[0] == "/*" else "\n"
            end = text.find(closing, found.end())
            if found[0] == "//":
                end = len(text) if end < 0 else end
            else:
                end = end + len(closing) if end >= 0 else -1
                kept.append("\n" * text.count("\n", found.start(), max(end, found.start())))
        if end < 0:
            raise BIFError(f"line {_line(text, found.start())}: {found[0]} begins what does not end.")
        place = end
    return "".join([*kept, text[place:]])


def _check_blocks(text: str) -> None:
    """Look at each block as pgmpy divides the text."""
    place = 0
    while found := BLOCK.search(text, place):
        start = found.start()
        place = text.find(END_OF_BLOCK, start) + len(END_OF_BLOCK)
        if place < len(END_OF_BLOCK):
            raise BIFError(f"line {_line(text, start)}: a block begins, and no line ends with its brace.")
        block = text[start:place]
        if found[0] == "probability":
            _check_probability(text, start, block)
        if _steps(block) > MAX_STEPS:
            raise BIFError(
                f"line {_line(text, start)}: the block that begins here is no {found[0]}: it has {len(block):,} "
                "characters, and says the same over and over."
            )


def _check_probability(text: str, start: int, block: str) -> None:
    """Check a header, and that no line is a default."""
    if not HEADER.match(block):
        raise BIFError(
            f"line {_line(text, start)}: 'probability' must be followed by '( variable | parents )' on its line."
        )
    default = DEFAULT.search(block)
    if default:
        raise BIFError(
            f"line {_line(text, start + default.end() - 1)}: a 'default' line, which pgmpy's reader does not know. "
            "Write a line for each configuration of the parents instead."
        )


def _steps(block: str) -> int:
    """Bound the characters that pgmpy's expressions look at: each that begins goes on to where it may end."""
    words = sum(block.count(word) for word in ("variable", "type"))
    lists = sum(len(part) * part.count("(") ** 2 for part in block.split(")"))  # its members are looked at one by one
    header = block.partition("\n")[0]
    blanks = max(map(len, re.findall(r"\s+", header)), default=0)
    return words * len(block) + lists + blanks * len(header)


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1
