"""Keep a long fit's progress in a file, so that the same fit can go on after an interruption."""

import hashlib
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pgmpy_em_ext._tools.files import replacing
from pgmpy_em_ext.em.blocks import BlockProgress
from pgmpy_em_ext.em.method import Method
from pgmpy_em_ext.em.progress import Progress
from pgmpy_em_ext.em.stopping import has_fallen
from pgmpy_em_ext.restarts.race import Race

SECONDS_BETWEEN_SAVES = 10.0

LAYOUT = 1
"""Layout of the file. A change of what `Progress`, `Race` or a method's memory holds makes it one more."""


def fingerprint(identity: str, arrays: Iterable[np.ndarray], engine: str, seeds: Iterable[int]) -> str:
    """Digest what a run climbs and where it starts, so that no run goes on from another problem's parameters.

    Parameters
    ----------
    identity : str
        Tells the network from all others.
    arrays : iterable of ndarrays
        The data, the prior, the first start.
    engine : str
        What computes, and how the other starts are made.
    seeds : iterable of int
        Seeds of all runs: their starts are made, and sampled E-steps draw, by them.
    """
    digest = hashlib.sha256(f"{identity} {engine} {list(seeds)}".encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _digest(content: dict[str, np.ndarray]) -> str:
    """Digest all fields of a file, by which a changed one is told."""
    digest = hashlib.sha256()
    for name, array in sorted(content.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _pack(run: int, progress: Progress) -> dict[str, np.ndarray]:
    """Name the arrays that hold one run's progress."""
    content = {
        f"{run}.parameters": progress.parameters,
        f"{run}.history": np.array(progress.history),
        f"{run}.gaps": np.array(progress.gaps),
        f"{run}.change": np.array(progress.largest_change),
        f"{run}.n_e_steps": np.array(progress.n_e_steps),
        f"{run}.n_resumptions": np.array(progress.n_resumptions),
        f"{run}.not_before": np.array(progress.not_before),
    }
    content |= _pack_fields(f"{run}.blocks.", progress.blocks) | _pack_fields(f"{run}.memory.", progress.memory)
    if progress.zero is not None:
        content[f"{run}.zero"] = progress.zero
    if progress.ended_in is not None:
        content[f"{run}.ended_in"] = progress.ended_in
    return content


def _pack_fields(prefix: str, fields: Any) -> dict[str, np.ndarray]:
    """Name the arrays of a `NamedTuple`; one array for a tuple of arrays, whose name ends with []."""
    names = getattr(fields, "_fields", ())
    return {
        f"{prefix}{name}[]" if isinstance(value, tuple) else f"{prefix}{name}": np.array(value)
        for name, value in zip(names, fields or (), strict=True)
    }


def _unpack_fields(content: dict[str, np.ndarray], prefix: str) -> dict[str, Any]:
    """Undo `_pack_fields`."""
    found = {name.removeprefix(prefix): array for name, array in content.items() if name.startswith(prefix)}
    return {name.removesuffix("[]"): tuple(array) if name.endswith("[]") else array for name, array in found.items()}


def _unpack(content: dict[str, np.ndarray], run: int, method: Method[Any]) -> Progress:
    """Read one run's progress."""
    blocks = _unpack_fields(content, f"{run}.blocks.")
    blocks["tol"] = float(blocks["tol"])
    return Progress(
        parameters=content[f"{run}.parameters"],
        history=tuple(content[f"{run}.history"].tolist()),
        gaps=tuple(content[f"{run}.gaps"].tolist()),
        largest_change=float(content[f"{run}.change"]),
        n_e_steps=int(content[f"{run}.n_e_steps"]),
        blocks=BlockProgress(**blocks),
        zero=content.get(f"{run}.zero"),
        ended_in=content.get(f"{run}.ended_in"),
        n_resumptions=int(content[f"{run}.n_resumptions"]),
        not_before=int(content[f"{run}.not_before"]),
        memory=method.recall(_unpack_fields(content, f"{run}.memory.")),
    )


class Checkpoint:
    """A file with the progress of all runs; safe to share between threads.

    Parameters
    ----------
    path : str or path-like
        Written anew under another name and then moved, so that it is never half a file.
    key : str
        The `fingerprint` of the fit.
    method : Method
        The method whose memory the file keeps.

    Raises
    ------
    ValueError
        The file exists and belongs to another fit, is of another layout, or is no checkpoint.
    """

    def __init__(self, path: str | os.PathLike, key: str, method: Method[Any]) -> None:
        self.path = Path(path)
        self.key = key
        self.method = method
        self._lock = threading.Lock()
        self._saved_at = time.monotonic()
        self._fallen: set[int] = set()
        self._progress: dict[int, Progress] = {}
        self.race: Race | None = None
        if self.path.exists():
            self._read()

    def _read(self) -> None:
        content = self._load()
        if str(content["key"]) != self.key:
            raise ValueError(
                f"checkpoint {str(self.path)!r} belongs to another fit: other data, another model, another seed or "
                "other settings. Delete it, or give another path."
            )
        self._progress = {int(run): _unpack(content, int(run), self.method) for run in content["runs"]}
        race = _unpack_fields(content, "race.")
        if race:
            self.race = Race(**{name: array.item() if array.ndim == 0 else array for name, array in race.items()})

    def _load(self) -> dict[str, np.ndarray]:
        """Load the file's fields, and check that they are those that were written."""
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                content = dict(arrays)
            layout, digest = content.pop("layout", None), content.pop("digest", None)
        except Exception:  # what numpy and zipfile raise depends on where the damage is
            raise self._damaged() from None
        if layout is None and digest is None and "key" in content:
            layout = np.array(0)  # as files were at first
        if layout is not None and layout.shape == () and layout != LAYOUT:
            raise ValueError(
                f"checkpoint {str(self.path)!r} has layout {layout}, that of another version of pgmpy_em_ext; this one "
                f"reads {LAYOUT}. Use the version that wrote it, or delete it."
            )
        if layout is None or digest is None or str(digest) != _digest(content):
            raise self._damaged()
        return content

    def _damaged(self) -> ValueError:
        return ValueError(f"checkpoint {str(self.path)!r} is no checkpoint, or is damaged. Delete or move it.")

    def resume(self, run: int) -> Progress | None:
        """Give a run's saved progress, if there is any."""
        return self._progress.get(run)

    def record_race(self, race: Race) -> None:
        """Note which runs go on, and write the file."""
        with self._lock:
            self.race = race
            self._write()

    def record(self, run: int, progress: Progress) -> None:
        """Note a run's progress, and write the file now and then.

        Once the objective has fallen, which is a fault, nothing more is noted: what goes on
        from the file finds the fall again and reports it.
        """
        if self.method.is_monotone and (has_fallen(progress.history) or run in self._fallen):
            self._fallen.add(run)
            return
        with self._lock:
            self._progress[run] = progress._replace(history=tuple(progress.history), gaps=tuple(progress.gaps))
            if time.monotonic() - self._saved_at >= SECONDS_BETWEEN_SAVES:
                self._write()

    def flush(self) -> None:
        """Write the file."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        content: dict[str, np.ndarray] = {"key": np.array(self.key), "runs": np.array(sorted(self._progress))}
        content |= _pack_fields("race.", self.race)
        for run, progress in self._progress.items():
            content.update(_pack(run, progress))
        # The layout first and the digest last, so that a file with an end missing does not look like one without them.
        content = {"layout": np.array(LAYOUT), **content, "digest": np.array(_digest(content))}
        with replacing(self.path) as file:
            np.savez(file, **content)  # type: ignore[arg-type]
        self._saved_at = time.monotonic()
