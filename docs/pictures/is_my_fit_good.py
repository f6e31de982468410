"""Draw ``is_my_fit_good.svg`` beside this file: 95 % intervals of a small latent class model, made in two ways."""

from itertools import product
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pgmpy.models import DiscreteBayesianNetwork

from pgmpy_em_ext import WeightedEM

QUESTIONS = ["LieExam", "LiePaper", "Fraud", "CopyExam"]
STUDENTS = [207, 46, 7, 5, 13, 4, 1, 2, 10, 3, 1, 2, 11, 4, 1, 2]
WITHIN = 1.96
"""Standard errors to either side that hold 95 % of a normal distribution."""


def fit() -> WeightedEM:
    """Fit two kinds of students to their answers about cheating."""
    answers = pd.DataFrame(product(["no", "yes"], repeat=4), columns=QUESTIONS)
    model = DiscreteBayesianNetwork([("Kind", question) for question in QUESTIONS], latents={"Kind"})
    return WeightedEM(seed=0, show_progress=False).fit(model, answers, STUDENTS)


def draw(path: Path) -> None:
    """Fit, and write the picture."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "pgmpy_em_ext", "font.size": 10})
    estimator = fit()
    values = {cpd.variable: cpd.get_values() for cpd in estimator.parameters_}
    errors = estimator.standard_errors().errors
    low, high = estimator.bootstrap(500, seed=0).interval()
    entries = [("Kind", 0, 0, "share of kind 0")]
    entries += [(name, 1, kind, f"{name}: yes, kind {kind}") for kind in range(2) for name in QUESTIONS]
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for place, (name, state, column, _) in enumerate(entries):
        estimate = values[name][state, column]
        reach = WITHIN * errors[name].to_numpy()[state, column]
        ends = [frame[name].to_numpy()[state, column] for frame in (low, high)]
        first = place == 0
        by_error = [estimate - reach, estimate + reach]
        for shift, interval, color, label in (
            (-0.13, by_error, "tab:blue", "standard error"),
            (0.13, ends, "tab:orange", "bootstrap"),
        ):
            axes.plot(interval, [place + shift] * 2, color=color, linewidth=2.2, label=label if first else None)
        axes.plot(estimate, place, "o", color="black", markersize=4, label="estimate" if first else None)
    for end in (0, 1):
        axes.axvline(end, color="gray", linewidth=0.8, linestyle=":")
    axes.set_yticks(np.arange(len(entries)), [entry[-1] for entry in entries])
    axes.invert_yaxis()
    axes.set(xlabel="probability, with 95 % intervals", xlim=(-0.15, 1.05))
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    draw(Path(__file__).with_suffix(".svg"))
