"""Ten problems with latent variables, published or simulated, on which methods of maximisation are compared.

They are small, and slow for EM: what is measured on them is E-steps, not seconds.
"""

import sys
from collections.abc import Callable, Hashable
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from pgmpy.models import DiscreteBayesianNetwork

HERE = Path(__file__).resolve().parent


class LatentProblem(NamedTuple):
    """A model with latent variables, and rows with weights.

    Attributes
    ----------
    model : DiscreteBayesianNetwork
        The structure; its latents are not in the data.
    data : pandas.DataFrame
        The rows.
    weight : ndarray of shape (n_rows,)
        Records that each row stands for.
    latent_card : dict
        Number of states of each latent variable.
    state_names : dict
        States that the data need not show.
    """

    model: DiscreteBayesianNetwork
    data: pd.DataFrame
    weight: np.ndarray
    latent_card: dict[Hashable, int]
    state_names: dict[Hashable, list[Hashable]]


def read_patterns(text: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Read ``1122:5 ...``: the digits are the items' answers, the number their count."""
    words = [word.split(":") for word in text.split()]
    answers = pd.DataFrame([[int(digit) for digit in digits] for digits, _ in words])
    answers.columns = list("ABCDEFG"[: answers.shape[1]])
    return answers, np.array([float(count) for _, count in words])


CARCINOMA = (
    "1111111:34 1111211:2 1211111:6 1211112:1 1211211:4 1211212:5 2111111:2 2121212:1 2211111:2 2211112:1 "
    "2211211:2 2211212:7 2211222:1 2212112:1 2212212:2 2212222:3 2221212:13 2221222:5 2222212:10 2222222:16"
)
VALUES = (
    "1111:20 1112:2 1121:9 1122:2 1211:6 1212:1 1221:4 1222:1 2111:38 2112:7 2121:24 2122:6 2211:25 2212:6 2221:23 "
    "2222:42"
)
CHEATING = (
    "1111:207 1112:46 1121:7 1122:5 1211:13 1212:4 1221:1 1222:2 2111:10 2112:3 2121:1 2122:2 2211:11 2212:4 2221:1 "
    "2222:2"
)
"""Tables of the R package poLCA."""


def latent_class(table: str, n_classes: int) -> LatentProblem:
    """Explain all items by one latent class."""
    data, weight = read_patterns(table)
    model = DiscreteBayesianNetwork([("class", item) for item in data.columns], latents={"class"})
    return LatentProblem(model, data, weight, {"class": n_classes}, {})


def candy_bags() -> LatentProblem:
    """Two bags of sweets (Russell and Norvig, chapter 20)."""
    data = pd.DataFrame(
        product(["cherry", "lime"], ["red", "green"], ["hole", "no"]), columns=["flavour", "wrapper", "hole"]
    )
    model = DiscreteBayesianNetwork([("bag", item) for item in data.columns], latents={"bag"})
    return LatentProblem(model, data, np.array([273.0, 93, 104, 90, 79, 100, 94, 167]), {}, {})


def hidden_in(name: str, latents: list[str], n_rows: int) -> LatentProblem:
    """Draw rows from a published network and leave some variables out."""
    import common

    example = common.load(name)
    states = common.state_names(example.network)
    data = common.to_table(example.network, common.draw_codes(example, n_rows)).drop(columns=latents)
    model = common.bare_model(example.network, latents)
    return LatentProblem(model, data, np.ones(n_rows), {name: len(states[name]) for name in latents}, states)


def simulated(edges: list[tuple[str, str]], latents: set[str], cards: dict[str, int], n_rows: int) -> LatentProblem:
    """Draw a network's parameters, and rows from it."""
    import common

    from pgmpy_em_ext.arrays.network import build_network

    model = DiscreteBayesianNetwork(edges, latents=latents)
    states = {name: list(range(cards[name])) for name in model.nodes()}
    parents = {name: list(model.predecessors(name)) for name in model.nodes()}
    network = build_network(list(model.nodes()), parents, states)
    parameters = network.normalize(np.random.default_rng(1).gamma(0.6, size=network.n_cells) + 0.02)
    codes = common.draw_codes(common.Example(network, parameters, 0.0), n_rows)
    data = common.to_table(network, codes).drop(columns=list(latents))
    return LatentProblem(model, data, np.ones(n_rows), {name: cards[name] for name in latents}, states)


def latent_tree() -> LatentProblem:
    """Three latent classes under a fourth, four items each."""
    edges = [("root", f"L{branch}") for branch in range(3)]
    edges += [(f"L{branch}", f"X{branch}{item}") for branch in range(3) for item in range(4)]
    cards = {"root": 2, **{f"L{branch}": 3 for branch in range(3)}}
    cards |= {f"X{branch}{item}": 3 for branch in range(3) for item in range(4)}
    return simulated(edges, {"root", "L0", "L1", "L2"}, cards, 1000)


def latent_chain() -> LatentProblem:
    """Draw a chain of eight hidden states, each of which shows in two observations."""
    edges = [(f"H{t}", f"H{t + 1}") for t in range(7)]
    edges += [(f"H{t}", f"{kind}{t}") for t in range(8) for kind in "XY"]
    cards = {f"H{t}": 2 for t in range(8)} | {f"{kind}{t}": 3 for t in range(8) for kind in "XY"}
    return simulated(edges, {f"H{t}" for t in range(8)}, cards, 1000)


def big_five() -> LatentProblem:
    """Five traits of personality behind 25 answers (`examples/big_five.py`), with holes."""
    sys.path.insert(0, str(HERE.parent / "examples"))
    import big_five as example

    states = {item: example.ANSWERS for items in example.ITEMS.values() for item in items}
    data = example.load()
    return LatentProblem(
        example.draw_network(), data, np.ones(len(data)), dict.fromkeys(example.ITEMS, example.LEVELS), states
    )


PROBLEMS: dict[str, Callable[[], LatentProblem]] = {
    "carcinoma, 3 classes": lambda: latent_class(CARCINOMA, 3),
    "values, 2 classes": lambda: latent_class(VALUES, 2),
    "cheating, 2 classes": lambda: latent_class(CHEATING, 2),
    "candy bags": candy_bags,
    "asia, 3 hidden": lambda: hidden_in("asia", ["tub", "lung", "bronc"], 1000),
    "child, 3 hidden": lambda: hidden_in("child", ["Disease", "LungParench", "CardiacMixing"], 1000),
    "alarm, 4 hidden": lambda: hidden_in("alarm", ["HYPOVOLEMIA", "LVFAILURE", "VENTLUNG", "CATECHOL"], 2000),
    "latent tree": latent_tree,
    "latent chain": latent_chain,
    "big five": big_five,
}
