"""Random problems with latent variables, on which EM has several maxima: discrete, mixtures of normals, and mixed."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pgmpy.models import DiscreteBayesianNetwork

from pgmpy_em_ext import ConditionalGaussianEM, ConditionalGaussianNetwork, WeightedEM

LETTERS = np.array(list("abc"), dtype=object)


class HardProblem(NamedTuple):
    """A model, rows, and the estimator with its settings."""

    model: Any
    data: pd.DataFrame
    estimator: type
    settings: dict[str, Any]

    def fit(self, **settings):
        """Fit with further settings."""
        return self.estimator(show_progress=False, **self.settings, **settings).fit(self.model, self.data)


def draw_states(shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a state for each row of probabilities."""
    return (shares.cumsum(axis=1) < rng.random((len(shares), 1))).sum(axis=1).clip(max=shares.shape[1] - 1)


def draw_rows(
    rng: np.random.Generator, edges: Sequence[tuple[str, str]], cards: dict[str, int], n_rows: int
) -> dict[str, np.ndarray]:
    """Draw tables, and rows from them; ``cards`` is in topological order."""
    codes: dict[str, np.ndarray] = {}
    for name, card in cards.items():
        parents = [one for one, other in edges if other == name]
        n_columns = int(np.prod([cards[parent] for parent in parents]))
        table = rng.dirichlet([rng.choice([0.5, 1.0])] * card, size=n_columns)
        column = np.zeros(n_rows, dtype=int)
        for parent in parents:
            column = column * cards[parent] + codes[parent]
        codes[name] = draw_states(table[column], rng)
    return codes


def make_discrete(seed: int) -> HardProblem:
    """Make a latent class, two linked latents, or a tree of three, with 3 to 6 items of 2 to 5 states."""
    rng = np.random.default_rng([4, seed])
    kind = ["class", "linked", "tree"][seed % 3]
    n_items, n_rows = int(rng.integers(3, 7)), int(rng.choice([200, 500, 1000]))
    items = {f"X{i}": int(rng.integers(2, 6)) for i in range(n_items)}
    if kind == "class":
        latents, edges = ["H"], [("H", item) for item in items]
    elif kind == "linked":
        latents = ["H", "G"]
        edges = [("H", "G"), *(("H" if i % 2 else "G", item) for i, item in enumerate(items))]
    else:
        latents = ["R", "H", "G"]
        edges = [("R", "H"), ("R", "G")]
        edges += [("H" if i < n_items // 2 + 1 else "G", item) for i, item in enumerate(items)]
    cards = {latent: int(rng.integers(2, 5 if kind == "class" else 4)) for latent in latents}
    codes = draw_rows(rng, edges, cards | items, n_rows)
    data = pd.DataFrame({item: codes[item] for item in items}, dtype=object)
    if seed % 4 == 3:
        data = data.mask(rng.random(data.shape) < 0.15)
    states = {item: list(range(card)) for item, card in items.items()}
    model = DiscreteBayesianNetwork(edges, latents=set(latents))
    return HardProblem(model, data, WeightedEM, {"latent_card": cards, "state_names": states})


def make_mixture(seed: int) -> HardProblem:
    """Make a mixture of 2 to 5 normals in 1 to 4 dimensions, with or without correlations."""
    rng = np.random.default_rng([5, seed])
    n_columns, card, n_rows = int(rng.integers(1, 5)), int(rng.integers(2, 6)), int(rng.choice([150, 300, 600]))
    is_full = bool(seed % 2) and n_columns > 1
    names = [f"x{i}" for i in range(n_columns)]
    centers = rng.normal(size=(card, n_columns)) * rng.choice([1.0, 2.0, 4.0])
    member = rng.choice(card, size=n_rows, p=rng.dirichlet([2.0] * card))
    roots = rng.normal(size=(card, n_columns, n_columns)) * 0.4 + np.eye(n_columns) * 0.7
    roots = roots if is_full else roots * np.eye(n_columns)
    values = centers[member] + np.einsum("nij,nj->ni", roots[member], rng.normal(size=(n_rows, n_columns)))
    edges = [("k", name) for name in names]
    if is_full:
        edges += [(one, other) for i, one in enumerate(names) for other in names[i + 1 :]]
    data = pd.DataFrame(values, columns=names)
    if seed % 4 == 2:
        data = data.mask(rng.random(data.shape) < 0.1)
    return _mixed(edges, data, {"k": card})


def make_mixed(seed: int) -> HardProblem:
    """Make a mixture with items of both kinds, a mixture of regressions, or two linked latents with both kinds."""
    rng = np.random.default_rng([6, seed])
    card, n_rows = int(rng.integers(2, 5)), int(rng.choice([150, 300, 600]))
    kind = ["items", "regression", "linked"][seed % 3]
    member = rng.choice(card, size=n_rows, p=rng.dirichlet([2.0] * card))
    cards = {"k": card}
    if kind == "items":
        n_numbers, n_items = int(rng.integers(1, 3)), int(rng.integers(2, 4))
        columns = {}
        for i in range(n_numbers):
            mean = (rng.normal(size=card) * 2)[member]
            columns[f"x{i}"] = mean + rng.normal(size=n_rows) * (0.5 + rng.random(card))[member]
        for j in range(n_items):
            shares = rng.dirichlet([0.7] * int(rng.integers(2, 4)), size=card)
            columns[f"d{j}"] = LETTERS[draw_states(shares[member], rng)]
        edges = [("k", name) for name in columns]
    elif kind == "regression":
        n_parents = int(rng.integers(1, 4))
        x, slopes = rng.normal(size=(n_rows, n_parents)), rng.normal(size=(card, n_parents + 1)) * 2
        noise = rng.normal(size=n_rows) * (0.2 + 0.4 * rng.random(card))[member]
        y = slopes[member, 0] + (x * slopes[member, 1:]).sum(1) + noise
        columns = {f"x{i}": x[:, i] for i in range(n_parents)} | {"y": y}
        edges = [("k", "y"), *((f"x{i}", "y") for i in range(n_parents))]
    else:
        group = np.where(rng.random(n_rows) < 0.7, member % 2, rng.integers(0, 2, n_rows))
        columns = {
            "x0": (rng.normal(size=card) * 2)[member] + rng.normal(size=n_rows),
            "x1": (rng.normal(size=card) * 2)[member] + rng.normal(size=n_rows) * 0.7,
            "y0": (rng.normal(size=2) * 2)[group] + rng.normal(size=n_rows),
            "d0": LETTERS[draw_states(rng.dirichlet([0.7] * 3, size=2)[group], rng)],
        }
        edges = [("k", "g"), ("k", "x0"), ("k", "x1"), ("g", "y0"), ("g", "d0")]
        cards["g"] = 2
    data = pd.DataFrame(columns)
    if seed % 4 == 1:
        data = data.mask(rng.random(data.shape) < 0.1)
    return _mixed(edges, data, cards)


def _mixed(edges: Sequence[tuple[str, str]], data: pd.DataFrame, cards: dict[str, int]) -> HardProblem:
    """Explain data with a weak prior on variances, without which the likelihood has no bound."""
    model = ConditionalGaussianNetwork(edges, latents=set(cards))
    return HardProblem(model, data, ConditionalGaussianEM, {"latent_card": cards, "variance_prior": (2.0, 0.1)})


KINDS: dict[str, Callable[[int], HardProblem]] = {
    "discrete": make_discrete,
    "mixture": make_mixture,
    "mixed": make_mixed,
}
