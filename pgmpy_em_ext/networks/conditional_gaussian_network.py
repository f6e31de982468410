"""A Bayesian network of discrete variables and of continuous ones that are normal given their parents."""

from collections.abc import Hashable, Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
from pgmpy.base import DAG
from pgmpy.factors.discrete import TabularCPD
from pgmpy.factors.hybrid import FunctionalCPD
from pgmpy.models import LinearGaussianBayesianNetwork
from pgmpy.utils import compat_fns

from pgmpy_em_ext._tools.checks import check_integer
from pgmpy_em_ext.networks.conditional_gaussian_cpd import ConditionalGaussianCPD
from pgmpy_em_ext.networks.functional import categorical_cpd
from pgmpy_em_ext.networks.json_file import CPD, Record, read_record, write_record
from pgmpy_em_ext.types import FloatArray, IntArray

SUM_TOLERANCE = 0.01
"""How far a column of a table may be from one: pgmpy's own tolerance, since files round their numbers."""


class ConditionalGaussianNetwork(DAG):
    """A conditional Gaussian network: discrete nodes have discrete parents only, continuous nodes have any.

    Which nodes are discrete, their CPDs say: a `TabularCPD` makes a discrete node, a `ConditionalGaussianCPD` a
    continuous one. Given the discrete variables, the continuous ones are jointly normal.

    Parameters
    ----------
    ebunch : input graph, optional
        Edges, or what else pgmpy's `DAG` takes.
    latents, exposures, outcomes : set, optional
        Variables with these roles.
    roles : dict, optional
        Variables of other roles, as pgmpy's `DAG` has them.

    Attributes
    ----------
    cpds : list
        The CPDs that the model has.

    References
    ----------
    .. [1] S. L. Lauritzen, Propagation of probabilities, means and variances in mixed graphical association models,
       Journal of the American Statistical Association 87 (1992).

    Examples
    --------
    >>> from pgmpy.factors.discrete import TabularCPD
    >>> model = ConditionalGaussianNetwork([("sex", "height"), ("sex", "weight"), ("height", "weight")])
    >>> states = {"sex": ["f", "m"]}
    >>> model.add_cpds(
    ...     TabularCPD("sex", 2, [[0.5], [0.5]], state_names=states),
    ...     ConditionalGaussianCPD("height", [[167], [179]], [6, 7], [], ["sex"], states),
    ...     ConditionalGaussianCPD("weight", [[-85, 0.9], [-90, 1]], [6, 7], ["height"], ["sex"], states),
    ... )
    >>> model.check_model()
    True
    >>> model.discrete_nodes, model.continuous_nodes
    (['sex'], ['height', 'weight'])

    pgmpy goes on where the discrete variables are known:

    >>> women = model.to_linear_gaussian({"sex": "f"})
    >>> women.predict(pd.DataFrame({"height": [160.0, 170.0]})).round(3)["weight"].tolist()
    [59.0, 68.0]
    """

    def __init__(
        self,
        ebunch: Iterable[tuple[Hashable, Hashable]] | None = None,
        latents: set[Hashable] | None = None,
        exposures: set[Hashable] | None = None,
        outcomes: set[Hashable] | None = None,
        roles: dict[str, Iterable] | None = None,
    ) -> None:
        super().__init__(ebunch=ebunch, latents=latents, exposures=exposures, outcomes=outcomes, roles=roles)
        self.cpds: list[CPD] = []

    @property
    def discrete_nodes(self) -> list[Hashable]:
        """The nodes that have a `TabularCPD`, in the model's order."""
        known = self._known
        return [node for node in self.nodes() if isinstance(known.get(node), TabularCPD)]

    @property
    def continuous_nodes(self) -> list[Hashable]:
        """The nodes that have a `ConditionalGaussianCPD`, in the model's order."""
        known = self._known
        return [node for node in self.nodes() if isinstance(known.get(node), ConditionalGaussianCPD)]

    def add_cpds(self, *cpds: CPD) -> None:
        """Add CPDs; one of a variable that has a CPD takes its place.

        Parameters
        ----------
        *cpds : TabularCPD or ConditionalGaussianCPD
            They are kept as they are, not copied, as in pgmpy.

        Raises
        ------
        TypeError
            Another kind of CPD.
        ValueError
            A variable or parent that the model does not have.

        Examples
        --------
        >>> model = ConditionalGaussianNetwork([("x", "y")])
        >>> model.add_cpds(ConditionalGaussianCPD("x", [[0]], [1]), ConditionalGaussianCPD("y", [[0, 1]], [1], ["x"]))
        >>> model.check_model()
        True
        """
        for cpd in cpds:
            if not isinstance(cpd, CPD):
                raise TypeError(
                    "CPDs of a conditional Gaussian network must be TabularCPDs or ConditionalGaussianCPDs. "
                    f"Got: {type(cpd).__name__}."
                )
            unknown = [name for name in cpd.variables if name not in self]
            if unknown:
                raise ValueError(
                    f"the CPD of {cpd.variable!r} names {unknown}, which the model does not have. "
                    f"Known: {list(self.nodes())}."
                )
            self.cpds = [known for known in self.cpds if known.variable != cpd.variable] + [cpd]

    def get_cpds(self, node: Hashable | None = None) -> Any:
        """Give all CPDs, or that of one node.

        Parameters
        ----------
        node : hashable, optional
            The variable.

        Returns
        -------
        list of CPDs, or a CPD
            None where the node has no CPD.

        Raises
        ------
        ValueError
            The model has no such node.

        Examples
        --------
        >>> model = ConditionalGaussianNetwork([("x", "y")])
        >>> model.add_cpds(ConditionalGaussianCPD("y", [[0, 1]], [1], ["x"]))
        >>> model.get_cpds("y")
        <ConditionalGaussianCPD representing P(y | x)>
        """
        if node is None:
            return self.cpds
        if node not in self:
            raise ValueError(f"the model has no node {node!r}. Known: {list(self.nodes())}.")
        return next((cpd for cpd in self.cpds if cpd.variable == node), None)

    def remove_cpds(self, *cpds: CPD | Hashable) -> None:
        """Remove CPDs.

        Parameters
        ----------
        *cpds : CPDs or hashables
            CPDs, or the names of their variables.

        Raises
        ------
        ValueError
            The model has no CPD of that variable.

        Examples
        --------
        >>> model = ConditionalGaussianNetwork([("x", "y")])
        >>> model.add_cpds(ConditionalGaussianCPD("y", [[0, 1]], [1], ["x"]))
        >>> model.remove_cpds("y")
        >>> model.get_cpds()
        []
        """
        for given in cpds:
            variable = given.variable if isinstance(given, CPD) else given
            kept = [cpd for cpd in self.cpds if cpd.variable != variable]
            if len(kept) == len(self.cpds):
                raise ValueError(f"the model has no CPD of {variable!r} to remove.")
            self.cpds = kept

    def check_model(self) -> bool:
        """Check that every node has a CPD, and that CPDs and graph agree.

        Returns
        -------
        bool
            True.

        Raises
        ------
        ValueError
            A CPD is missing or has other parents than the graph gives it, a discrete node has a continuous parent, a
            CPD takes a parent for the wrong kind, CPDs name different states of a variable, a column of a table does
            not sum to one (within 0.01, as in pgmpy), or a normal distribution has numbers that are none.

        Examples
        --------
        >>> model = ConditionalGaussianNetwork([("x", "y")])
        >>> model.add_cpds(ConditionalGaussianCPD("x", [[0]], [1]))
        >>> model.check_model()
        Traceback (most recent call last):
            ...
        ValueError: the model has no CPD of ['y']: add ...
        """
        known = self._known
        stray = [variable for variable in known if variable not in self]
        if stray:
            raise ValueError(f"the model has CPDs of {stray}, which are no nodes of it. Remove them with remove_cpds.")
        missing = [node for node in self.nodes() if node not in known]
        if missing:
            raise ValueError(
                f"the model has no CPD of {missing}: add a TabularCPD or a ConditionalGaussianCPD of each with "
                "add_cpds."
            )
        for variable, cpd in known.items():
            parents = list(self.predecessors(variable))
            _check_kinds(cpd, parents, set(self.discrete_nodes), set(self.continuous_nodes))
            if set(cpd.variables[1:]) != set(parents):
                raise ValueError(
                    f"the CPD of {variable!r} has the parents {cpd.variables[1:]}, but the model gives it {parents}."
                )
            _check_states(cpd, known)
            _check_numbers(cpd)
        return True

    def to_linear_gaussian(self, evidence: Mapping[Hashable, Hashable] | None = None) -> LinearGaussianBayesianNetwork:
        """Give the continuous variables under a configuration of the discrete ones, as pgmpy's network.

        Its `predict`, `simulate` and `log_likelihood` go on from there.

        Parameters
        ----------
        evidence : mapping, optional
            A state for every discrete variable that is a parent of a continuous one; other discrete variables are
            allowed.

        Returns
        -------
        LinearGaussianBayesianNetwork
            The continuous nodes with their edges, CPDs and roles; latents remain latent.

        Raises
        ------
        ValueError
            As from `check_model`; a state is missing or unknown, or the evidence names what is no discrete variable.

        Examples
        --------
        >>> from pgmpy.factors.discrete import TabularCPD
        >>> model = ConditionalGaussianNetwork([("k", "x")])
        >>> model.add_cpds(
        ...     TabularCPD("k", 2, [[0.5], [0.5]], state_names={"k": ["a", "b"]}),
        ...     ConditionalGaussianCPD("x", [[0], [100]], [1, 2], [], ["k"], {"k": ["a", "b"]}),
        ... )
        >>> print(model.to_linear_gaussian({"k": "b"}).get_cpds("x"))
        P(x) = N(100.0; 2.0)
        """
        self.check_model()
        evidence, known = evidence or {}, self._known
        discrete, continuous = self.discrete_nodes, self.continuous_nodes
        wrong = [name for name in evidence if name not in discrete]
        if wrong:
            raise ValueError(
                f"evidence names {wrong}, which are no discrete variables of the model. Known: {discrete}."
            )
        model = LinearGaussianBayesianNetwork()
        model.add_nodes_from(continuous)
        model.add_edges_from((parent, child) for parent, child in self.edges() if parent in model and child in model)
        model.add_cpds(*(known[node].to_linear_gaussian(evidence) for node in continuous))
        for role, nodes in self.get_role_dict().items():
            model.with_role(role, [node for node in nodes if node in model], inplace=True)
        return model

    def to_functional_cpds(self) -> list[FunctionalCPD]:
        """Give all CPDs as pgmpy's `FunctionalCPD`, for `FunctionalBayesianNetwork`.

        Functional CPDs know numbers only: a discrete variable is `pyro.distributions.Categorical` over the positions
        of its states, from 0, in the order of its `TabularCPD`, and its children take these positions.

        Returns
        -------
        list of FunctionalCPD
            In the order of the nodes.

        Raises
        ------
        ImportError
            pyro is not installed.
        ValueError
            As from `check_model`.

        Examples
        --------
        With pyro installed, and torch set as pgmpy's backend:

        >>> functional = FunctionalBayesianNetwork(model.edges())  # doctest: +SKIP
        >>> functional.add_cpds(*model.to_functional_cpds())  # doctest: +SKIP
        """
        self.check_model()
        known = self._known
        return [
            categorical_cpd(cpd.variable, _probabilities(cpd).reshape(_shape(cpd)), cpd.variables[1:])
            if isinstance(cpd, TabularCPD)
            else cpd.to_functional_cpd()
            for cpd in map(known.__getitem__, self.nodes())
        ]

    def simulate(self, n_samples: int = 1000, seed: Any = None, include_latents: bool = False) -> pd.DataFrame:
        """Draw records.

        Parameters
        ----------
        n_samples : int
            How many.
        seed : int, optional
            Or what else `numpy.random.default_rng` takes. The same seed gives the same records.
        include_latents : bool
            Whether latent variables have columns too.

        Returns
        -------
        DataFrame of shape (n_samples, n_nodes)
            In the order of the nodes. Discrete columns are categoricals, whose categories are all states of the
            variable; continuous ones are floats, in the units of the variables.

        Raises
        ------
        ValueError
            As from `check_model`, or `n_samples` is below 1.

        Examples
        --------
        >>> from pgmpy.factors.discrete import TabularCPD
        >>> model = ConditionalGaussianNetwork([("k", "x")])
        >>> model.add_cpds(
        ...     TabularCPD("k", 2, [[0.5], [0.5]], state_names={"k": ["a", "b"]}),
        ...     ConditionalGaussianCPD("x", [[0], [100]], [1, 1], [], ["k"], {"k": ["a", "b"]}),
        ... )
        >>> records = model.simulate(1000, seed=0)
        >>> records.groupby("k", observed=True)["x"].mean().round().astype(int).tolist()
        [0, 100]
        """
        check_integer("n_samples", n_samples, low=1)
        self.check_model()
        rng, known = np.random.default_rng(seed), self._known
        drawn: dict[Hashable, Any] = {}  # positions of states, or values
        for node in nx.topological_sort(self):
            draw = _draw_states if isinstance(known[node], TabularCPD) else _draw_values
            drawn[node] = draw(known[node], drawn, n_samples, rng)
        shown = [node for node in self.nodes() if include_latents or node not in self.latents]
        columns = [_name_states(known[node], drawn[node]) for node in shown]
        frame = pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(n_samples))
        return frame.set_axis(pd.Index(shown, tupleize_cols=False), axis=1)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model to a JSON file: nodes, edges, roles, latents among them, and CPDs.

        All digits of floats are kept, and the types of names and states: texts, integers, floats, booleans, and tuples
        of these. Weights of edges are not written.

        Parameters
        ----------
        path : path
            Where to; an existing file is replaced. One that ends with ``.gz`` is packed.

        Raises
        ------
        TypeError
            A name or state is of another type.
        ValueError
            As from `check_model`.
        OSError
            The file cannot be written.
        """
        self.check_model()
        record = Record(list(self.nodes()), list(self.edges()), self.get_role_dict(), self.cpds)
        write_record(Path(path), record)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "ConditionalGaussianNetwork":
        """Read a model that `save` has written.

        Parameters
        ----------
        path : path
            The file.

        Raises
        ------
        OSError
            The file cannot be opened.
        ValueError
            It is another kind of file, of a later version, or damaged.

        Examples
        --------
        >>> import tempfile
        >>> model = ConditionalGaussianNetwork()
        >>> model.add_node("x")
        >>> model.add_cpds(ConditionalGaussianCPD("x", [[0.1]], [1]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/model.json")
        ...     ConditionalGaussianNetwork.load(f"{folder}/model.json") == model
        True
        """
        record = read_record(Path(path))
        model = cls()
        try:
            model._fill(record)
            model.check_model()
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path} is damaged: {type(error).__name__}: {error}") from error
        return model

    def copy(self) -> "ConditionalGaussianNetwork":
        """Copy, CPDs and all.

        Examples
        --------
        >>> model = ConditionalGaussianNetwork([("x", "y")], latents={"x"})
        >>> model.copy() == model
        True
        """
        copy = type(self)()
        cpds = [cpd.copy() for cpd in self.cpds]
        copy._fill(Record(list(self.nodes()), list(self.edges()), self.get_role_dict(), cpds))
        return copy

    def __eq__(self, other: object) -> bool:
        """Compare graphs, roles, and CPDs within numpy's tolerance."""
        if not isinstance(other, ConditionalGaussianNetwork) or not super().__eq__(other):
            return False
        return self._known == other._known

    __hash__ = DAG.__hash__

    @property
    def _known(self) -> dict[Hashable, CPD]:
        """The CPDs by variable."""
        return {cpd.variable: cpd for cpd in self.cpds}

    def _fill(self, record: Record) -> None:
        """Put nodes, edges, roles and CPDs into an empty model."""
        self.add_nodes_from(record.nodes)
        self.add_edges_from(record.edges)
        self._check_cycles()
        for role, nodes in record.roles.items():
            self.with_role(role, nodes, inplace=True)
        self.add_cpds(*record.cpds)


def _check_kinds(cpd: CPD, parents: list[Hashable], discrete: set[Hashable], continuous: set[Hashable]) -> None:
    """Check that the graph, and the CPD, have parents of the kinds that they may have."""
    if isinstance(cpd, TabularCPD):
        wrong = [parent for parent in [*parents, *cpd.variables[1:]] if parent in continuous]
        if wrong:
            raise ValueError(
                f"the discrete variable {cpd.variable!r} has the continuous parent {wrong[0]!r}, which a conditional "
                "Gaussian network does not allow. Turn the edge around, or give one of them a CPD of the other kind."
            )
        return
    for parent in cpd.evidence:
        if parent in discrete:
            raise ValueError(
                f"the CPD of {cpd.variable!r} has {parent!r} in evidence, for continuous parents, but {parent!r} has "
                "a TabularCPD. Name it in discrete_evidence."
            )
    for parent in cpd.discrete_evidence:
        if parent in continuous:
            raise ValueError(
                f"the CPD of {cpd.variable!r} has {parent!r} in discrete_evidence, but {parent!r} has a "
                "ConditionalGaussianCPD. Name it in evidence."
            )


def _check_states(cpd: CPD, known: Mapping[Hashable, CPD]) -> None:
    """Check that a CPD has the same states of its discrete variables as their own CPDs, in the same order."""
    names = cpd.variables if isinstance(cpd, TabularCPD) else cpd.discrete_evidence
    for name in names:
        own, here = _states(known[name], name), _states(cpd, name)
        if own != here:
            raise ValueError(
                f"the CPD of {cpd.variable!r} has the states {here} of {name!r}, but its own CPD has {own}. Give both "
                "the same, in the same order."
            )


def _states(cpd: CPD, name: Hashable) -> list[Hashable]:
    """Give the states of a variable in a CPD; none where pgmpy was given names for some variables only."""
    return list(cpd.state_names.get(name, ()))


def _check_numbers(cpd: CPD) -> None:
    """Check that a CPD holds distributions."""
    if isinstance(cpd, ConditionalGaussianCPD):
        if not cpd.is_valid_cpd():
            raise ValueError(
                f"the CPD of {cpd.variable!r} has a coefficient that is not finite, or a standard deviation that is "
                "not positive."
            )
        return
    if _shape(cpd) != (*cpd.cardinality[1:].tolist(), int(cpd.cardinality[0])):
        raise ValueError(
            f"the CPD of {cpd.variable!r} has state_names for {_shape(cpd)} states of its parents and itself, but its "
            f"table has {(*cpd.cardinality[1:].tolist(), int(cpd.cardinality[0]))}."
        )
    sums = np.asarray(compat_fns.to_numpy(cpd.get_values()), dtype=float).sum(axis=0)
    wrong = sums[~(np.abs(sums - 1) <= SUM_TOLERANCE)]
    if len(wrong):
        raise ValueError(f"a column of the CPD of {cpd.variable!r} sums to {wrong[0]:.6g}; every column must sum to 1.")


def _shape(cpd: TabularCPD) -> tuple[int, ...]:
    """Give the number of states of each parent, then of the child."""
    return tuple(len(_states(cpd, name)) for name in [*cpd.variables[1:], cpd.variable])


def _probabilities(cpd: TabularCPD) -> FloatArray:
    """Give a table with a row for each configuration of the parents, scaled to sum to exactly one."""
    table = np.asarray(compat_fns.to_numpy(cpd.get_values()), dtype=float).T
    return table / table.sum(axis=1, keepdims=True)


def _rows_of(
    parents: list[Hashable], shape: tuple[int, ...], drawn: Mapping[Hashable, Any], n_samples: int
) -> IntArray:
    """Find the row of a CPD for each record: the number of its configuration of the discrete parents."""
    if not parents:
        return np.zeros(n_samples, dtype=np.intp)
    return np.ravel_multi_index([drawn[parent] for parent in parents], shape)


def _draw_states(cpd: TabularCPD, drawn: Mapping[Hashable, Any], n_samples: int, rng: np.random.Generator) -> IntArray:
    """Draw positions of states, given those of the parents."""
    rows = _rows_of(cpd.variables[1:], _shape(cpd)[:-1], drawn, n_samples)
    cumulative = np.cumsum(_probabilities(cpd), axis=1)
    cumulative /= cumulative[:, -1:]  # exactly one, so that no last state of probability zero is drawn
    uniform, states = rng.random(n_samples), np.zeros(n_samples, dtype=np.intp)
    for bound in cumulative.T[:-1]:  # state by state: a table of records and states could be large
        states += uniform >= bound[rows]
    return states


def _draw_values(
    cpd: ConditionalGaussianCPD, drawn: Mapping[Hashable, Any], n_samples: int, rng: np.random.Generator
) -> FloatArray:
    """Draw values of a continuous variable, given those of the parents."""
    rows = _rows_of(cpd.discrete_evidence, cpd.cardinalities, drawn, n_samples)
    values = cpd.beta[rows, 0] + cpd.std[rows] * rng.standard_normal(n_samples)
    for column, parent in enumerate(cpd.evidence, start=1):
        values += cpd.beta[rows, column] * drawn[parent]
    return values


def _name_states(cpd: CPD, drawn: Any) -> Any:
    """Turn positions of states into a categorical; values of continuous variables remain.

    States of several types are kept as objects: pandas would make floats or texts of all of them.
    """
    if not isinstance(cpd, TabularCPD):
        return drawn
    states = list(cpd.state_names[cpd.variable])
    dtype = None if len({type(state) for state in states}) == 1 else object
    return pd.Categorical.from_codes(drawn, categories=pd.Index(states, dtype=dtype, tupleize_cols=False))
