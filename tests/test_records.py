"""Results of many videos: their records on disk, their notes, and their page."""

import dataclasses
import json

import pytest
from planted import RECIPE, STAGES, PlantedModel, PlantedVideos

import static_dynamic as sd
from static_dynamic.common.errors import UserError
from static_dynamic.records import LISTED, MANY, RECORDS, skipped
from static_dynamic.report import page


@pytest.fixture(scope="module")
def small():
    return sd.measure(
        PlantedModel(), PlantedVideos(3), STAGES, recipe=RECIPE, twins=0, scoring=sd.Scoring(replicates=5, nulls=0)
    )


def records(count):
    known = {"label": None, "sequence": None, "total": 9, "fps": 25.0, "frames": [0, 4]}
    return [{"video": f"vidéo {n}\n", "problem": f"broken {n}" if n % 3 == 0 else None, **known} for n in range(count)]


def with_records(result, count):
    return dataclasses.replace(result, manifest={**result.manifest, "videos": records(count)})


def test_the_records_of_many_videos_come_back_from_a_file_of_lines(small, tmp_path):
    many = with_records(small, MANY + 1)
    folder = many.save(tmp_path)
    lines = (folder / RECORDS).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == records(MANY + 1)
    assert "videos" not in json.loads((folder / "run.json").read_text())
    assert sd.load(folder).manifest["videos"] == records(MANY + 1)


def test_the_records_of_few_videos_are_in_the_manifest_and_those_of_an_earlier_result_go(small, tmp_path):
    with_records(small, MANY + 1).save(tmp_path)
    folder = with_records(small, MANY).save(tmp_path)
    assert not (folder / RECORDS).exists()
    assert json.loads((folder / "run.json").read_text())["videos"] == records(MANY)
    assert sd.load(folder).manifest["videos"] == records(MANY)


@pytest.mark.parametrize("line", ["[1]", "{", "\x00", '"name"'])
def test_a_damaged_record_is_one_line(small, tmp_path, line):
    folder = with_records(small, MANY + 1).save(tmp_path)
    with (folder / RECORDS).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(UserError, match=r"No result can be read from .*\.") as error:
        sd.load(folder)
    assert "\n" not in str(error.value)


def test_notes_name_the_first_unreadable_videos_and_count_the_others():
    few, many = skipped(records(3 * LISTED)), skipped(records(3 * LISTED + 21))
    assert few == [f"Skipped vidéo {3 * n}\n: broken {3 * n}" for n in range(LISTED)]
    assert many == [*few, "Skipped 7 more videos: 'videos' of the manifest lists them."]
    unjudged = [{"video": f"{n}", "problem": None, "unjudged": "no mask"} for n in range(LISTED + 1)]
    assert skipped(unjudged)[-1] == "Not judged: 1 more videos: 'videos' of the manifest lists them."


@pytest.mark.parametrize("count", [32, 33])
def test_the_page_lists_the_first_videos_and_counts_the_others(small, tmp_path, monkeypatch, count):
    monkeypatch.setattr(page, "LISTED", 32)
    text = with_records(small, count).report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "vidéo 31" in text
    assert "vidéo 32" not in text
    assert ("… and 1 more, which are not listed" in text) == (count == 33)
