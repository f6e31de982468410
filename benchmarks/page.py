"""Write the page of benchmarks from the results: ``python benchmarks/page.py --output docs/benchmarks.md``."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).resolve().parent / "results"
Record = dict[str, Any]

INTRODUCTION = """\
# Benchmarks

`make bench` measures what is on this page in about half an hour, without the other tools' longest runs;
`python benchmarks/run.py --full` measures those too. `pip install "pgmpy_em_ext[bench]"` installs the other tools.

Both sides of a comparison run in one process, on the same rows and from the same CPDs, and the log-likelihood of the
observed cells is computed for both by `WeightedEM.score_samples`. The ratios are what to keep: machines differ, and are
shared; the load at the end of the page is the most that the machine was running before a measurement, and figures for
all threads mean little where it was above the number of cores. Rows are drawn from the network itself, and cells are
missing completely at random. A whole fit starts from a DataFrame and includes all encoding and set-up; it ends at the
default `tol`, 0.001 nats from the extrapolated limit. An iteration is the median time from one E-step to the next.
Another tool's time is processor time where it has one thread, so that a busy machine does not count against it.
Everything has run once on a few rows before it is timed, except under "The first fit of a process". One thread is
`n_jobs=1`, and one thread for numpy's linear algebra too; all threads is `n_jobs=-1`, and numpy's default. Memory is
the peak of the process, which holds some 250 MB of libraries before it begins.
"""

E_STEP = """\
## The exact E-step

{rows} rows, 20 % of the cells missing. *Steps* are distinct elimination steps, *cells* their table cells. Encoding,
reducing and compiling happen once in a fit; these stages ran with one thread. The last column is how many times longer
a row takes when pgmpy's `VariableElimination` computes the same expected counts, on 20 of the rows.
"""

WHOLE = """\
Whole fits of the same rows, to convergence:
"""

SAMPLING = """\
## Sampled E-steps

One E-step at the true parameters, on rows where exact inference tells the right answer: how long it takes until its
counts are {target} records off, the root mean square over all expected counts. The engines take turns in one process,
with one thread. Each starts new chains from {seeds} seeds; burn-in and the log-likelihood are included.

- *exact* is `ExactEStep`, for scale: it has no error.
- *blocked Gibbs, 64* is `GibbsEStep(max_table_size=64)`. It samples the components of missing variables that need
  larger tables, *sampled* says how many, and leaves the others to exact inference; 8 and 512 likewise.
- *single-site Gibbs* is `GibbsEStep(max_table_size=1)`: what is drawn together is independent given the rest. It still
  counts expectations, given the other variables, and still makes the joint move, which textbooks' Gibbs sampling
  does not.
- *its states counted*: the same chains, but what is counted are the states that they are in after each sweep. The
  time is that of the row above.
- *likelihood weighting* is `LikelihoodWeightingEStep(max_table_size=1)`. *Refused* is how many of the seeds raised
  `DegenerateWeightsError`, for each number of draws; they have no part in the error.
- *pgmpy's sampler* is `ApproxInferenceEStep`, on few rows, since it takes a tenth of a second for each. It counts
  barren variables too, and so do the others in that table, with `prune_barren=False`. On so few rows exact inference
  runs in numpy, which is most of the time of what samples next to nothing.

*Draws* are those that were measured, *ms* the processor time of the median seed, *records off* the error over all
seeds. *Slope* is the power of the number of draws by which the error falls, -0.5 where draws are as good as
independent; where fewer than {few} components are sampled it says nothing, and is left out. *Seconds to {target}*
follow from the error of the most draws, which falls by one over the root of their number, and from a time that is
linear in it, for at least one draw, or the fewest that no seed was refused. *Ratio* is to blocked Gibbs with 64.
"""

SAMPLING_RATIOS = """\
Where blocks of 64 cells leave {few} components or more to sampling, they reach {target} records {single} times sooner
than single-site Gibbs, {states} times sooner than it does when states are counted, and {small} times sooner
than blocks of 8 cells.
"""

OUT_OF_REACH = """\
## Where exact inference is out of reach

Whole fits with sampled E-steps, {rows} rows, prior BDeu, one start, two threads, to convergence. *Exact* says whether
exact inference has room in its 4 GiB. The grid is of hidden binary nodes, each seen through noise. *Gap* is what
noise costs, in nats. *Held out* is the mean log-likelihood of a row that was not fitted, beside that of CPDs counted
from complete cases and the same prior.
"""

PYAGRUM = """\
## Beside pyAgrum

20 % of the cells missing. pyAgrum's EM is exact too; it needs a prior, which is 0.001 records in every CPD entry.
Started without noise, it computes what `WeightedEM` computes with the same prior and with
`ExactEStep(prune_barren=False)`: the last two columns are the log-likelihoods of either after {steps} steps. Our time
is that of the default, which leaves out barren variables. pyAgrum's iteration is the time of {steps} steps less that
of {fewer}, divided by the difference, each measured once: processor time with one thread, wall time with all. *Cores*
is how many pyAgrum got in either run; where they differ, other work disturbed the wall time, and the processor time is
what to trust.
"""

PYAGRUM_WHOLE = """\
Whole fits. pyAgrum stops when the log-likelihood changes by less than a share of 0.00001; `WeightedEM` goes on to its
own, stricter end. *To theirs* is our time until the log-likelihood of the data is as high as pyAgrum's at its end.
"""

DISCRETE_EM = """\
## Beside DiscreteEM

pgmpy's own `DiscreteEM` drops rows with holes, so the data has none but three hidden variables of ALARM. Its step is
the time of two steps less that of one. The last two columns are the log-likelihoods after {steps} steps.
"""

STUDENTS = """\
On the {rows} students of [Coming from DiscreteEM](coming_from_discrete_em.md) with one latent variable, {steps} steps,
preparing the data included: `DiscreteEM` {theirs} ms a step, `WeightedEM` {ours} ms, ratio {ratio}.
"""

STEPMIX = """\
## Beside StepMix

A latent class model of three classes: {rows} rows of ten binary items, 10 % of the cells missing, {distinct} distinct
rows. Both start from StepMix's parameters after one step. StepMix works on its float matrix with
`measurement="binary_nan"`, `WeightedEM` on a DataFrame of integers. The log-likelihoods are those after {steps} steps.
"""

STEPMIX_WHOLE = """\
Whole fits, each to its own default stopping; StepMix's is a mean log-likelihood that changes by less than 1e-10.
"""

ROWS = """\
## Rows

ALARM, 20 % of the cells missing, from a DataFrame to convergence. *Columns* is the type of the DataFrame's columns.
"""

CHUNKS = """\
More rows than one would hold at once, in chunks of a million encoded rows that are reduced one by one and merged; then
compiled, with all threads for the E-step:
"""

SHARE = """\
## Missing cells

ALARM, {rows} rows.
"""

LARGE = """\
## Large networks

No other tool was found that runs EM on these. 20 % of the cells missing, {threads}; a fit was given {limit} seconds,
and *max_time* marks those that they ended. *Read* is the time of pgmpy's `BIFReader`, which is in no other figure.
These fits are of plain EM, from before there was acceleration.
"""

QUESTIONS = """\
## Questions about rows

ALARM with known CPDs, {rows} rows with 20 % of the cells missing. Seconds for all rows, from a DataFrame.
"""

ACCELERATION = """\
## Acceleration

E-steps until the log-likelihood is within 0.01 nats of the run's own limit, on problems with latent variables: the
median of {starts} starts. They are counted, not timed.

{near}
In the median of the problems, the median start needs {saving} times fewer E-steps with `acceleration="auto"`, the
default. The largest fall of the objective in all runs was {fall} of its size. Where fits stop by themselves, at
the default `tol` of 0.001 nats, plain EM went on for up to 60,000 steps, and gained no more than, in nats:

{gaps}
A fit with "auto" makes {stopped} E-steps in the median, the 20 with which it looks beyond its end included.

An accelerated step costs some hundred operations a parameter besides the E-step. Where parameters by far outnumber
the distinct local problems, as in mildew with 547,158 parameters and 1,000 rows, that is more than the E-step itself,
and `acceleration=None` is the faster choice.
"""

RESTARTS = """\
## Restarts

How far below the highest objective that was ever found fits end, in the mean of {seeds} seeds, and the E-steps that all
their runs made together. *Default* is what a fit does, *halving* what it does where E-steps are costly; *plain* carries
every start to its end.
"""

UNCERTAINTY = """\
## How sure a fit is

ALARM, {rows} rows with 20 % of the cells missing: seconds for `standard_errors()`, `bootstrap(n=100)` and
`identifiability()`.
"""

MIXTURES = """\
## Mixtures of Gaussians, beside scikit-learn

{rows} rows of five columns, three components: one iteration of scikit-learn's `GaussianMixture` and of plain EM by
`ConditionalGaussianEM`, from the same start. *diag* is a latent class above five independent columns, *full* a chain
of regressions under it. Both are the wall time of a fit of {steps} steps less one of two, over the steps between; the
sides take turns. *With holes* is ours with 10 % of the cells missing, which scikit-learn cannot do, and beside it how
many times longer that takes than complete rows. The log-likelihoods are those after {steps} steps of complete rows.
"""

GAUSSIAN_NETWORKS = """\
## Linear Gaussian networks

pgmpy's own networks, {rows} rows drawn from them, 20 % of the cells missing: a whole fit by `LinearGaussianEM`, from a
DataFrame to convergence. *Above the truth* is by how many nats the fit's log-likelihood exceeds that of the network
that made the data.
"""

COLD = """\
## The first fit of a process

ALARM, {rows} rows, 20 % missing. A new process imports pgmpy, then this package, and fits twice. *Cold* processes
find numba's cache empty, as after an installation; *warm* ones find what an earlier process left there. Seconds.
"""


def number(value: Any) -> str:
    """Write a figure with about three digits."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:.{digits}f}" if abs(value) >= 0.01 else f"{value:.2g}"


def nats(value: float | None) -> str:
    """Write a log-likelihood with all the digits that may differ."""
    return "" if value is None else f"{value:,.3f}"


def markdown_table(columns: dict[str, Callable[[Record], Any]], records: Iterable[Record]) -> str:
    """Write one line a record; what failed is said below."""
    records = list(records)
    done = [record for record in records if "failed" not in record]
    lines = ["| " + " | ".join(columns) + " |", "| --- |" + " ---: |" * (len(columns) - 1)]
    lines += ["| " + " | ".join(number(get(record)) for get in columns.values()) + " |" for record in done]
    failures = [f"\nNot done: {_label(record)}: {record['failed']}." for record in records if "failed" in record]
    return "\n".join(lines + failures) + "\n"


def _label(record: Record) -> str:
    return ", ".join(
        f"{key} {number(value)}" for key, value in record.items() if key not in ("failed", "limit", "load")
    )


def field(key: str, show: Callable[[Any], Any] = lambda value: value) -> Callable[[Record], Any]:
    """Read one entry of a record."""
    return lambda record: show(record.get(key))


def by_threads(records: Iterable[Record], *keys: str) -> list[Record]:
    """Join the records of one and of all threads; the latter's entries are named ``all_...``."""
    joined: dict[tuple, Record] = {}
    for record in records:
        target = joined.setdefault(tuple(record.get(key) for key in keys), {key: record.get(key) for key in keys})
        if record["threads"] == "all":
            target.update({f"all_{key}": value for key, value in record.items() if key != "failed"})
        else:
            target.update({key: value for key, value in record.items() if key != "failed"})
        if "failed" in record:
            target["failed"] = record["failed"]
    return list(joined.values())


def either(key: str) -> Callable[[Record], Any]:
    """Read an entry that does not depend on the threads."""
    return lambda record: record.get(key, record.get(f"all_{key}"))


def megabytes(record: Record) -> Any:
    """Give the higher of the peaks, in whole megabytes."""
    return round(max(record.get("peak_mb", 0), record.get("all_peak_mb", 0)))


FIT_COLUMNS = {
    "set-up s": either("setup_s"),
    "iterations": either("n_iter"),
    "iteration ms": field("iteration_ms"),
    "all threads": field("all_iteration_ms"),
    "whole fit s": field("fit_s"),
    "all threads ": field("all_fit_s"),
    "peak MB": megabytes,
}


def e_step(result: Record) -> str:
    """Render `e_step.py`."""
    stages = {
        "network": field("name"),
        "steps": field("n_elimination_steps"),
        "cells": field("n_table_cells"),
        "encode ms": field("encode_ms"),
        "reduce ms": field("reduce_ms"),
        "compile ms": field("compile_ms"),
        "E-step ms": field("e_step_ms"),
        "pgmpy VE / ours": field("variable_elimination_ratio"),
    }
    whole = {"network": field("name"), **FIT_COLUMNS}
    return "\n".join(
        [
            E_STEP.format(rows=number(result["stages"][0]["rows"])),
            markdown_table(stages, result["stages"]),
            WHOLE,
            markdown_table(whole, by_threads(result["fits"], "name")),
        ]
    )


def out_of_reach(result: Record) -> str:
    """Write a line a problem."""
    columns = {
        "problem": field("name"),
        "exact": field("exact_refuses", lambda refused: "refused" if refused else "fits"),
        "components sampled": field("sampled"),
        "free parameters": field("n_parameters"),
        "steps": field("n_iter"),
        "s": field("seconds"),
        "status": field("status"),
        "gap": field("gap"),
        "held out": field("held_out"),
        "complete cases": field("held_out_complete_case"),
    }
    rows = number(result["problems"][0]["rows"])
    return OUT_OF_REACH.format(rows=rows) + "\n" + markdown_table(columns, result["problems"])


FEW_COMPONENTS = 10
"""Sampled components below which the error of a sampled E-step is that of a few chains."""


def sampling(result: Record) -> str:
    """Write a table a setting, a line an engine."""
    settings = [record for record in result["settings"] if "failed" not in record]
    target = f"{settings[0]['target']:g}"
    columns = {
        "engine": field("engine"),
        "sampled": field("sampled"),
        "draws": field("draws", listed),
        "ms": field("ms", listed),
        "records off": field("rms", listed),
        "refused": field("refused", lambda refused: listed(refused) if refused and any(refused) else ""),
        "slope": _slope,
        f"seconds to {target}": field("to_target_s"),
        "ratio": field("ratio"),
    }
    parts = [SAMPLING.format(target=target, seeds=settings[0]["seeds"], few=FEW_COMPONENTS)]
    for record in result["settings"]:
        share = f"{record['share']:.0%}".replace("%", " %")
        table = f", largest table {number(round(record['largest_table']))} cells" if "largest_table" in record else ""
        parts.append(f"{record['name']}, {record['rows']} rows, {share} of the cells missing{table}:\n")
        parts.append(markdown_table(columns, record.get("engines", [record])))
    return "\n".join([*parts, _sampling_ratios(settings, target)])


def listed(values: list[Any] | None) -> str:
    """Write several figures in one field; a dash for what there is not."""
    return ", ".join("-" if value is None else number(value) for value in values or [])


def _slope(record: Record) -> str:
    few = record["sampled"] is not None and record["sampled"] < FEW_COMPONENTS
    return "" if few or record["slope"] is None else f"{record['slope']:.2f}"


def _sampling_ratios(settings: list[Record], target: str) -> str:
    """Sum up what blocks save, over the settings in which they are not all but exact."""
    found = [{line["engine"]: line for line in record["engines"]} for record in settings]
    found = [lines for lines in found if lines["blocked Gibbs, 64"]["sampled"] >= FEW_COMPONENTS]
    if not found:
        return ""

    def span(engine: str) -> str:
        ratios = sorted(lines[engine]["ratio"] for lines in found)
        return " to ".join(dict.fromkeys([number(ratios[0]), number(ratios[-1])]))

    return SAMPLING_RATIOS.format(
        few=FEW_COMPONENTS,
        target=target,
        single=span("single-site Gibbs"),
        states=span("its states counted"),
        small=span("blocked Gibbs, 8"),
    )


def against_pyagrum(result: Record) -> str:
    """Render `against_pyagrum.py`."""
    iterations = {
        "network": field("name"),
        "rows": field("rows"),
        "threads": field("threads"),
        "pyAgrum s": field("theirs_s"),
        "wall s": field("theirs_wall_s"),
        "processor s": field("theirs_cpu_s"),
        "cores": field("cores_used", lambda used: ", ".join(number(cores) for cores in used)),
        "ours ms": field("ours_ms"),
        "ratio": field("ratio"),
        "pyAgrum nats": field("theirs_log_likelihood", nats),
        "ours nats": field("ours_log_likelihood", nats),
    }
    whole = {
        "network": field("name"),
        "rows": field("rows"),
        "threads": field("threads"),
        "pyAgrum s": field("theirs_s"),
        "iterations": field("theirs_iterations"),
        "nats": field("theirs_log_likelihood", nats),
        "ours s": field("ours_s"),
        "iterations ": field("ours_iterations"),
        "nats ": field("ours_log_likelihood", nats),
        "ratio": field("ratio"),
        "to theirs s": field("ours_to_theirs_s"),
        "ratio ": field("ratio_to_theirs"),
    }
    first = next((record for record in result["iterations"] if "failed" not in record), {})
    return "\n".join(
        [
            PYAGRUM.format(steps=first.get("steps_compared"), fewer=first.get("steps_of_shorter")),
            markdown_table(iterations, result["iterations"]),
            PYAGRUM_WHOLE,
            markdown_table(whole, result["whole"]),
        ]
    )


def against_discrete_em(result: Record) -> str:
    """Render `against_discrete_em.py`."""
    columns = {
        "rows": field("rows"),
        "distinct": field("distinct_rows"),
        "threads": field("threads"),
        "`DiscreteEM` s": field("theirs_s"),
        "ours ms": field("ours_ms"),
        "ratio": field("ratio"),
        "their MB": field("theirs_work_mb", round_or_none),
        "our MB": field("ours_work_mb", round_or_none),
        "`DiscreteEM` nats": field("theirs_log_likelihood", nats),
        "ours nats": field("ours_log_likelihood", nats),
    }
    steps = next((record["steps_compared"] for record in result["hidden"] if "failed" not in record), 0)
    students = result["students"][0]
    return "\n".join(
        [
            DISCRETE_EM.format(steps=steps),
            markdown_table(columns, result["hidden"]),
            STUDENTS.format(
                rows=students["rows"],
                steps=students["steps"],
                theirs=number(students["theirs_ms"]),
                ours=number(students["ours_ms"]),
                ratio=number(students["ratio"]),
            ),
        ]
    )


def round_or_none(value: float | None) -> int | None:
    """Round to whole megabytes."""
    return None if value is None else round(value)


def against_stepmix(result: Record) -> str:
    """Render `against_stepmix.py`."""
    iterations = {
        "threads": field("threads"),
        "StepMix ms": field("theirs_ms"),
        "ours ms": field("ours_ms"),
        "ratio": field("ratio"),
        "their MB": field("theirs_work_mb", round_or_none),
        "our MB": field("ours_work_mb", round_or_none),
        "StepMix nats": field("theirs_log_likelihood", nats),
        "ours nats": field("ours_log_likelihood", nats),
    }
    whole = {
        "threads": field("threads"),
        "StepMix s": field("theirs_whole_s"),
        "iterations": field("theirs_whole_iterations"),
        "nats": field("theirs_whole_log_likelihood", nats),
        "ours s": field("ours_whole_s"),
        "iterations ": field("ours_whole_iterations"),
        "nats ": field("ours_whole_log_likelihood", nats),
        "ratio": field("whole_ratio"),
    }
    first = next((record for record in result["mixture"] if "failed" not in record), {})
    text = STEPMIX.format(
        rows=number(first.get("rows")), distinct=number(first.get("distinct_rows")), steps=first.get("steps_compared")
    )
    return "\n".join(
        [
            text,
            markdown_table(iterations, result["mixture"]),
            STEPMIX_WHOLE,
            markdown_table(whole, result["mixture"]),
        ]
    )


def rows(result: Record) -> str:
    """Render `rows.py`."""
    columns = {"rows": field("rows"), "columns": field("columns"), **FIT_COLUMNS}
    chunks = {
        "rows": field("rows"),
        "distinct": field("distinct"),
        "reduce s": field("reduce_s"),
        "merge s": field("merge_s"),
        "compile s": field("compile_s"),
        "E-step ms": field("e_step_ms"),
        "peak MB": megabytes,
    }
    return "\n".join(
        [
            ROWS,
            markdown_table(columns, by_threads(result["fits"], "rows", "columns")),
            CHUNKS,
            markdown_table(chunks, result["chunks"]),
        ]
    )


def missing_share(result: Record) -> str:
    """Render `missing_share.py`."""
    columns = {
        "missing": field("share", lambda share: f"{share:.0%}".replace("%", " %")),
        "steps": either("n_elimination_steps"),
        "cells": either("n_table_cells"),
        **FIT_COLUMNS,
    }
    return SHARE.format(rows="10,000") + "\n" + markdown_table(columns, by_threads(result["fits"], "share"))


def large_networks(result: Record) -> str:
    """Render `large_networks.py`."""
    columns = {
        "network": field("name"),
        "variables": field("variables"),
        "CPD entries": field("parameters"),
        "rows": field("rows"),
        "threads": field("threads"),
        "read s": field("read_s"),
        "set-up s": field("setup_s"),
        "iterations": field("n_iter"),
        "iteration ms": field("iteration_ms"),
        "whole fit s": field("fit_s"),
        "ended by": field("status"),
        "peak MB": megabytes,
    }
    threads = "one thread and all" if result["full"] else "all threads"
    text = LARGE.format(threads=threads, limit=number(result["fits"][0]["limit"]))
    return text + "\n" + markdown_table(columns, result["fits"])


def questions(result: Record) -> str:
    """Render `questions.py`."""
    columns = {
        "": field("question", lambda name: f"`{name}`"),
        "one thread": field("seconds"),
        "all threads": field("all_seconds"),
        "µs a row": field("us_per_row"),
        "peak MB": megabytes,
    }
    text = QUESTIONS.format(rows=number(result["questions"][0]["rows"]))
    return text + "\n" + markdown_table(columns, by_threads(result["questions"], "question"))


def cold_start(result: Record) -> str:
    """Render `cold_start.py`."""
    columns = {
        "cache": field("cache"),
        "threads": field("threads"),
        "import pgmpy": field("import_pgmpy_s"),
        "import pgmpy_em_ext": field("import_s"),
        "first fit": field("first_fit_s"),
        "second fit": field("second_fit_s"),
        "files cached": field("cached_files"),
    }
    return COLD.format(rows=number(result["starts"][0]["rows"])) + "\n" + markdown_table(columns, result["starts"])


def acceleration(result: Record) -> str:
    """Write a line a problem, a column a method."""
    problems = list(dict.fromkeys(record["problem"] for record in result["runs"]))
    methods = list(dict.fromkeys(record["method"] for record in result["runs"]))
    found = {(record["problem"], record["method"]): record for record in result["runs"]}
    tables = []
    for key, show in (("near", number), ("largest_gap", lambda value: f"{max(value, 0.0):.1g}")):
        columns = {"problem": field("problem")}
        columns |= {method: field(method) for method in methods}
        lines = [
            {"problem": problem} | {method: show(found[problem, method][key]) for method in methods}
            for problem in problems
        ]
        tables.append(markdown_table(columns, lines))
    saving = float(np.median([found[problem, "auto"]["saving"] for problem in problems]))
    fall = max(record["largest_fall"] for record in result["runs"])
    stopped = float(np.median([found[problem, "auto"]["stopped"] for problem in problems]))
    return ACCELERATION.format(
        starts=result["runs"][0]["n_starts"],
        near=tables[0],
        gaps=tables[1],
        saving=number(saving),
        fall=f"{fall:.0e}",
        stopped=number(stopped),
    )


def restarts(result: Record) -> str:
    """Write a line a problem and way."""
    records = result["fits"]
    highest = {
        problem: max(record["highest"] for record in records if record["problem"] == problem)
        for problem in dict.fromkeys(record["problem"] for record in records)
    }
    columns = {
        "problem": field("problem"),
        "way": field("way"),
        "starts": field("n_init", lambda value: "16 or 24" if value is None else str(value)),
        "E-steps": field("e_steps", lambda value: number(round(value))),
        "below the highest, nats": field("below", lambda value: f"{value:.2f}"),
    }
    lines = [{**record, "below": highest[record["problem"]] - record["objective"]} for record in records]
    return RESTARTS.format(seeds=records[0]["n_seeds"]) + "\n" + markdown_table(columns, lines)


def uncertainty(result: Record) -> str:
    """Write a line a number of threads."""
    columns = {
        "threads": field("threads"),
        "free parameters": field("parameters"),
        "rank": field("rank"),
        "standard errors": field("standard_errors_s"),
        "100 replicates": field("bootstrap_s"),
        "identifiability": field("identifiability_s"),
    }
    return (
        UNCERTAINTY.format(rows=number(result["answers"][0]["rows"]))
        + "\n"
        + markdown_table(columns, result["answers"])
    )


def mixtures(result: Record) -> str:
    """Render `mixtures.py`."""
    columns = {
        "kind": field("kind"),
        "threads": field("threads"),
        "scikit-learn ms": field("theirs_ms"),
        "ours ms": field("ours_ms"),
        "ratio": field("ratio"),
        "with holes ms": field("ours_with_holes_ms"),
        "times complete": field("holes_ratio"),
        "scikit-learn nats": field("theirs_log_likelihood", nats),
        "ours nats": field("ours_log_likelihood", nats),
    }
    first = result["mixtures"][0]
    text = MIXTURES.format(rows=number(first["rows"]), steps=first.get("steps_compared"))
    return text + "\n" + markdown_table(columns, result["mixtures"])


def gaussian_networks(result: Record) -> str:
    """Render `gaussian_networks.py`."""
    columns = {
        "network": field("network"),
        "variables": field("nodes"),
        "edges": field("edges"),
        "threads": field("threads"),
        "fit s": field("fit_s"),
        "steps": field("n_iter"),
        "above the truth": field("above_the_truth", nats),
        "free parameters": field("n_parameters"),
        "peak MB": megabytes,
    }
    text = GAUSSIAN_NETWORKS.format(rows=number(result["gaussian_networks"][0]["rows"]))
    return text + "\n" + markdown_table(columns, result["gaussian_networks"])


SECTIONS = {
    "e_step": e_step,
    "sampling": sampling,
    "out_of_reach": out_of_reach,
    "against_pyagrum": against_pyagrum,
    "against_discrete_em": against_discrete_em,
    "against_stepmix": against_stepmix,
    "rows": rows,
    "missing_share": missing_share,
    "large_networks": large_networks,
    "questions": questions,
    "acceleration": acceleration,
    "restarts": restarts,
    "mixtures": mixtures,
    "gaussian_networks": gaussian_networks,
    "uncertainty": uncertainty,
    "cold_start": cold_start,
}


def provenance(results: dict[str, Record]) -> str:
    """Say on what machine, with which versions and of which commit the figures were measured."""
    groups: dict[str, list[str]] = {}
    for name, result in results.items():
        machine = result["machine"]
        processor = f", {machine['processor']}" if "processor" in machine else ""
        versions = ", ".join(f"{package} {version}" for package, version in result["versions"].items())
        commit = f", commit {result['commit']}" if result["commit"] else ""
        loads = [r["load"] for group in result.values() if isinstance(group, list) for r in group if r.get("load")]
        load = f", load up to {max(loads):.1f}" if loads else ""
        text = (
            f"{machine['cores']} cores{processor}, {machine['system']} {machine['architecture']}; "
            f"{versions}{commit}; {result['date']}"
        )
        groups.setdefault(text, []).append(f"`{name}`" + " (full)" * result["full"] + load)
    lines = [f"- {', '.join(names)}: {text}." for text, names in groups.items()]
    return "## Machine and versions\n\n" + "\n".join(lines) + "\n"


def render(folder: Path) -> str:
    """Write the page, with a section for each result that there is."""
    paths = {name: folder / f"{name}.json" for name in SECTIONS}
    results = {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}
    if not results:
        sys.exit(f"no results in {folder}: run `python benchmarks/run.py` first.")
    sections = [SECTIONS[name](result) for name, result in results.items()]
    return "\n".join([INTRODUCTION, *sections, provenance(results)])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Write the page of benchmarks from the results.")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--output", type=Path, required=True, help="the page, in Markdown")
    options = parser.parse_args()
    options.output.write_text(render(options.results), encoding="utf-8")


if __name__ == "__main__":
    main()
