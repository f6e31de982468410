"""Three species of penguins, found without being told, and the sex of those that were not sexed.

344 penguins on the islands of the Palmer Archipelago, Antarctica: two measurements of the bill, the length of a
flipper, the body mass and the sex. Eleven were not sexed, two of them not measured either. There are three species, but
the fit does not see them: its table has no such column, and the network only says that there is a variable of three
states.

The network says: species and sex, independent of each other, shape each measurement, and a long flipper goes with
a heavy body also within a species and sex. So the network holds discrete and continuous variables, with missing
cells of both kinds. A state of the latent variable is a component of a mixture; which one is which species is only
looked up at the end, to judge the result.

How well the sex is told cannot be seen from those that were not sexed. So a second fit sees every third sex less.

Data: Horst, Hill and Gorman (2020), from the PyPI package palmerpenguins.
"""

import networkx as nx
import pandas as pd
from palmerpenguins import load_penguins
from pgmpy.base import DAG
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score

from pgmpy_em_ext import ConditionalGaussianEM

MEASUREMENTS = {
    "bill_length_mm": "bill_length",
    "bill_depth_mm": "bill_depth",
    "flipper_length_mm": "flipper",
    "body_mass_g": "mass",
}


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Read the penguins, and apart from them their species; what is missing stays missing."""
    raw = load_penguins().rename(columns=MEASUREMENTS)
    return raw[["sex", *MEASUREMENTS.values()]], raw["species"]


def draw_network() -> DAG:
    """Draw the network and declare the species latent."""
    edges = [(cause, name) for cause in ("species", "sex") for name in MEASUREMENTS.values()]
    return DAG([*edges, ("flipper", "mass")], latents={"species"})


def fit(data: pd.DataFrame) -> ConditionalGaussianEM:
    """Fit the network, from 16 starts: a mixture has several maxima."""
    estimator = ConditionalGaussianEM(latent_card={"species": 3}, seed=0, show_progress=False)
    return estimator.fit(draw_network(), data)


def name_classes(found: pd.Series, species: pd.Series) -> dict[int, str]:
    """Call each class by the species that it is, such that as many penguins as possible agree."""
    counts = pd.crosstab(found, species)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return dict(zip(counts.index[rows], counts.columns[columns], strict=True))


def means(estimator: ConditionalGaussianEM, names: dict[int, str]) -> pd.DataFrame:
    """Give the mean of each measurement in each class and sex, from pgmpy's network of the continuous variables."""
    found = {}
    for state, name in names.items():
        for sex in estimator.state_names_["sex"]:
            network = estimator.model_.to_linear_gaussian({"species": state, "sex": sex})
            mean, _ = network.to_joint_gaussian()
            found[name, sex] = pd.Series(mean, list(nx.topological_sort(network)))
    return pd.DataFrame(found).T[list(MEASUREMENTS.values())].sort_index()


def hide_sexes(data: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Hide every third of the known sexes; they are returned too."""
    hidden = data["sex"].dropna().iloc[::3]
    return data.assign(sex=data["sex"].drop(hidden.index).reindex(data.index)), hidden


def main() -> dict[str, float]:
    """Fit, compare with the species, tell the missing sexes, and see how far to believe that."""
    data, species = load()
    print(f"{len(data)} penguins. Missing:")
    print(data.isna().sum().to_string(), "\n")

    estimator = fit(data)
    print(f"EM: {estimator.n_iter_} steps, converged: {estimator.converged_}, best of {len(estimator.restarts_)} runs.")
    posterior = estimator.predict_proba(data)
    found = posterior["species"].idxmax(axis=1)
    names = name_classes(found, species)
    called = found.map(names).rename("class")
    agreement, rand = float((called == species).mean()), float(adjusted_rand_score(species, found))
    print("Each penguin in its most probable class, beside its species:")
    print(pd.crosstab(called, species).to_string())
    print(f"Share that agrees: {agreement:.3f}; adjusted Rand index: {rand:.3f}.\n")

    print("Means in each class and sex, in mm and g:")
    print(means(estimator, names).round(1).to_string(), "\n")

    print("Those that were not sexed, with the chances of either sex; two have no measurements either:")
    print(data.join(posterior["sex"].round(2), how="right").drop(columns="sex").to_string(), "\n")

    masked, hidden = hide_sexes(data)
    told = fit(masked).predict_proba(masked)["sex"].loc[hidden.index]
    right = told.idxmax(axis=1) == hidden
    sure = told.max(axis=1) > 0.9
    print(f"{len(hidden)} more sexes hidden: {right.mean():.3f} of them are told right,")
    print(f"and {right[sure].mean():.3f} of the {sure.sum()} of which the fit is sure by more than 0.9.")
    return {"agreement": agreement, "rand": rand, "sex": float(right.mean()), "sure": float(right[sure].mean())}


if __name__ == "__main__":
    main()
