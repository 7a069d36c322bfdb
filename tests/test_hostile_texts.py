"""Texts, tables and descriptions of strangers."""

import json
import subprocess
import sys
from io import BytesIO

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import static_dynamic as sd
from static_dynamic.common import tables, texts
from static_dynamic.common.errors import UserError, shown, unknown
from static_dynamic.common.options import read_mapping
from static_dynamic.common.tables import as_csv, from_csv, quoted, read_parquet, unquoted
from static_dynamic.common.texts import read_json, read_text
from static_dynamic.models import ModelError
from static_dynamic.sources import open_source

LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 30))


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        MERGES,
        "a: &a [*a]",
        "[" * 100_000,
        "a: 2001-99-99",
        "a: " + "9" * 5000,
        "? [a]\n: 1",
        "1: 2",
        "null: 2",
        "!!python/object/apply:os.system [ls]",
        "a: !!binary x",
        "a: !!int x",
        "a: !!timestamp x",
        "- a",
        "",
        "a: b: c",
        "'" + "a" * 1_000_001,
    ],
)
def test_options_are_plain_or_refused_in_one_line(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        read_mapping(tmp_path / "a.yaml")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_text_has_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(texts, "LARGEST", 1 << 20)
    path = tmp_path / "a.json"
    path.write_bytes(b"[" + b" " * (1 << 20))
    with pytest.raises(UserError, match="too large: texts of up to 1 MiB are read"):
        read_json(path)
    path.write_bytes(b"[" + b" " * ((1 << 20) - 2) + b"]")
    assert read_json(path) == []
    with pytest.raises(UserError, match="too large"):
        read_text("/dev/zero")


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1+1", "-clip.mp4", "@SUM(A1)", "\tx", "=cmd|' /C calc'!A0", "'=x", "''+x", "-", "--1"]
)
def test_a_formula_is_quoted_and_comes_back(cell):
    table = pd.DataFrame({"video": [cell, "plain"], "value": [1.5, -2.5]})
    text = as_csv(table)
    assert f"'{cell}" in text.replace('"', "")
    assert "-2.5" in text
    pd.testing.assert_frame_equal(from_csv(text), table, check_dtype=False)


@given(st.text(max_size=8))
def test_quoting_is_undone(text):
    assert unquoted(quoted(text)) == text
    assert quoted(text)[:1] not in ("=", "@")


@pytest.mark.parametrize("number", ["-1", "+1.5", "-.5", "1e9", "-1e-9", "-inf", "0"])
def test_numbers_stay_numbers(number):
    assert quoted(number) == number


def test_names_of_columns_and_rows_are_quoted_too():
    table = pd.DataFrame([[1, 2]], columns=["=a", "b"], index=["@row"])
    assert as_csv(table, index=True).splitlines() == [",'=a,b", "'@row,1,2"]


def test_a_small_parquet_is_no_large_table(monkeypatch):
    monkeypatch.setattr(tables, "MOST_CELLS", 1_000_000)
    file = BytesIO()
    pq.write_table(pa.table({"a": pa.array(np.zeros(1_000_001))}), file)
    assert len(file.getvalue()) < 10_000
    with pytest.raises(UserError, match="1000001 cells; up to 1000000"):
        read_parquet(file.getvalue())


@pytest.mark.parametrize(
    "name", ["../../x.mp4", "/no/such.mp4", "a\n.mp4", "<script>.mp4", "-rf.mp4", '".mp4', "=cmd.mp4"]
)
def test_any_name_in_a_list_is_a_name(tmp_path, name):
    (tmp_path / "list.csv").write_text('path\n"' + name.replace('"', '""') + '"\n')
    with pytest.raises(UserError) as caught:
        open_source(tmp_path / "list.csv")
    assert "\n" not in str(caught.value)


def test_messages_are_one_line_whatever_a_name_holds():
    for error in (UserError("a\nb\r\u2028c\x1b[2J"), ModelError("a\nb\r\u2028c\x1b[2J")):
        assert str(error).isprintable()
    assert str(unknown("style", "a\nb" * 1000, ["ink"])).isprintable()
    assert len(str(unknown("style", "a" * 10_000, ["ink"]))) < 500


def test_any_value_can_be_shown():
    class Odd:
        def __repr__(self):
            raise RuntimeError

    assert shown(Odd()) == "Odd"
    assert shown(10**9999) == "int"
    assert len(shown("a" * 999)) == 80


@pytest.mark.parametrize(
    "content", ["{}", "[]", "3", '{"format": []}', '{"format": 2, "kind": []}', '{"format": 1e999}']
)
def test_a_description_of_another_form_is_one_line(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    for name in ("layers", "units"):
        (tmp_path / f"{name}.parquet").write_bytes(b"PAR1 junk PAR1")
    for read in (sd.load, sd.open_run):
        with pytest.raises(UserError) as caught:
            read(tmp_path)
        assert "\n" not in str(caught.value)


def test_a_name_with_an_end_of_line_is_one_line_on_the_terminal(tmp_path):
    run = [sys.executable, "-m", "static_dynamic.main", "score", f"{tmp_path}/a\nb"]
    found = subprocess.run(run, capture_output=True, text=True, timeout=100)
    assert found.returncode == 2
    assert len(found.stderr.splitlines()) == 1
    assert json.dumps(found.stderr)
