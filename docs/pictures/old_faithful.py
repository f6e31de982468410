"""Draw ``old_faithful.svg`` beside this file: the two regimes of a geyser, from a table with holes."""

import runpy
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

EXAMPLE = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "old_faithful.py"))
COLORS = ("tab:blue", "tab:orange")


def ellipse(mean: np.ndarray, covariance: np.ndarray, deviations: float, color: str) -> Ellipse:
    """Outline what is within some standard deviations of a normal distribution."""
    squares, axes = np.linalg.eigh(covariance)
    width, height = 2 * deviations * np.sqrt(squares)
    angle = np.degrees(np.arctan2(axes[1, 0], axes[0, 0]))
    return Ellipse(tuple(mean), width, height, angle=angle, fill=False, color=color, linewidth=1.6)


def draw(path: Path) -> None:
    """Fit, and write the picture."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "pgmpy_em_ext", "font.size": 10})
    data = EXAMPLE["take_out"](EXAMPLE["load"]())
    estimator = EXAMPLE["fit"](data)
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    axes = figure.subplots()
    parts = EXAMPLE["components"](estimator)
    probability = estimator.predict_proba(data)["regime"][parts[1].regime]
    between = mpl.colors.LinearSegmentedColormap.from_list("regimes", COLORS)
    missing, shown = data.isna(), data.fillna({"eruptions": 1.3, "waiting": 41.5})
    for marker, chosen in (
        ("o", ~missing.any(axis=1)),
        ("|", missing["waiting"] & ~missing["eruptions"]),
        ("_", missing["eruptions"] & ~missing["waiting"]),
    ):
        own, color = shown[chosen], between(probability[chosen])
        axes.scatter(own["eruptions"], own["waiting"], c=color, marker=marker, s=12 if marker == "o" else 60)
    for part, color in zip(parts, COLORS, strict=True):
        for deviations in (1, 2):
            axes.add_patch(ellipse(part.mean, part.covariance, deviations, color))
    axes.set(xlabel="duration of the eruption, minutes", ylabel="wait until the next, minutes")
    axes.set(xlim=(1.2, 5.6), ylim=(40, 100))
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    draw(Path(__file__).with_suffix(".svg"))
