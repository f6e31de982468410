"""The command line with continuous variables."""

import numpy as np
import pandas as pd
import pytest
from pgmpy.base import DAG
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DiscreteBayesianNetwork
from test_cli import fail, same_cpds, succeed, summary

from pgmpy_em_ext import ConditionalGaussianCPD, ConditionalGaussianEM, ConditionalGaussianNetwork, WeightedEM
from pgmpy_em_ext.io.networks import read_edges, read_network, write_network
from pgmpy_em_ext.io.tables import keep_texts, read_numbers

SEX = {"Sex": ["f", "m"]}


def people():
    """Sex -> Weight, Sex -> Height -> Weight."""
    model = ConditionalGaussianNetwork([("Sex", "Weight"), ("Sex", "Height"), ("Height", "Weight")])
    model.add_cpds(
        TabularCPD("Sex", 2, [[0.5], [0.5]], state_names=SEX),
        ConditionalGaussianCPD("Height", [[167], [179]], [6, 7], [], ["Sex"], SEX),
        ConditionalGaussianCPD("Weight", [[-85, 0.9], [-90, 1]], [6, 7.5], ["Height"], ["Sex"], SEX),
    )
    return model


@pytest.fixture
def rows():
    data = people().simulate(120, seed=1).astype({"Sex": object}).round(2)
    rng = np.random.default_rng(2)
    return data.mask(rng.random(data.shape) < 0.15)


@pytest.fixture
def table(tmp_path, rows):
    path = tmp_path / "rows.csv"
    rows.to_csv(path, index=False, na_rep="NA")
    return path


@pytest.fixture
def network(tmp_path):
    people().save(tmp_path / "people.json")
    return tmp_path / "people.json"


@pytest.fixture
def edges(tmp_path):
    path = tmp_path / "edges.csv"
    path.write_text("parent,child\nSex,Weight\nSex,Height\nHeight,Weight\n")
    return path


@pytest.fixture
def forbidden(monkeypatch):
    """No fit may begin."""
    for kind in (ConditionalGaussianEM, WeightedEM):
        monkeypatch.setattr(kind, "fit", lambda *_, **__: pytest.fail("fitted before the check"))


class TestFromModel:
    @pytest.mark.parametrize("shift", [0, 1e6])
    def test_scores_as_the_fit_does(self, rows, shift):
        data = rows.assign(Height=rows["Height"] + shift)
        fitted = ConditionalGaussianEM(seed=0).fit(people(), data)
        again = ConditionalGaussianEM.from_model(fitted.model_)
        np.testing.assert_allclose(again.score_samples(data), fitted.score_samples(data), atol=1e-7)
        np.testing.assert_allclose(again.predict_proba(data)["Sex"], fitted.predict_proba(data)["Sex"], atol=1e-7)
        pd.testing.assert_frame_equal(again.impute(data), fitted.impute(data), rtol=1e-9)
        assert again.model_ == fitted.model_
        assert again.state_names_ == fitted.state_names_
        assert not hasattr(again, "log_likelihood_")

    def test_latent_variables_of_both_kinds(self, rows):
        model = DAG([("k", "f"), ("f", "Height"), ("f", "Weight"), ("k", "Weight")], latents={"k", "f"})
        fitted = ConditionalGaussianEM(seed=0, n_init=1, max_iter=20, tol=1e9).fit(model, rows)
        again = ConditionalGaussianEM.from_model(fitted.model_)
        np.testing.assert_allclose(again.score_samples(rows), fitted.score_samples(rows), atol=1e-8)

    def test_other_models(self):
        with pytest.raises(TypeError, match=r"model must be a ConditionalGaussianNetwork. Got: DAG."):
            ConditionalGaussianEM.from_model(DAG([("a", "b")]))
        with pytest.raises(ValueError, match=r"the model has no CPD of \['a', 'b'\]"):
            ConditionalGaussianEM.from_model(ConditionalGaussianNetwork([("a", "b")]))


class TestFit:
    @pytest.mark.parametrize("structure", ["network", "edges"])
    def test_equals_the_estimator(self, structure, request, table, rows, tmp_path):
        output = tmp_path / "fitted.json.gz"
        arguments = ["--network", request.getfixturevalue(structure), "--data", table, "--output", output]
        result = succeed("fit", *arguments, "--prior", "K2", "--seed", 3)
        expected = ConditionalGaussianEM(prior="K2", seed=3).fit(people(), rows)
        assert ConditionalGaussianNetwork.load(output) == expected.model_
        told = {label: text.strip() for label, text in summary(result).items()}
        assert told["rows"] == "120"
        assert told["discrete"] == "Sex"
        assert sorted(told["continuous"].split(", ")) == ["Height", "Weight"]
        assert told["holes"] == str(int(rows.isna().sum().sum()))
        assert told["runs"] == "1"
        assert float(told["log-likelihood"]) == pytest.approx(expected.log_likelihood_, abs=1e-5)
        assert float(told["BIC"]) == pytest.approx(expected.bic_, abs=1e-5)
        assert told["written"] == str(output)
        assert result.stderr.startswith("pgmpy-em: note: read as missing: 'NA' in Sex (19), Weight (15), Height (17). ")
        assert len(result.stderr.splitlines()) == 1

    def test_mixture(self, rows, tmp_path):
        structure, data, output = tmp_path / "k.tsv", tmp_path / "d.tsv", tmp_path / "f.json"
        structure.write_text("parent\tchild\nk\tHeight\n")
        rows.assign(Note="x")[["Height", "Note"]].to_csv(data, sep="\t", index=False)
        arguments = ["fit", "--network", structure, "--data", data, "--output", output]
        result = succeed(*arguments, "--latent", "k=3", "--restarts", 2, "--jobs", 2, "--max-iter", 50, "--tol", 0.1)
        fitted = ConditionalGaussianNetwork.load(output)
        assert fitted.latents == {"k"}
        assert len(fitted.get_cpds("Height").std) == 3
        told = {label: text.strip() for label, text in summary(result).items()}
        assert told["ignored columns"] == "Note"
        assert told["holes"] == str(int(rows["Height"].isna().sum()))
        assert told["runs"].startswith("2")
        first = output.read_bytes()
        succeed(*arguments, "--latent", "k=3", "--restarts", 2, "--max-iter", 50, "--tol", 0.1)
        assert output.read_bytes() == first
        # The file says that k is latent, and of how many states.
        again = tmp_path / "again.json"
        succeed("fit", "--network", output, "--data", data, "--output", again, "--init", "model", "--max-iter", 0)
        assert ConditionalGaussianNetwork.load(again) == fitted
        succeed("fit", "--network", output, "--data", data, "--output", again, "--latent", "k=2", "--restarts", 1)
        assert len(ConditionalGaussianNetwork.load(again).get_cpds("Height").std) == 2
        rows.assign(k=1).to_csv(data, sep="\t", index=False)
        message = "Drop the column, or leave out its --latent, unless the network's file calls it latent."
        fail(message, "fit", "--network", output, "--data", data, "--output", again)

    def test_continuous_latent(self, tmp_path, rows):
        structure, output = tmp_path / "f.csv", tmp_path / "f.json"
        structure.write_text("parent,child\nf,Height\nf,Weight\n")
        data = tmp_path / "d.csv"
        rows.to_csv(data, index=False)
        arguments = ["fit", "--network", structure, "--data", data, "--output", output, "--latent"]
        succeed(*arguments, "f", "--continuous", "f", "--restarts", 1, "--quiet")
        assert ConditionalGaussianNetwork.load(output).continuous_nodes == ["f", "Height", "Weight"]
        succeed(*arguments, "f", "--restarts", 1, "--quiet")
        assert ConditionalGaussianNetwork.load(output).discrete_nodes == ["f"]
        message = "--latent f=2: 'f' is continuous, and has no states."
        fail(message, *arguments, "f=2", "--continuous", "f")

    def test_weights(self, network, rows, tmp_path):
        weighted, repeated = tmp_path / "w.csv", tmp_path / "r.csv"
        times = np.arange(len(rows)) % 4
        rows.assign(times=times).to_csv(weighted, index=False)
        rows.loc[rows.index.repeat(times)].to_csv(repeated, index=False)
        arguments = ["fit", "--network", network, "--output"]
        result = succeed(*arguments, tmp_path / "a.json", "--data", weighted, "--weights", "times")
        assert summary(result)["rows"].strip() == f"120 (weights: {times.sum()})"
        assert summary(result)["holes"].strip() == str(int(rows[times > 0].isna().sum().sum()))
        succeed(*arguments, tmp_path / "b.json", "--data", repeated)
        assert ConditionalGaussianNetwork.load(tmp_path / "a.json") == ConditionalGaussianNetwork.load(
            tmp_path / "b.json"
        )

    def test_empty_column_and_floor(self, edges, tmp_path):
        data = tmp_path / "d.csv"
        data.write_text("Sex,Height,Weight\nf,1,\nf,2,\nm,5,\nm,5,\n")
        output = tmp_path / "f.json"
        result = succeed("fit", "--network", edges, "--data", data, "--output", output, "--continuous", "Weight")
        assert summary(result)["empty columns"].strip() == "Weight (taken as latent)"
        assert "variances: Height | Sex=m" in summary(result)["at their floor"]
        assert "Height' given Sex=m is at its floor" in result.stderr
        assert "or give a --variance-prior, such as 1:0.08, or another --variance-floor." in result.stderr
        arguments = "fit", "--network", edges, "--data", data, "--continuous", "Weight", "--output"
        result = succeed(*arguments, tmp_path / "p.json", "--variance-prior", "1:0.01")
        assert "at their floor" not in summary(result)
        assert result.stderr == ""
        # Two rows of f at a distance of 1, whose variance is a quarter: (2 * 0.25 + 2 * 0.01 s) / (2 + 2 * 2)
        whole = np.var([1, 2, 5, 5])
        model = ConditionalGaussianNetwork.load(tmp_path / "p.json")
        assert model.get_cpds("Height").std[0] ** 2 == pytest.approx((0.5 + 0.02 * whole) / 6)
        succeed(*arguments, tmp_path / "r.json", "--ridge", "2", "--variance-floor", "0.1")
        model = ConditionalGaussianNetwork.load(tmp_path / "r.json")
        assert model.get_cpds("Height").std[1] ** 2 == pytest.approx(0.1 * whole)

    def test_kinds_that_the_user_says(self, edges, network, rows, tmp_path):
        data, output = tmp_path / "d.csv", tmp_path / "f.json"
        coded = rows.assign(Sex=rows["Sex"].map({"f": 0, "m": 1}).astype("Int64"))
        coded.to_csv(data, index=False)
        arguments = ["fit", "--data", data, "--output", output, "--quiet", "--network"]
        succeed(*arguments, edges)  # codes look like numbers
        assert ConditionalGaussianNetwork.load(output).discrete_nodes == []
        succeed(*arguments, edges, "--discrete", "Sex")
        assert ConditionalGaussianNetwork.load(output).get_cpds("Sex").state_names["Sex"] == ["0", "1"]
        succeed(*arguments, network, "--continuous", "Sex")
        assert ConditionalGaussianNetwork.load(output).discrete_nodes == []
        message = "--init model needs a CPD of every variable, but the network's file has none for ['Sex']."
        fail(message, *arguments, network, "--continuous", "Sex", "--init", "model")
        message = "'Sex' is named by both --discrete and --continuous. Leave one out."
        fail(message, *arguments, edges, "--discrete", "Sex", "--continuous", "Sex")
        fail("--discrete Age: ", *arguments, edges, "--discrete", "Age")
        fail(
            "say --discrete Sex; if 'Weight' is a number, say --continuous Weight; else turn the edge round",
            *(*arguments, edges, "--discrete", "Weight"),
        )

    def test_a_bif_file_is_discrete_unless_the_user_says_otherwise(self, tmp_path):
        structure, data = tmp_path / "n.xdsl", tmp_path / "d.csv"
        cpds = [
            TabularCPD("A", 2, [[0.5], [0.5]], state_names={"A": ["1", "2"]}),
            TabularCPD("B", 2, [[0.5, 0.4], [0.5, 0.6]], ["A"], [2], state_names={"B": ["1", "2"], "A": ["1", "2"]}),
        ]
        write_network(structure, cpds)
        data.write_text("A,B\n1,1\n1,2\n2,2\n2,?\n1,2\n2,1\n")
        arguments = ["fit", "--network", structure, "--data", data, "--output"]
        succeed(*arguments, tmp_path / "f.xdsl")
        succeed(*arguments, tmp_path / "d.json")
        model = ConditionalGaussianNetwork.load(tmp_path / "d.json")
        assert model.continuous_nodes == []
        assert same_cpds(read_network(tmp_path / "f.xdsl"), model.get_cpds())
        succeed(*arguments, tmp_path / "c.json", "--continuous", "B")
        model = ConditionalGaussianNetwork.load(tmp_path / "c.json")
        assert model.continuous_nodes == ["B"]
        assert model.get_cpds("A").state_names["A"] == ["1", "2"]

    def test_discrete_networks_in_the_new_files(self, tmp_path):
        structure, data, fitted = tmp_path / "e.csv", tmp_path / "d.csv", tmp_path / "f.json"
        structure.write_text("parent,child\nA,B\nC,\n")
        data.write_text("A,B,C\nx,u,1a\ny,v,2b\nx,?,1a\ny,u,\n")
        succeed("fit", "--network", structure, "--data", data, "--output", fitted, "--tol", 1e-6)
        assert ConditionalGaussianNetwork.load(fitted).discrete_nodes == ["A", "B", "C"]
        succeed("fit", "--network", structure, "--data", data, "--output", tmp_path / "f.xdsl", "--tol", 1e-6)
        assert set(read_network(tmp_path / "f.xdsl").edges()) == {("A", "B")}
        one = succeed("score", "--network", fitted, "--data", data).stdout
        assert one == succeed("score", "--network", tmp_path / "f.xdsl", "--data", data).stdout
        succeed("impute", "--network", fitted, "--data", data, "--output", tmp_path / "i.csv")
        assert "?" not in (tmp_path / "i.csv").read_text()
        message = "'mean' is not one of 'mode', 'sample' where all variables are discrete."
        fail(message, *("impute", "--network", fitted, "--data", data, "--output", tmp_path / "i.csv", "--how", "mean"))
        fail("the model has no CPD of ['A', 'B', 'C']", "score", "--network", structure, "--data", data)

    @pytest.mark.usefixtures("forbidden")
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--e-step", "enumeration"], "--e-step enumeration: with continuous variables only exact is known."),
            (["--e-step", "sampled"], "--e-step sampled: with continuous variables only exact is known."),
            (
                ["--init", "prior"],
                "--init prior: with continuous variables known are kmeans++, random_from_data, lines, random, ",
            ),
            (["--prior", "Jeffreys"], "--prior 'Jeffreys' is unknown."),
            (
                ["--variance-prior", "1"],
                "--variance-prior 1: two numbers are needed, shape and scale. Write them as in",
            ),
            (["--latent", "Age"], "has no node 'Age'. Known: ['Sex', 'Weight', 'Height']"),
            (["--continuous", "Age"], "has no node 'Age'. Known: ['Sex', 'Weight', 'Height']"),
            (["--weights", "Weight"], "'Weight' cannot hold the weights: it is a variable of the network"),
        ],
    )
    def test_options(self, network, table, tmp_path, arguments, message):
        fail(message, "fit", "--network", network, "--data", table, "--output", tmp_path / "f.json", *arguments)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--variance-prior", "1:-1"], "--variance-prior's scale must be a number > 0. Got: -1.0."),
            (["--variance-floor", "1e-20"], "--variance-floor must be at least 1e-12: smaller ones are lost"),
            (["--ridge", "-1"], "--ridge must be a number >= 0. Got: -1.0."),
        ],
    )
    def test_options_that_fit_checks(self, network, table, tmp_path, arguments, message):
        fail(message, "fit", "--network", network, "--data", table, "--output", tmp_path / "f.json", *arguments)
        assert not (tmp_path / "f.json").exists()

    @pytest.mark.usefixtures("forbidden")
    def test_prior_without_tables(self, tmp_path, table):
        structure = tmp_path / "e.csv"
        structure.write_text("parent,child\nHeight,Weight\n")
        arguments = ["--network", structure, "--data", table, "--output", tmp_path / "f.json", "--prior", "K2"]
        fail("--prior K2 is for discrete variables, and the network has none. Leave it out.", "fit", *arguments)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--restarts", "0"], "--restarts must be an integer >= 1, or None. Got: 0."),
            (["--jobs", "0"], "--jobs must be an integer other than 0"),
            (["--tol", "-1"], "--tol must be a number >= 0. Got: -1.0."),
        ],
    )
    def test_numbers(self, network, table, tmp_path, arguments, message):
        fail(message, "fit", "--network", network, "--data", table, "--output", tmp_path / "f.json", *arguments)

    @pytest.mark.usefixtures("forbidden")
    def test_output_is_checked_first(self, network, edges, table, tmp_path):
        arguments = ["fit", "--data", table, "--output"]
        for structure in (network, edges):
            message = "f.bif cannot hold the continuous variables ['Weight', 'Height']: BIF is for discrete ones. "
            fail(message + "Choose the ending .json.", *arguments, tmp_path / "f.bif", "--network", structure)
            message = "With continuous variables: .json. To be read only, a list of edges: .csv, .tsv."
            fail(message, *arguments, tmp_path / "f.csv", "--network", structure)

    @pytest.mark.usefixtures("forbidden")
    @pytest.mark.parametrize(
        ("cell", "arguments", "message"),
        [
            ("heavy", [], "column 'Weight', row 1 (counting from 0): 'heavy' is no number. Correct the cell"),
            ("1,5", [], "column 'Weight', row 1 (counting from 0): '1,5' is no number. Correct the cell"),
            ("NaN", ["--missing", "?"], "column 'Weight', row 1 (counting from 0): 'NaN' is no number."),
        ],
    )
    def test_texts_among_numbers(self, network, edges, tmp_path, cell, arguments, message):
        data = tmp_path / "d.csv"
        data.write_text(f'Sex,Height,Weight\nf,170,60\nm,180,"{cell}"\n')
        arguments = ["fit", "--data", data, "--output", tmp_path / "f.json", *arguments, "--network"]
        fail(message, *arguments, network)
        fail(
            f"{cell!r} is no number, as others in this column are. Correct the cell, or say --discrete Weight.",
            *(*arguments, edges),
        )

    def test_an_infinite_number(self, network, tmp_path):
        data = tmp_path / "d.csv"
        data.write_text("Sex,Height,Weight\nf,170,60\nm,180,inf\n")
        message = "column 'Weight' has the value inf in row 1 (counting from 0)."
        fail(message, "fit", "--network", network, "--data", data, "--output", tmp_path / "f.json")
        fail(message, "score", "--network", network, "--data", data)


class TestImputeAndScore:
    @pytest.mark.parametrize("how", [[], ["--how", "mode"], ["--how", "mean"], ["--how", "sample", "--seed", 4]])
    def test_impute(self, network, table, rows, tmp_path, how):
        output = tmp_path / "filled.csv"
        result = succeed("impute", "--network", network, "--data", table, "--output", output, *how)
        way = "sample" if "sample" in how else "mean"
        expected = ConditionalGaussianEM.from_model(people()).impute(rows, way, seed=4)
        filled = pd.read_csv(output)
        pd.testing.assert_frame_equal(filled, expected, check_dtype=False, rtol=1e-12)
        assert summary(result)["cells filled"].strip() == str(int(rows.isna().sum().sum()))

    def test_other_columns_and_observed_numbers_stay(self, network, tmp_path):
        data, output = tmp_path / "d.csv", tmp_path / "f.csv"
        data.write_text("id,Sex,Weight\n007,f,1.50e1\nNA,m,\n,?,70.0\n")
        result = succeed("impute", "--network", network, "--data", data, "--output", output)
        lines = output.read_text().splitlines()
        assert lines[:2] == ["id,Sex,Weight", "007,f,1.50e1"]
        assert lines[2].startswith("NA,m,8")
        assert lines[3] in (",f,70.0", ",m,70.0")
        assert summary(result)["without a column"].strip() == "Height"
        assert summary(result)["ignored columns"].strip() == "id"

    def test_score(self, network, table, rows, tmp_path):
        result = succeed("score", "--network", network, "--data", table, "--rows", tmp_path / "r.csv")
        expected = ConditionalGaussianEM.from_model(people()).score_samples(rows)
        assert float(summary(result)["log-likelihood"]) == pytest.approx(expected.sum(), abs=1e-5)
        np.testing.assert_allclose(pd.read_csv(tmp_path / "r.csv")["log_likelihood"], expected, rtol=1e-12)

    def test_score_of_a_fit(self, edges, table, tmp_path):
        fitted = succeed("fit", "--network", edges, "--data", table, "--output", tmp_path / "f.json")
        scored = succeed("score", "--network", tmp_path / "f.json", "--data", table)
        assert summary(scored)["log-likelihood"].strip() == summary(fitted)["log-likelihood"].strip()

    def test_parquet(self, network, rows, tmp_path):
        pytest.importorskip("pyarrow")
        data, output = tmp_path / "d.parquet", tmp_path / "f.parquet"
        rows.astype({"Sex": "category"}).assign(id=np.arange(120)).to_parquet(data)
        succeed("impute", "--network", network, "--data", data, "--output", output)
        filled = pd.read_parquet(output)
        assert filled["Weight"].dtype == float
        assert filled["Height"].notna().all()
        assert filled["id"].tolist() == list(range(120))


class TestFiles:
    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("e.csv", b"", "cannot be read as a list of edges: its first line must be 'parent,child'."),
            ("e.tsv", b"parent,child\n", "its first line must be 'parent\\tchild'."),
            ("e.csv", b"parent,child\n", "cannot be read as a list of edges: it names no variables."),
            ("e.csv", b"parent,child\nA,B,C\n", "line 2: an edge has a parent and a child. Got: ['A', 'B', 'C']."),
            ("e.csv", b"parent,child\nA,B\nB,A\n", "the edges form a cycle through ['A', 'B']. Remove one."),
            ("e.csv", b"\xff\n", "cannot be read as a list of edges: 'utf-8' codec"),
            ("e.csv.gz", b"plain", "cannot be unpacked"),
            ("n.json", b"{", "is no file of a conditional Gaussian network: it is not JSON"),
            ("n.json", b"{}", "it does not say 'format': 'pgmpy_em_ext conditional Gaussian network'."),
            ("absent.json", None, "No such file or directory"),
        ],
    )
    def test_bad_networks(self, name, content, message, table, tmp_path):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        fail(message, "score", "--network", path, "--data", table)

    def test_edges(self, tmp_path):
        path = tmp_path / "e.csv"
        path.write_bytes(b'\xef\xbb\xbfparent,child\r\n"a, b",c\r\nd,\r\n\r\n,e\r\nc , f\r\n')
        model = read_edges(path)
        assert list(model.nodes()) == ["a, b", "c", "d", "e", "f"]
        assert list(model.edges()) == [("a, b", "c"), ("c", "f")]
        assert not isinstance(model, DiscreteBayesianNetwork)

    def test_numbers(self):
        frame = pd.DataFrame({"A": ["1", None], "B": [True, False], "C": [None, None], "D": ["x", "y"]})
        read = read_numbers(frame, ["A", "B"], ["C", "D"])
        assert read["A"].dtype == float
        assert read.drop(columns="A").equals(frame.drop(columns="A"))
        assert read_numbers(frame, ["C"])["C"].dtype == float
        filled = pd.DataFrame({"A": [1.0, 2.5], "D": ["x", "y"]})
        assert keep_texts(filled, frame, ["A"])["A"].tolist() == ["1", 2.5]
