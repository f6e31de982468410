"""Draw ``how_many_states.svg`` beside this file: what three criteria say of the carcinoma ratings."""

import warnings
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from pgmpy.models import DiscreteBayesianNetwork

from pgmpy_em_ext import Dirichlet, WeightedEM, select_latent_card

COUNTS = (
    "1111111:34 1111211:2 1211111:6 1211112:1 1211211:4 1211212:5 2111111:2 2121212:1 2211111:2 2211112:1 "
    "2211211:2 2211212:7 2211222:1 2212112:1 2212212:2 2212222:3 2221212:13 2221222:5 2222212:10 2222222:16"
)


def fit(criterion: str, estimator: WeightedEM) -> pd.DataFrame:
    """Fit one to six kinds of slides to the ratings of seven pathologists."""
    rows = [(*answers, int(count)) for answers, count in (word.split(":") for word in COUNTS.split())]
    data = pd.DataFrame(rows, columns=[*"ABCDEFG", "n"])
    model = DiscreteBayesianNetwork([("kind", rater) for rater in "ABCDEFG"], latents={"kind"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the page talks about them
        found = select_latent_card(
            model,
            data,
            {"kind": range(1, 7)},
            criterion,
            estimator=estimator,
            sample_weight=data["n"],
            seed=0,
            show_progress=False,
        )
    return found.table


def draw(path: Path) -> None:
    """Fit, and write the picture."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "pgmpy_em_ext", "font.size": 10})
    in_sample = fit("bic", WeightedEM(n_init=20, max_iter=20_000))
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for criterion, color in (("bic", "tab:blue"), ("aic", "tab:orange")):
        left.plot(in_sample["kind"], in_sample[criterion], "o-", color=color, label=criterion.upper())
        best = in_sample.loc[in_sample[criterion].idxmin()]
        left.plot(best["kind"], best[criterion], "o", color=color, markersize=12, fillstyle="none")
    left.set(title="all rows: smaller is better", xlabel="kinds", ylabel="AIC, BIC", xlim=(1.5, 6.4), ylim=(600, 850))
    left.legend(frameon=False)
    for prior, label, color in ((Dirichlet(0.1), "pseudo count 0.1", "tab:green"), ("BDeu", "BDeu", "tab:purple")):
        table = fit("held_out", WeightedEM(prior=prior, max_iter=20_000))
        shift = 0.05 if prior == "BDeu" else -0.05
        right.errorbar(
            table["kind"] + shift, table["held_out"], table["held_out_error"], fmt="o-", color=color, label=label
        )
        best = table.loc[table["held_out"].idxmax()]
        right.plot(best["kind"] + shift, best["held_out"], "o", color=color, markersize=12, fillstyle="none")
    right.set(
        title="held out: larger is better",
        xlabel="kinds",
        ylabel="held-out nats a record",
        xlim=(1.5, 6.4),
        ylim=(-3.1, -2.4),
    )
    right.legend(frameon=False, title="prior", loc="lower right")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    draw(Path(__file__).with_suffix(".svg"))
