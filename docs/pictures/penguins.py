"""Draw ``penguins.svg`` beside this file: classes that a mixture finds, and the species that it was not told."""

import runpy
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

EXAMPLE = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "penguins.py"))
COLORS = {"Adelie": "tab:orange", "Chinstrap": "tab:purple", "Gentoo": "tab:green"}
MARKERS = {"male": "^", "female": "o"}


def draw(path: Path) -> None:
    """Fit, and write the picture."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "pgmpy_em_ext", "font.size": 10})
    data, species = EXAMPLE["load"]()
    estimator = EXAMPLE["fit"](data)
    found = estimator.predict_proba(data)["species"].idxmax(axis=1)
    names = EXAMPLE["name_classes"](found, species)
    called, sex = found.map(names), estimator.impute(data)["sex"]
    means = EXAMPLE["means"](estimator, names)
    wrong = called != species
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, (across, up) in zip(panels, (("bill_length", "bill_depth"), ("flipper", "mass")), strict=True):
        for name, color in COLORS.items():
            for kind, marker in MARKERS.items():
                own = (called == name) & (sex == kind)
                axes.scatter(data[across][own], data[up][own], c=color, marker=marker, s=10, alpha=0.5, linewidths=0)
                mean = means.loc[(name, kind)]
                axes.plot(mean[across], mean[up], marker, color=color, markersize=9, markeredgecolor="black")
            axes.plot([], [], "s", color=color, label=f"class {name}")
        axes.plot(data[across][wrong], data[up][wrong], "o", color="black", markersize=9, fillstyle="none")
    panels[0].set(xlabel="bill length, mm", ylabel="bill depth, mm")
    panels[1].set(xlabel="flipper length, mm", ylabel="body mass, g")
    for kind, marker in MARKERS.items():
        panels[1].plot([], [], marker, color="gray", label=kind)
    panels[1].plot([], [], "o", color="black", markersize=9, fillstyle="none", label="of another species")
    panels[1].legend(frameon=False, fontsize=8, loc="upper left")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    draw(Path(__file__).with_suffix(".svg"))
