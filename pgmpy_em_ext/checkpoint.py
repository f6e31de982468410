"""Keep a long fit's progress in a file, so that the same fit can go on after an interruption."""

import hashlib
import os
import threading
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pgmpy_em_ext.blocks import BlockProgress
from pgmpy_em_ext.em import Progress
from pgmpy_em_ext.monitor import has_fallen
from pgmpy_em_ext.network import Network
from pgmpy_em_ext.types import Evidence, FloatArray

SECONDS_BETWEEN_SAVES = 10.0


def fingerprint(network: Network, evidence: Evidence, arrays: Iterable[np.ndarray], engine: str) -> str:
    """Digest what a run climbs and where it starts, so that no run goes on from another problem's parameters."""
    digest = hashlib.sha256()
    digest.update(repr((network.names, network.state_names, network.families, engine)).encode())
    for array in (*evidence[:2], *arrays):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _pack(run: int, progress: Progress) -> dict[str, np.ndarray]:
    """Name the arrays that hold one run's progress."""
    content = {
        f"parameters_{run}": progress.parameters,
        f"history_{run}": np.array(progress.history),
        f"change_{run}": np.array(progress.largest_change),
    }
    if progress.blocks is not None:
        content |= {f"blocks_{name}_{run}": np.asarray(array) for name, array in progress.blocks._asdict().items()}
    if progress.zero is not None:
        content[f"zero_{run}"] = progress.zero
    return content


def _unpack(content: dict[str, np.ndarray], run: int) -> Progress:
    """Read one run's progress."""
    history = tuple(content[f"history_{run}"].tolist())
    names = [f"blocks_{name}_{run}" for name in BlockProgress._fields]
    blocks = None
    if names[0] in content:
        active, recent, n_calm, tol = (content[name] for name in names)
        blocks = BlockProgress(active, recent, n_calm, float(tol))
    change, zero = float(content[f"change_{run}"]), content.get(f"zero_{run}")
    return Progress(content[f"parameters_{run}"], history, change, blocks, zero)


class Checkpoint:
    """A file with the progress of all runs; safe to share between threads.

    Parameters
    ----------
    path : str or path-like
        Written anew under another name and then moved, so that it is never half a file.
    key : str
        The `fingerprint` of the fit.

    Raises
    ------
    ValueError
        The file exists and belongs to another fit, or is no checkpoint.
    """

    def __init__(self, path: str | os.PathLike, key: str) -> None:
        self.path = Path(path)
        self.key = key
        self._lock = threading.Lock()
        self._saved_at = time.monotonic()
        self._fallen: set[int] = set()
        self._progress = self._read() if self.path.exists() else {}

    def _read(self) -> dict[int, Progress]:
        try:
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                content = dict(arrays)
        except (OSError, EOFError, ValueError, TypeError, AttributeError, zipfile.BadZipFile):  # all that numpy raises
            raise ValueError(
                f"checkpoint {str(self.path)!r} is no checkpoint, or is damaged. Delete or move it."
            ) from None
        if str(content.get("key")) != self.key:
            raise ValueError(
                f"checkpoint {str(self.path)!r} belongs to another fit: other data, another model or other settings. "
                "Delete it, or give another path."
            )
        return {int(run): _unpack(content, int(run)) for run in content["runs"]}

    def resume(self, run: int, start: FloatArray) -> Progress:
        """Give a run's saved progress, or its start."""
        return self._progress.get(run, Progress(start))

    def record(self, run: int, progress: Progress) -> None:
        """Note a run's progress, and write the file now and then.

        Once the objective has fallen, which is a fault, nothing more is noted: what goes on
        from the file finds the fall again and reports it.
        """
        if has_fallen(progress.history) or run in self._fallen:
            self._fallen.add(run)
            return
        with self._lock:
            self._progress[run] = progress._replace(history=tuple(progress.history))
            if time.monotonic() - self._saved_at >= SECONDS_BETWEEN_SAVES:
                self._write()

    def flush(self) -> None:
        """Write the file."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        content: dict[str, np.ndarray] = {"key": np.array(self.key), "runs": np.array(sorted(self._progress))}
        for run, progress in self._progress.items():
            content.update(_pack(run, progress))
        unfinished = self.path.with_name(self.path.name + ".part")
        with unfinished.open("wb") as file:
            np.savez(file, **content)  # type: ignore[arg-type]
        unfinished.replace(self.path)
        self._saved_at = time.monotonic()
