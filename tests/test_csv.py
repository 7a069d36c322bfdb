"""Every CSV that the package writes goes through one function, so text that a spreadsheet would run is quoted."""

import ast
import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from doors import fake
from hypothesis import given
from hypothesis import strategies as st

from static_dynamic.common.tables import FORMULA, NUMBER, as_csv, from_csv
from static_dynamic.program.saving import published_csv, save_classes
from static_dynamic.report.theme import data_of, save_data
from static_dynamic.training.truth.table import read_table, write_table
from static_dynamic.training.truth.train import Trained

ROOT = Path(__file__).parents[1]
PLACES = ("static_dynamic", "models", "training", "stylize", "misc", "main.py", "config.py")
ONE_WAY = Path("static_dynamic/common/tables.py")
WRITERS = {"to_csv", "writer", "DictWriter", "savetxt", "write_csv"}
"""Names of what writes CSV in pandas, Python, numpy and pyarrow."""
FORMULA_NAMES = ["=1+1", "@SUM(A1)", "-stage", "+1+1", "\tx"]


def code():
    """Every file of the package, once."""
    for place in PLACES:
        path = ROOT / place
        yield from [path] if path.is_file() else (file for file in path.rglob("*.py") if not _is_linked(file))


def _is_linked(path):
    return any(folder.is_symlink() for folder in path.parents)


def writers_of(path):
    """The lines of a file that write CSV by a way of their own."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in WRITERS and _of_a_table(node)
    ]


def _of_a_table(node):
    """Whether it is the writer of a table: ``csv.writer``, not the writer of something else."""
    return node.attr != "writer" or (isinstance(node.value, ast.Name) and node.value.id == "csv")


def test_no_csv_is_written_in_another_way():
    files = list(code())
    assert len(files) > 300
    found = {path.relative_to(ROOT): writers_of(path) for path in files}
    assert {path for path, lines in found.items() if lines} == {ONE_WAY}


def test_another_way_is_found(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("import csv\ntable.to_csv('a')\npartial(table.to_csv, 'a')\ncsv.writer(file)\nlog.writer(file)\n")
    assert writers_of(path) == [2, 3, 4]


NOT_TEXT = {"", "na", "nan", "null", "none", "n/a", "na>", "1.#ind", "1.#qnan"}
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r"))
"""What pandas takes for a missing value, and a carriage return, which its reader takes for the end of a line, do not
come back."""


@given(st.lists(TEXTS.filter(lambda text: text.strip().lstrip("#<-").lower() not in NOT_TEXT), min_size=1, max_size=5))
def test_text_comes_back_and_no_cell_is_a_formula(cells):
    table = pd.DataFrame({"video": [*cells, "not a number"], "value": -1.5})
    text = as_csv(table)
    assert from_csv(text)["video"].tolist() == [*cells, "not a number"]
    for cell in (cell for row in csv.reader(io.StringIO(text)) for cell in row):
        assert cell[:1] not in ("=", "+", "-", "@", "\t", "\r") or NUMBER.fullmatch(cell)


def test_whole_numbers_and_categories_stay_what_they_are():
    mixed = pd.DataFrame({"a": pd.Series([1, 2.5], dtype=object), "b": pd.Categorical(["=x", "y"])})
    assert as_csv(mixed) == "a,b\n1,'=x\n2.5,y\n"


@pytest.mark.parametrize("name", FORMULA_NAMES)
def test_stages_of_any_name_are_harmless_in_the_tables_of_a_run(name, tmp_path):
    result = fake(0, stages=[name, "plain"])
    save_classes(result, tmp_path)
    path = save_data(result.layers, tmp_path / "layers.png")
    assert path == data_of(tmp_path / "layers.png")
    written = (tmp_path / "joint_encoding.csv").read_text(), path.read_text()
    for text in written:
        assert from_csv(text)["stage"].unique().tolist() == [name, "plain"]
        assert not any(FORMULA.match(row[0]) and not row[0].startswith("'") for row in csv.reader(io.StringIO(text)))
    pd.testing.assert_frame_equal(from_csv(written[1]), result.layers, check_dtype=False)


def test_the_published_lines_are_those_of_python_s_own_writer():
    result = fake(1)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for _, layer in result.layer("released").groupby("stage", sort=False):
        rows.writerows([layer["dims"], layer["percent"]])
    assert published_csv(result) == text.getvalue()


def test_the_table_of_trained_networks_is_read_back(tmp_path):
    rows = {
        name: Trained(name, 3, 100, 1.25, 0.5, {"colour": 0.5, "kind": 0.125}, {"colour": 0.25}) for name in ("b", "a")
    }
    write_table(rows, tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv") == rows
    assert (tmp_path / "t.csv").read_text().splitlines()[1] == "a,3,100,1.25,0.5,0.500,,,,0.125,,,0.250,,,,,,"
