"""Bytes in files: unpacked within a limit, and written whole or not at all."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

GZIP = ".gz"
"""Ending of packed files."""

MAX_UNPACKED = 2**32
"""Bytes of an unpacked file at most: a few kilobytes can unpack to more than any memory."""


def read_bytes(path: Path) -> bytes:
    """Read a file, unpacked where its name says so.

    Raises
    ------
    OSError
        It cannot be opened.
    ValueError
        It cannot be unpacked, or unpacks to more than `MAX_UNPACKED` bytes.
    """
    if not path.name.lower().endswith(GZIP):
        return path.read_bytes()
    with path.open("rb") as packed:
        try:
            content = gzip.GzipFile(fileobj=packed).read(MAX_UNPACKED + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path} cannot be unpacked: {error}.") from error
        except MemoryError:
            raise ValueError(f"{path} cannot be unpacked: there is not enough memory.") from None
    if len(content) > MAX_UNPACKED:
        raise ValueError(
            f"{path} unpacks to more than the {MAX_UNPACKED:,} bytes that are supported. Unpack it, and split it."
        )
    return content


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, packed where its name says so; the same content gives the same file."""
    packed = gzip.compress(content, mtime=0) if path.name.lower().endswith(GZIP) else content
    with replacing(path) as file:
        file.write(packed)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file under another name, and give it its own when all is written.

    So an interruption never leaves half a file where a whole one was, and a full disk leaves nothing behind.
    """
    unfinished = path.with_name(path.name + ".part")
    try:
        with unfinished.open("wb") as file:
            yield file
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
