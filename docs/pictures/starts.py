"""Draw ``starts.svg`` beside this file: the objective of all starts' runs, step by step, and where most are left."""

from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from pgmpy.models import DiscreteBayesianNetwork

from pgmpy_em_ext import WeightedEM

COUNTS = (
    "1111111:34 1111211:2 1211111:6 1211112:1 1211211:4 1211212:5 2111111:2 2121212:1 2211111:2 2211112:1 "
    "2211211:2 2211212:7 2211222:1 2212112:1 2212212:2 2212222:3 2221212:13 2221222:5 2222212:10 2222222:16"
)
COLORS = {"available_case": "tab:orange", "near_uniform": "tab:blue"}
LABELS = {"available_case": "latent drawn far apart", "near_uniform": "latent drawn near uniform"}


def fit() -> tuple[WeightedEM, dict[int, list[float]]]:
    """Fit four kinds of slides to the ratings of seven pathologists, and keep what every run does."""
    rows = [(*answers, int(count)) for answers, count in (word.split(":") for word in COUNTS.split())]
    data = pd.DataFrame(rows, columns=[*"ABCDEFG", "n"])
    model = DiscreteBayesianNetwork([("kind", rater) for rater in "ABCDEFG"], latents={"kind"})
    paths: dict[int, list[float]] = {}
    estimator = WeightedEM(
        latent_card={"kind": 4},
        seed=0,
        callback=lambda seen: paths.setdefault(seen.run, []).append(seen.objective) or False,
        show_progress=False,
    )
    return estimator.fit(model, data, data["n"]), paths


def draw(path: Path) -> None:
    """Fit, and write the picture."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "pgmpy_em_ext", "font.size": 10})
    estimator, paths = fit()
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    axes = figure.subplots()
    for number, run in enumerate(estimator.restarts_[: estimator.n_starts_]):
        color, survives = COLORS[run.start], run.status == "converged"
        values = paths[number]
        axes.plot(values, color=color, linewidth=2.4 if survives else 1.0, alpha=1.0 if survives else 0.75)
        marker = "o" if survives else "x"
        axes.plot(len(values) - 1, values[-1], marker, color=color, markersize=7 if survives else 6)
    for start, color in COLORS.items():
        axes.plot([], [], color=color, label=LABELS[start])
    axes.plot([], [], "x", color="gray", label="joins another run, or is left")
    axes.plot([], [], "o", color="gray", label="carried to the end")
    for step in (16, 20, 25, 31, 38):
        axes.axvline(step, color="lightgray", linewidth=0.8, zorder=0)
    axes.annotate("compared", (16, -302.6), (3, 0), textcoords="offset points", color="gray", fontsize=9)
    axes.set(xlabel="steps", ylabel="objective in nats", ylim=(-303, -288), xlim=(0, 40))
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 0.08))
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    draw(Path(__file__).with_suffix(".svg"))
