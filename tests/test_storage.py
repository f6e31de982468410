"""Files that are damaged, too large, or made to keep a reader busy: one clear error each, and nothing left behind."""

import builtins
import errno
import gzip
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pgmpy
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pgmpy.factors.discrete import TabularCPD
from pgmpy.models import DiscreteBayesianNetwork
from sklearn.exceptions import ConvergenceWarning

from pgmpy_em_ext import ConditionalGaussianNetwork, WeightedEM
from pgmpy_em_ext._tools import files as storage
from pgmpy_em_ext.cli import main
from pgmpy_em_ext.io.bif_text import BIFError, _without_comments, prepare
from pgmpy_em_ext.io.networks import read_edges, read_network, write_network
from pgmpy_em_ext.io.tables import read_table, write_table
from pgmpy_em_ext.restarts import checkpoint

HEAD = "network n {\n}\n"
TWO = "variable A {\n  type discrete [ 2 ] { a, b };\n}\nvariable B {\n  type discrete [ 2 ] { c, d };\n}\n"
ROOT = "probability ( A ) {\n  table 0.5, 0.5;\n}\n"
CHILD = "probability ( B | A ) {\n  (a) 0.1, 0.9;\n  (b) 0.2, 0.8;\n}\n"
BIF = HEAD + TWO + ROOT + CHILD
EXAMPLES = sorted(Path(pgmpy.__file__).parent.glob("utils/example_models/*.bif.gz"))
PGMPYS_COMMENTS = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")|(/\*.*?\*/|//[^\n]*)', re.DOTALL)  # as its reader has it


def refuse_bif(text, message, path):
    path.write_text(text)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}{message}')}") as caught:
        read_network(path)
    assert len(str(caught.value)) < 500
    assert len(str(caught.value).splitlines()) == 1


class TestBIF:
    @pytest.mark.parametrize(
        ("line", "text"),
        [
            (13, HEAD + TWO + ROOT + "probability ( B | A ) {\n  default 0.5, 0.5;\n  (a) 0.1, 0.9;\n}\n"),
            (12, HEAD + TWO + ROOT + "probability ( B | A ) { default 0.5, 0.5; }\n"),
            (14, HEAD + TWO + ROOT + "probability ( B | A ) {\n  (a) 0.1, 0.9;\n  default 0.5, 0.5;\n}\n"),
            (16, HEAD + "/* two\nlines */\n\n" + TWO + ROOT + "probability ( B | A ) {\n default\t0.5, 0.5;\n}\n"),
        ],
    )
    def test_a_default_line(self, line, text, tmp_path):
        message = f", line {line}: a 'default' line, which pgmpy's reader does not know. Write a line for each "
        refuse_bif(text, message, tmp_path / "n.bif")

    def test_a_default_line_on_the_command_line(self, tmp_path):
        network, data = tmp_path / "n.bif", tmp_path / "d.csv"
        network.write_text(HEAD + TWO + ROOT + "probability ( B | A ) {\n  default 0.5, 0.5;\n}\n")
        data.write_text("A,B\na,c\n")
        result = CliRunner().invoke(main, ["score", "--network", str(network), "--data", str(data)])
        assert result.exit_code == 2
        assert result.stderr == (
            f"pgmpy-em: error: {network}, line 13: a 'default' line, which pgmpy's reader does not know. Write a line "
            "for each configuration of the parents instead.\n"
        )

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("variable " * 50_000, ", line 1: a block begins, and no line ends with its brace."),
            (BIF + "variable " * 50_000, ", line 16: a block begins, and no line ends with its brace."),
            ("variable " * 50_000 + "}\n", ", line 1: the block that begins here is no variable: it has 450,002"),
            ("variable x { " + "type " * 90_000 + "}\n", ", line 1: the block that begins here is no variable"),
            ("variable x { " + "type a [2] { " * 40_000 + "}\n", ", line 1: the block that begins here is no variable"),
            (HEAD + TWO + ROOT[:-2] + "(" * 200_000 + "}\n", ", line 9: the block that begins here is no probability"),
            (HEAD + TWO + ROOT[:-2] + "(a," * 150_000 + "}\n", ", line 9: the block that begins here is no"),
            (HEAD + TWO + "probability (" + " " * 400_000 + "A ) {\n}\n", ", line 9: the block that begins here is no"),
            (HEAD + TWO + "probability ( A" + " " * 400_000 + "{\n}\n", ", line 9: 'probability' must be followed"),
            ("probability (" * 40_000 + "}\n", ", line 1: 'probability' must be followed by '( variable | parents )'"),
            (BIF + '"' + '\\"' * 200_000, ', line 16: " begins what does not end.'),
            (BIF + '"' + "\\" * 400_001, ', line 16: " begins what does not end.'),
            (BIF + "/*" * 200_000, ", line 16: /* begins what does not end."),
        ],
        ids=range(13),
    )
    def test_what_keeps_pgmpys_reader_busy_is_refused(self, text, message, tmp_path):
        refuse_bif(text, message, tmp_path / "n.bif")

    def test_what_is_long_but_sound_is_read(self, tmp_path):
        path = tmp_path / "n.bif"
        path.write_text(BIF.replace("}\n", "}\n" + "\n" * 100_000).replace("{\n", "{\n" + " \n" * 100_000))
        assert read_network(path).get_cpds("B").get_values().tolist() == [[0.1, 0.2], [0.9, 0.8]]
        assert len(path.read_bytes()) > 10**6

    def test_comments_quotes_and_blank_lines(self, tmp_path):
        path = tmp_path / "n.bif"
        text = "// variable\n/* probability ( \n * */" + BIF.replace("}\n", "}  // }\n\n \n")
        path.write_bytes(text.replace("{ c, d }", '{ "c", "d" }').replace("\n", "\r\n").encode())
        model = read_network(path)
        assert model.get_cpds("B").get_values().tolist() == [[0.1, 0.2], [0.9, 0.8]]
        assert model.get_cpds("B").state_names == {"B": ["c", "d"], "A": ["a", "b"]}

    def test_a_slash_in_quotes_is_no_comment(self):
        assert prepare('property "http://x/*";\n') == 'property "http://x/*";\n'

    def test_hundreds_of_states_named_like_a_keyword_are_read(self, tmp_path):
        states = [f"variable type {number}" for number in range(300)]
        cpd = TabularCPD("A", 300, np.full((300, 1), 1 / 300), state_names={"A": states})
        write_network(tmp_path / "n.bif", [cpd])
        assert read_network(tmp_path / "n.bif").get_cpds("A").state_names["A"] == states

    @pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
    def test_what_pgmpy_ships_is_not_refused(self, path):
        text = gzip.decompress(path.read_bytes()).decode()
        assert prepare(text).count("probability") == text.count("probability")

    @given(st.lists(st.sampled_from(['"', "/*", "*/", "//", "\n", "a", "\\", '\\"', " b", "/", "*"]), max_size=30))
    def test_comments_end_where_they_do_for_pgmpy(self, pieces):
        text = "".join(pieces)
        try:
            found = _without_comments(text)
        except BIFError as error:
            assert str(error).endswith("begins what does not end.")  # noqa: PT017
            return
        by_pgmpy = PGMPYS_COMMENTS.sub(lambda match: match[1] or "", text)
        assert found.replace("\n", "") == by_pgmpy.replace("\n", "")

    def test_what_pgmpy_says_is_cut_short(self, tmp_path):
        header = "probability ( A " + "| " * 3_000 + ") {\n  table 0.5, 0.5;\n}\n"
        refuse_bif(HEAD + TWO + header, " cannot be read as BIF: KeyError: ", tmp_path / "n.bif")


class TestPacked:
    @pytest.mark.parametrize("name", ["n.bif.gz", "n.xmlbif.gz", "n.csv.gz", "n.json.gz", "t.csv.gz"])
    def test_what_unpacks_to_too_much(self, name, tmp_path, monkeypatch):
        monkeypatch.setattr(storage, "MAX_UNPACKED", 10**6)
        path = tmp_path / name
        path.write_bytes(gzip.compress(b" " * (10**6 + 1)))
        assert path.stat().st_size < 2_000
        read = {"n.csv.gz": read_edges, "n.json.gz": ConditionalGaussianNetwork.load, "t.csv.gz": read_table}
        message = f"{path} unpacks to more than the 1,000,000 bytes that are supported. Unpack it, and split it."
        with pytest.raises(ValueError, match=re.escape(message)):
            read.get(name, read_network)(path)

    def test_as_much_as_is_supported(self, tmp_path, monkeypatch):
        path = tmp_path / "t.csv.gz"
        write_table(path, pd.DataFrame({"A": ["x"] * 100}))
        monkeypatch.setattr(storage, "MAX_UNPACKED", 202)
        assert len(read_table(path)) == 100
        path.write_bytes(path.read_bytes() * 2)  # gzip's members add up
        with pytest.raises(ValueError, match="unpacks to more than the 202 bytes"):
            read_table(path)

    def test_too_little_memory(self, tmp_path, monkeypatch):
        path = tmp_path / "t.csv.gz"
        write_table(path, pd.DataFrame({"A": ["x"]}))

        def fail(*_):
            raise MemoryError

        monkeypatch.setattr(gzip.GzipFile, "read", fail)
        with pytest.raises(ValueError, match="cannot be unpacked: there is not enough memory"):
            read_table(path)


class FullDisk:
    """Stands for a file on a disk that has no room left after some bytes."""

    def __init__(self, file):
        self.file = file

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, content):
        self.file.write(bytes(content)[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def full_disk(monkeypatch):
    opened = builtins.open
    monkeypatch.setattr(
        storage.Path,
        "open",
        lambda path, mode="r", *rest: FullDisk(opened(path, mode)) if "w" in mode else opened(path, mode, *rest),
    )


CHAIN = DiscreteBayesianNetwork([("H", "A"), ("H", "B")], latents={"H"})
ROWS = pd.DataFrame({"A": [0, 1, 1, 0, 1, 0, 1, 1], "B": [0, 1, 0, 0, 1, 1, 1, 1]})


class TestFullDisk:
    @pytest.mark.usefixtures("full_disk")
    @pytest.mark.parametrize("name", ["n.bif", "n.xdsl.gz"])
    def test_networks(self, name, tmp_path):
        with pytest.raises(OSError, match="No space left"):
            write_network(tmp_path / name, [TabularCPD("A", 2, [[0.5], [0.5]], state_names={"A": ["a", "b"]})])
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.usefixtures("full_disk")
    def test_tables(self, tmp_path):
        with pytest.raises(OSError, match="No space left"):
            write_table(tmp_path / "t.csv", ROWS)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.usefixtures("full_disk")
    def test_checkpoints(self, tmp_path):
        with pytest.raises(OSError, match="No space left"):
            WeightedEM(seed=0, n_init=1, checkpoint=tmp_path / "fit.npz").fit(CHAIN, ROWS)
        assert list(tmp_path.iterdir()) == []

    def test_what_was_there_before_stays(self, tmp_path, request):
        path = tmp_path / "t.csv"
        write_table(path, ROWS)
        before = path.read_bytes()
        request.getfixturevalue("full_disk")
        with pytest.raises(OSError, match="No space left"):
            write_table(path, ROWS.iloc[1:])
        assert [path] == list(tmp_path.iterdir())
        assert path.read_bytes() == before


class TestJSON:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("[" * 100_000, "is no file of a conditional Gaussian network: its JSON has too many brackets in brackets"),
            ('{"a":' * 100_000, "is no file of a conditional Gaussian network: its JSON has too many brackets"),
            ("1" * 5_000, "is no file of a conditional Gaussian network: it is not JSON, Exceeds the limit"),
        ],
    )
    def test_what_python_cannot_take_in(self, content, message, tmp_path):
        path = tmp_path / "n.json"
        path.write_text(content)
        with pytest.raises(ValueError, match=f"{re.escape(str(path))} {message}"):
            ConditionalGaussianNetwork.load(path)

    def test_tuples_in_tuples(self, tmp_path):
        path = tmp_path / "n.json"
        ConditionalGaussianNetwork().save(path)
        deep = '{"tuple": [' * 450 + '"a"' + "]}" * 450
        path.write_text(path.read_text().replace('"nodes": []', f'"nodes": [{deep}]'))
        with pytest.raises(ValueError, match="is damaged"):
            ConditionalGaussianNetwork.load(path)

    @pytest.mark.parametrize("edges", [5, [3], {"a": 1}, [[{"float": "x"}, "b"]]])
    def test_wrong_kinds(self, edges, tmp_path):
        path = tmp_path / "n.json"
        ConditionalGaussianNetwork().save(path)
        path.write_text(path.read_text().replace('"edges": []', f'"edges": {edges}'.replace("'", '"')))
        with pytest.raises(ValueError, match="is damaged: "):
            ConditionalGaussianNetwork.load(path)


class TestCheckpoints:
    @staticmethod
    def fit(path, **settings):
        return WeightedEM(seed=0, n_init=3, checkpoint=path, **settings).fit(CHAIN, ROWS)

    @pytest.fixture
    def content(self, tmp_path):
        self.fit(tmp_path / "whole.npz")
        with np.load(tmp_path / "whole.npz") as arrays:
            return dict(arrays)

    def refuse(self, path, message="is no checkpoint, or is damaged. Delete or move it."):
        with pytest.raises(ValueError, match=f"^{re.escape(f'checkpoint {str(path)!r} {message}')}$"):
            self.fit(path)

    def test_every_field_counts(self, content, tmp_path):
        path = tmp_path / "fit.npz"
        assert len(content) > 20
        for name, array in content.items():
            if name == "layout":
                continue
            for wrong in (None, array[..., None], np.array("x")):
                others = {other: kept for other, kept in content.items() if other != name}
                np.savez(path, **others, **({} if wrong is None else {name: wrong}))
                self.refuse(path)

    def test_nan(self, content, tmp_path):
        path = tmp_path / "fit.npz"
        np.savez(path, **(content | {"0.parameters": np.full_like(content["0.parameters"], np.nan)}))
        self.refuse(path)

    def test_other_layouts(self, content, tmp_path):
        path = tmp_path / "fit.npz"
        np.savez(path, **(content | {"layout": np.array(checkpoint.LAYOUT + 1)}))
        way_out = f"this one reads {checkpoint.LAYOUT}. Use the version that wrote it, or delete it."
        self.refuse(path, f"has layout {checkpoint.LAYOUT + 1}, that of another version of pgmpy_em_ext; {way_out}")
        older = {name: array for name, array in content.items() if name not in ("layout", "digest")}
        np.savez(path, **older)
        self.refuse(path, f"has layout 0, that of another version of pgmpy_em_ext; {way_out}")

    def test_every_cut_and_many_flipped_bytes(self, content, tmp_path):
        path, whole = tmp_path / "fit.npz", (tmp_path / "whole.npz").read_bytes()
        answer = self.fit(tmp_path / "whole.npz").objective_
        rng = np.random.default_rng(0)
        for place in rng.integers(0, len(whole), 60).tolist():
            path.write_bytes(whole[:place])
            self.refuse(path)
            path.write_bytes(whole[:place] + bytes([whole[place] ^ int(rng.integers(1, 256))]) + whole[place + 1 :])
            try:  # a zip file holds bytes that nobody reads, such as dates
                assert self.fit(path).objective_ == answer
            except ValueError as error:
                assert str(error).endswith("is no checkpoint, or is damaged. Delete or move it.")  # noqa: PT017

    def test_another_method_of_packing(self, content, tmp_path):
        whole = (tmp_path / "whole.npz").read_bytes()
        path = tmp_path / "fit.npz"
        place = whole.rindex(b"PK\x01\x02")  # the method is 10 bytes on, in the directory at the end
        path.write_bytes(whole[: place + 10] + b"\x63\x00" + whole[place + 12 :])
        self.refuse(path)

    def test_another_seed_of_sampled_steps(self, tmp_path):
        path, settings = tmp_path / "fit.npz", {"init_cpds": "prior", "prior": "K2", "n_init": 1}
        sampled = settings | {"e_step": "sampled", "max_iter": 3, "checkpoint": path, "tol": 1e-9}
        with pytest.warns(ConvergenceWarning, match="did not converge within max_iter=3"):
            WeightedEM(seed=0, **sampled).fit(CHAIN, ROWS)
        with pytest.raises(ValueError, match=r"belongs to another fit: other data, another model, another seed or oth"):
            WeightedEM(seed=1, **sampled).fit(CHAIN, ROWS)
