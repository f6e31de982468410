"""Lists of CPD columns that are named on demand, and the sizes up to which a fit makes them."""

import copy
import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pgmpy.base import DAG
from pgmpy.models import DiscreteBayesianNetwork

from pgmpy_em_ext import ConditionalGaussianEM, CPDColumn, MemoryBudgetError, WeightedEM
from pgmpy_em_ext.arrays.columns import ColumnGroup, ColumnList
from pgmpy_em_ext.arrays.network import build_network

STATES = {"A": ("x", "y"), "B": (0, 1, 2), "C": ("u", ("v", 1))}


def all_columns(variable, parents):
    """Name all configurations in plain Python, the first parent slowest."""
    return [
        CPDColumn(variable, dict(zip(parents, states, strict=True)))
        for states in itertools.product(*(STATES[parent] for parent in parents))
    ]


@st.composite
def lists(draw):
    """A list of columns, lazy and plain."""
    groups, plain = [], []
    for variable, parents in (("D", ("A", "B")), ("E", ()), ("F", ("C", "B", "A"))):
        every = all_columns(variable, parents)
        chosen = sorted(draw(st.sets(st.integers(0, len(every) - 1))))
        states = tuple(STATES[parent] for parent in parents)
        groups.append(ColumnGroup(variable, parents, states, np.array(chosen, dtype=np.int64)))
        plain += [every[position] for position in chosen]
    return ColumnList(groups), plain


class TestAsAList:
    @given(pair=lists(), data=st.data())
    def test_whatever_is_asked(self, pair, data):
        lazy, plain = pair
        assert list(lazy) == plain
        assert (len(lazy), bool(lazy)) == (len(plain), bool(plain))
        assert lazy == plain == lazy
        assert lazy == copy.deepcopy(lazy) == pickle.loads(pickle.dumps(lazy))
        cut = data.draw(st.slices(len(plain)))
        assert lazy[cut] == plain[cut]
        assert list(reversed(lazy)) == plain[::-1]
        assert lazy + lazy[cut] == plain + plain[cut]
        for position, column in enumerate(plain):
            assert lazy[position] == lazy[position - len(plain)] == column
            assert lazy.index(column) == position
            assert column in lazy

    def test_equality(self):
        lazy = ColumnList([ColumnGroup("D", ("A",), (STATES["A"],), np.arange(2))])
        assert lazy != all_columns("D", ["A"])[:1]
        assert lazy != all_columns("D", ["A"])[::-1]
        assert lazy != "D"
        assert ColumnList() == []
        with pytest.raises(TypeError, match="unhashable"):
            hash(lazy)

    def test_beyond_the_end(self):
        with pytest.raises(IndexError):
            ColumnList()[0]

    def test_its_text_is_short(self):
        assert repr(ColumnList()) == "[]"
        assert repr(ColumnList([ColumnGroup("E", (), (), np.arange(1))])) == "[CPDColumn(variable='E', parents={})]"
        many = ColumnList([ColumnGroup("D", ("A",), (tuple(range(2_000_000)),), np.arange(2_000_000))])
        first = ", ".join(f"CPDColumn(variable='D', parents={{'A': {state}}})" for state in range(3))
        assert repr(many) == f"[{first}, ... 2,000,000 columns in all]"

    def test_columns_of_a_network(self):
        network = build_network("ABCF", {"F": "CBA", "B": "A"}, STATES | {"F": (0, 1)})
        every = [
            column for name, parents in (("A", ""), ("B", "A"), ("C", "")) for column in all_columns(name, parents)
        ]
        assert network.name_columns(np.arange(len(network.column_starts))) == every + all_columns("F", "ABC")
        assert network.name_columns(np.array([2, 5])) == [every[2], all_columns("F", "ABC")[1]]


def table(n_parents, n_rows=60):
    rng = np.random.default_rng(0)
    data = pd.DataFrame(rng.integers(0, 2, (n_rows, n_parents)), columns=[f"p{i:02}" for i in range(n_parents)])
    data.loc[:1] = [[0], [1]]  # each has both states
    return data.assign(y=rng.integers(0, 2, n_rows), x=rng.normal(size=n_rows))


def star(data, child):
    return [(name, child) for name in data.columns[:-2]]


@pytest.fixture
def _unnamed(monkeypatch):
    """No column may be named while a fit is made."""

    def refuse(*_):
        raise AssertionError("columns were named that nobody asked for")

    monkeypatch.setattr(ColumnGroup, "name", refuse)


class TestManyParents:
    @pytest.mark.usefixtures("_unnamed")
    def test_no_column_is_named_by_a_fit(self):
        data = table(14)
        found = WeightedEM(show_progress=False).fit(DiscreteBayesianNetwork(star(data, "y")), data)
        n_seen = len(data.drop(columns=["x", "y"]).drop_duplicates())
        assert len(found.unidentified_rows_) == 2**14 - n_seen

    def test_regressions(self):
        """Time was quadratic in the configurations: half an hour for these 2**14."""
        data = table(14)
        names = list(data.columns[:-2])
        with pytest.warns(UserWarning, match="is at its floor"):  # one row each
            found = ConditionalGaussianEM(discrete=names, show_progress=False).fit(DAG(star(data, "x")), data)
        seen = set(data[names].itertuples(index=False, name=None))
        unseen = [tuple(column.parents.values()) for column in found.unidentified_rows_]
        assert len(unseen) == 2**14 - len(seen)
        assert sorted([*unseen, *seen]) == list(itertools.product([0, 1], repeat=14))
        assert {tuple(column.parents.values()) for column in found.floored_} <= seen


class TestLimits:
    """More than can be kept is refused by name, before anything of that size is made."""

    @pytest.mark.parametrize("n_parents", [23, 30, 61, 62, 64])
    def test_regressions(self, n_parents):
        data = table(n_parents, 3)
        names = list(data.columns[:-2])
        message = (
            rf"the continuous variable 'x' has {2**n_parents:,} configurations of its discrete parents \['p00', .*\], "
            f"which take {3 * 2**n_parents:,} sums of products with its 0 continuous ones, more than the 16,777,216"
        )
        with pytest.raises(MemoryBudgetError, match=message):
            ConditionalGaussianEM(discrete=names).fit(DAG(star(data, "x")), data)

    @pytest.mark.parametrize("n_parents", [24, 30, 61, 62, 64])
    def test_tables(self, n_parents):
        data = table(n_parents, 3)
        message = rf"the CPD of 'y' given \['p00', .*\] has {2 ** (n_parents + 1):,} entries, more than the 16,777,216"
        with pytest.raises(MemoryBudgetError, match=message):
            WeightedEM().fit(DiscreteBayesianNetwork(star(data, "y")), data)
        names = [name for name in data.columns if name != "x"]
        with pytest.raises(MemoryBudgetError, match=message):
            ConditionalGaussianEM(discrete=names).fit(DAG(star(data, "y")), data)

    @pytest.mark.parametrize("n_parents", [62, 63])
    def test_parents_of_one_state(self, n_parents):
        data = table(n_parents, 8) * ([0] * n_parents + [1, 1])
        estimator = ConditionalGaussianEM(discrete=list(data.columns[:-2]), show_progress=False)
        if n_parents == 62:
            assert estimator.fit(DAG(star(data, "x")), data).converged_
            return
        with pytest.raises(MemoryBudgetError, match="'x' has 63 parents, more than the 62 that are supported"):
            estimator.fit(DAG(star(data, "x")), data)
