"""What all benchmarks share: networks as arrays, data from a seed, clocks, memory and the file of results.

Every measurement runs in a fresh process (`isolated`), so that none inherits another's memory or warm caches. What
is timed has run once before on a few rows, except in ``cold_start.py``, which measures just that.
"""

import argparse
import gzip
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Hashable, Iterable
from contextlib import contextmanager
from datetime import date
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

warnings.simplefilter("ignore", FutureWarning)  # pgmpy 1.1 imports its own deprecated modules

from pgmpy.factors.discrete import TabularCPD  # noqa: E402
from pgmpy.models import DiscreteBayesianNetwork  # noqa: E402
from pgmpy.readwrite import BIFReader  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402

import pgmpy_em_ext  # noqa: E402
from pgmpy_em_ext import MISSING, Network, WeightedEM  # noqa: E402
from pgmpy_em_ext.arrays.network import build_network  # noqa: E402
from pgmpy_em_ext.prepare.tables import read_parameters  # noqa: E402

HERE = Path(__file__).resolve().parent
CACHE = HERE / ".cache"
RESULTS = HERE / "results"
PACKAGES = ("pgmpy_em_ext", "pgmpy", "numpy", "pandas", "scikit-learn", "numba", "pyAgrum", "stepmix")
THREADS = {"one": 1, "all": -1}
BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
WARM_UP_ROWS = 100
STEP_BY_STEP = {"tol": 0, "acceleration": None}
"""Arguments of `WeightedEM` where its steps are compared with another tool's: plain EM, as many as are asked for."""

EXIT_NO_PEER = 3
"""Exit status of a script whose peer is not installed."""


class Example(NamedTuple):
    """A network of the pgmpy package, and how long pgmpy took to read it, in seconds."""

    network: Network
    parameters: np.ndarray
    read_s: float


# Networks and data


def load(name: str) -> Example:
    """Give a network as arrays: from the cache, or read once by pgmpy and kept there."""
    path = CACHE / f"{name}-pgmpy-{version('pgmpy')}.npz"
    if not path.exists():
        _read_and_keep(name, path)
    with np.load(path) as stored:
        meta, parameters = json.loads(str(stored["meta"])), stored["parameters"]
    network = build_network(meta["names"], meta["parents"], meta["states"])
    return Example(network, parameters, meta["read_s"])


def _read_and_keep(name: str, path: Path) -> None:
    begin = time.perf_counter()
    packed = (files("pgmpy") / f"utils/example_models/{name}.bif.gz").read_bytes()
    model = BIFReader(string=gzip.decompress(packed).decode()).get_model()
    read_s = time.perf_counter() - begin
    network, parameters = read_parameters(model)
    meta = {
        "names": network.names,
        "parents": {network.names[f.child]: [network.names[p] for p in f.parents] for f in network.families},
        "states": dict(zip(network.names, network.state_names, strict=True)),
        "read_s": read_s,
    }
    path.parent.mkdir(exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.npz")
    np.savez_compressed(partial, meta=np.array(json.dumps(meta)), parameters=parameters)
    partial.replace(path)


def draw_codes(example: Example, n_rows: int, seed: int = 0) -> np.ndarray:
    """Draw complete rows, parents before children.

    Returns
    -------
    int ndarray of shape (n_rows, n_nodes)
        State numbers; the same for the same seed.
    """
    network, rng = example.network, np.random.default_rng(seed)
    codes = np.zeros((n_rows, network.n_nodes), dtype=np.int16)
    for node in network.topological_order:
        size = network.cardinalities[node]
        cumulative = np.cumsum(network.block(example.parameters, node).reshape(-1, size), axis=1)
        cumulative /= cumulative[:, -1:]
        columns = (network.cells(node, codes) - network.offsets[node]) // size
        draws = rng.random(n_rows)
        for bounds in cumulative.T[:-1]:
            codes[:, node] += draws >= bounds[columns]
    return codes


def punch_holes(codes: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """Make cells missing, each by itself with the same probability."""
    return np.where(np.random.default_rng([seed, 1]).random(codes.shape) < share, MISSING, codes)


def to_table(network: Network, codes: np.ndarray, kind: str = "object") -> pd.DataFrame:
    """Make a DataFrame of state names, in object or categorical columns, None where a cell is missing."""
    if kind == "category":
        columns = (pd.Categorical.from_codes(codes[:, i], list(s)) for i, s in enumerate(network.state_names))
    else:
        columns = (_words(states)[codes[:, node]] for node, states in enumerate(network.state_names))
    return pd.DataFrame(dict(zip(network.names, columns, strict=True)))


def _words(states: tuple[Hashable, ...]) -> np.ndarray:
    """States as an object array; None comes last, where the code -1 finds it."""
    words = np.empty(len(states) + 1, dtype=object)
    words[:-1] = states
    return words


def simulate(name: str, n_rows: int, share: float = 0.2, kind: str = "object") -> tuple[Example, pd.DataFrame]:
    """Load a network and draw rows with holes from it."""
    example = load(name)
    return example, to_table(example.network, punch_holes(draw_codes(example, n_rows), share), kind)


# Models of pgmpy


def state_names(network: Network) -> dict[Hashable, list[Hashable]]:
    """Give the states of each variable, as `WeightedEM` takes them."""
    return {name: list(states) for name, states in zip(network.names, network.state_names, strict=True)}


def bare_model(network: Network, latents: Iterable[Hashable] = ()) -> DiscreteBayesianNetwork:
    """Make a pgmpy model that has no CPDs."""
    model = DiscreteBayesianNetwork()
    model.add_nodes_from(network.names)
    model.add_edges_from((network.names[p], network.names[f.child]) for f in network.families for p in f.parents)
    model.latents = set(latents)
    return model


def to_cpds(network: Network, parameters: np.ndarray) -> list[TabularCPD]:
    """Write parameters as pgmpy's CPDs."""
    states, cpds = state_names(network), []
    for node, name in enumerate(network.names):
        parents = [network.names[parent] for parent in network.families[node].parents]
        values = network.cpd_values(parameters, node)
        members = {member: states[member] for member in (name, *parents)}
        cpds.append(
            TabularCPD(name, len(states[name]), values, parents, [len(states[p]) for p in parents], state_names=members)
        )
    return cpds


def score(model: DiscreteBayesianNetwork, cpds: Iterable[TabularCPD], table: pd.DataFrame) -> float:
    """Compute the log-likelihood of the observed cells, in nats: one judge for both sides."""
    judged = model.copy()
    judged.cpds = []
    judged.add_cpds(*cpds)
    return float(WeightedEM.from_model(judged).score_samples(table).sum())


def same_start(
    model: DiscreteBayesianNetwork, table: pd.DataFrame, states: dict[Hashable, list[Hashable]], **arguments: Any
) -> dict[Hashable, TabularCPD]:
    """Give the CPDs that `WeightedEM` starts from by default, to start both sides from."""
    return {cpd.variable: cpd for cpd in _estimator(states, max_iter=0, **arguments).fit(model, table).parameters_}


# Clocks and memory


def clock(work: Callable[[], Any], repeats: int = 1, timer: Callable[[], float] = time.perf_counter):
    """Time a call: the median in seconds, and its last result."""
    times = []
    for _ in range(repeats):
        begin = timer()
        result = work()
        times.append(timer() - begin)
    return statistics.median(times), result


def peer_timer(threads: str) -> Callable[[], float]:
    """Choose the clock for another tool: processor time with one thread, which other work does not lengthen.

    Our iterations are wall time: a median of many short ones, most of which nothing disturbs, beside which the wall
    time of one long run would be unfair to the peer.
    """
    return time.process_time if threads == "one" else time.perf_counter


def _estimator(states: dict[Hashable, list[Hashable]], **arguments: Any) -> WeightedEM:
    return WeightedEM(state_names=states, show_progress=False, n_init=1, **arguments)


def time_fit(
    model: DiscreteBayesianNetwork,
    table: pd.DataFrame,
    states: dict[Hashable, list[Hashable]],
    repeats: int = 3,
    warm_up: bool = True,
    until: float | None = None,
    **arguments: Any,
) -> dict[str, Any]:
    """Fit from a DataFrame, and time all of it and each iteration.

    Parameters
    ----------
    model, table, states
        What is fitted, and the states of each variable.
    repeats : int
        Fits, of which medians are taken.
    warm_up : bool
        Whether to fit a few rows first, unmeasured.
    until : float, optional
        Stop at this log-likelihood of the data, in nats.
    **arguments
        Of `WeightedEM`.

    Returns
    -------
    dict
        ``fit_s``: all of ``fit``. ``setup_s``: until the start is evaluated. ``iteration_ms``: the median distance
        from one E-step to the next. Also ``n_iter``, ``status`` and ``log_likelihood``.
    """
    if warm_up:
        _fit_once(model, table[:WARM_UP_ROWS], states, {**arguments, "max_iter": 2}, None)
    fits = [_fit_once(model, table, states, arguments, until) for _ in range(repeats)]
    medians = {key: statistics.median(fit[key] for fit in fits) for key in ("fit_s", "setup_s", "iteration_ms")}
    return {**fits[-1], **medians}


def _fit_once(
    model: DiscreteBayesianNetwork,
    table: pd.DataFrame,
    states: dict[Hashable, list[Hashable]],
    arguments: dict[str, Any],
    until: float | None,
) -> dict[str, Any]:
    moments = []

    def callback(iteration: Any) -> bool:
        moments.append(time.perf_counter())
        return until is not None and iteration.log_likelihood >= until

    estimator = _estimator(states, callback=callback, **arguments)
    begin = time.perf_counter()
    estimator.fit(model, table)
    return {
        "fit_s": time.perf_counter() - begin,
        "setup_s": moments[0] - begin,
        "iteration_ms": float(np.median(np.diff(moments))) * 1e3 if len(moments) > 1 else float("nan"),
        "n_iter": estimator.n_iter_,
        "status": estimator.status_,
        "log_likelihood": estimator.log_likelihood_,
    }


@contextmanager
def peak_memory():
    """Watch the memory of this process; the dict that is yielded is filled at the end.

    ``peak_mb`` is the most that the process held meanwhile, libraries and data included; ``work_mb`` is what that is
    above the beginning.
    """
    found: dict[str, float] = {}
    reset = _reset_peak()
    before = _status_mb("VmRSS") if reset else peak_mb()
    try:
        yield found
    finally:
        found["peak_mb"] = peak_mb()
        found["work_mb"] = found["peak_mb"] - before


def _reset_peak() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak_mb() -> float:
    """Read the highest resident size: from Linux itself, which does not count the parent's, or by getrusage."""
    if Path("/proc/self/status").exists():
        return _status_mb("VmHWM")
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _status_mb(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) / 1024


# Processes, peers and results


def isolated(function: Callable[..., dict[str, Any]], timeout: float | None = None, **arguments: Any) -> dict[str, Any]:
    """Call a function in a fresh process, and join its arguments and its result to one record.

    A call that fails, or takes longer than ``timeout`` seconds, yields a record with ``failed``, the reason.

    Without ``threads="all"`` numpy's linear algebra has one thread as well: its own threads wait for one another at
    each product, so that on a busy machine they multiply the time of either side. ``load`` is the mean number of
    processes that the machine was running in the minute before, to tell what was measured undisturbed.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    with blas_threads(arguments.get("threads", "one")):
        outcome = _isolated(function, timeout, arguments)
    record = {**arguments, "load": load, **outcome}
    print("  " + ", ".join(f"{key} {_short(value)}" for key, value in record.items()), flush=True)
    return record


@contextmanager
def blas_threads(threads: str):
    """Set the threads of linear algebra for processes that are started meanwhile."""
    before = dict(os.environ)
    if threads == "one":
        os.environ.update(dict.fromkeys(BLAS_THREADS, "1"))
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _isolated(
    function: Callable[..., dict[str, Any]], timeout: float | None, arguments: dict[str, Any]
) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(there, function, arguments))
    process.start()
    there.close()
    try:
        outcome = here.recv() if here.poll(timeout) else {"failed": f"not done within {timeout:g} s"}
    except EOFError:
        outcome = {"failed": "the process was ended from outside, as happens when memory is short"}
    if process.is_alive() and "failed" in outcome:
        process.kill()
    process.join()
    return outcome


def _call(there: Any, function: Callable[..., dict[str, Any]], arguments: dict[str, Any]) -> None:
    warnings.simplefilter("ignore", ConvergenceWarning)  # steps are limited to time them, on either side
    try:
        outcome = function(**arguments)
    except Exception as error:
        traceback.print_exc()
        outcome = {"failed": f"{type(error).__name__}: {error}"}
    there.send(outcome)


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def require(module: str, package: str) -> None:
    """End the script with the way out where a peer is not installed."""
    try:
        import_module(module)
    except ModuleNotFoundError:
        print(f'This benchmark needs {package}: pip install "pgmpy_em_ext[bench]".', file=sys.stderr)
        sys.exit(EXIT_NO_PEER)


def arguments(description: str | None) -> argparse.Namespace:
    """Read the command line that all scripts share."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="also what takes long: more rows, the peers' whole fits")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the results")
    return parser.parse_args()


def save(script: str, options: argparse.Namespace, **groups: list[dict[str, Any]]) -> None:
    """Write the records of a script, with the machine and the versions, to ``<results>/<script>.json``."""
    name = Path(script).stem
    options.results.mkdir(parents=True, exist_ok=True)
    content = {
        "benchmark": name,
        "full": options.full,
        "date": date.today().isoformat(),
        "commit": _commit(),
        "machine": _machine(),
        "versions": _versions(),
        **groups,
    }
    (options.results / f"{name}.json").write_text(json.dumps(content, indent=1, default=float) + "\n")


def _machine() -> dict[str, Any]:
    """Describe the machine by what matters for speed, and by nothing that names it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    described = {"cores": cores, "system": platform.system(), "architecture": platform.machine()}
    cpu = Path("/proc/cpuinfo")
    models = [line.partition(":")[2].strip() for line in cpu.read_text().splitlines() if "model name" in line]
    if models:
        described["processor"] = models[0]
    return described


def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str | None:
    """Name the commit of the package that is measured; a plus where its files differ from it."""
    folder = Path(pgmpy_em_ext.__file__).parent
    try:
        commit, changes = (
            subprocess.run(["git", *command], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
            for command in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "--", "."])
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + "+" * bool(changes)
