"""The audit tells what a style changed and what it kept; scrambles destroy order and keep every frame."""

import re
import shutil
from collections import Counter
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from media import coded_frames, moving_frames, write_frames, write_video
from PIL import Image
from program import stylize as run

from static_dynamic.common.commands import command
from static_dynamic.common.errors import UserError
from static_dynamic.interventions import list_styles
from static_dynamic.sources import open_source
from static_dynamic.stylize.auditing.audit import (
    ANOTHER,
    FLOOR,
    LIMITS,
    PASS,
    Audit,
    audit,
    re_encoded,
    style_table,
    verdict,
)
from static_dynamic.stylize.auditing.audit_report import draw_sheet, files_of, liveliest, save_audit
from static_dynamic.stylize.auditing.cases import made_cases
from static_dynamic.stylize.auditing.measures import Motion, colours, edge_overlap, textures, total_variation
from static_dynamic.stylize.auditing.rendered import rendered_cases
from static_dynamic.stylize.auditing.trust import judge_study
from static_dynamic.stylize.rendering.render import render
from static_dynamic.stylize.rendering.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
CLIPS = ROOT.parent / "shared" / "data" / "videos"
LIMIT = {limit.measure: limit for limit in LIMITS}


# --- measures ----------------------------------------------------------------------------------------------------


def test_a_copy_of_itself_has_lost_nothing():
    frames = moving_frames()
    motion = Motion(frames)
    assert motion.enough
    assert motion.errors(frames) == (0, pytest.approx(0, abs=0.1))
    assert total_variation(colours(frames), colours(frames)) == 0
    assert total_variation(textures(frames), textures(frames)) == 0
    assert edge_overlap(frames, frames) == pytest.approx(1)


def test_flow_is_that_of_the_scene():
    motion = Motion(moving_frames(speed=3))
    inside = np.stack(motion.flows)[:, 16:-16, 24:-24]
    np.testing.assert_allclose(inside.mean(axis=(0, 1, 2)), [3, 0], atol=0.1)
    assert motion.warp_error(motion.frames) < 0.05


@pytest.mark.parametrize(("speed", "error"), [(0, 1), (1, 0.5), (2, 0), (4, 1), (-2, 2)])
def test_flow_error_is_the_share_of_the_motion_that_is_off(speed, error):
    found, angle = Motion(moving_frames()).errors(moving_frames(speed=speed))
    assert found == pytest.approx(error, abs=0.12)
    straight = [np.array([u, 0, 1]) / np.hypot(u, 1) for u in (2, speed)]
    assert angle == pytest.approx(np.degrees(np.arccos(np.clip(straight[0] @ straight[1], -1, 1))), abs=6)


def test_what_does_not_move_is_not_judged():
    still = moving_frames(speed=0)
    motion = Motion(still)
    assert not motion.enough
    assert np.isnan(motion.errors(still)).all()


def test_flicker_is_what_the_flow_does_not_carry():
    frames = moving_frames(8)
    motion, rng = Motion(frames), np.random.default_rng(0)
    noise = rng.integers(0, 255, frames.shape, dtype=np.uint8)
    assert motion.warp_error(255 - frames) == pytest.approx(motion.warp_error(frames), abs=0.01)
    # Bilinear sampling calms noise, unless the flow is found to be whole pixels, as it is: then it stays 1.
    assert 0.6 < motion.warp_error(noise) < 1.01
    in_front_of_it = frames // 2 + noise[:1] // 2
    assert motion.warp_error(frames) + 0.2 < motion.warp_error(in_front_of_it) < motion.warp_error(noise)


def test_colours_and_textures_see_what_they_should():
    frames = moving_frames()
    swapped, brighter = frames[..., ::-1], np.clip(frames.astype(int) + 2, 0, 255).astype(np.uint8)
    red, blue = (np.full((1, 32, 32, 3), colour, np.uint8) for colour in ((250, 0, 0), (0, 0, 250)))
    assert total_variation(colours(red), colours(blue)) == 1
    assert total_variation(colours(frames), colours(swapped)) > 0.1
    assert total_variation(textures(frames), textures(brighter)) < 0.05
    stripes = np.where(np.indices(frames.shape[:3])[2][..., None] // 3 % 2, frames, 255 - frames)
    assert total_variation(textures(frames), textures(stripes)) > 0.15
    for histogram in (colours(frames), textures(frames)):
        assert histogram.sum() == pytest.approx(1)


def test_binary_patterns_are_those_of_the_definition():
    frame = moving_frames(1)[0]
    luma = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    counts = Counter()
    around = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
    for y in range(1, luma.shape[0] - 1):
        for x in range(1, luma.shape[1] - 1):
            counts[sum(2**bit for bit, (j, i) in enumerate(around) if luma[y + j, x + i] > luma[y, x])] += 1
    expected = np.array([counts[code] for code in range(256)]) / counts.total()
    np.testing.assert_allclose(3 * textures(frame[None])[:256], expected)


def test_edges_may_move_by_two_pixels_and_no_further():
    frames = moving_frames(1, height=96, width=128)
    near, far = (np.roll(frames, shift, axis=2) for shift in (1, 15))
    assert edge_overlap(frames, near) > 0.9
    assert abs(edge_overlap(frames, far)) < 0.25
    assert edge_overlap(frames, 255 - frames) > 0.95


def test_flat_frames_have_no_edges_to_keep():
    frames = moving_frames(3, height=96, width=128)
    flat = np.zeros_like(frames[:1])
    with_leader = np.concatenate([flat, frames])
    assert edge_overlap(with_leader, 255 - with_leader) == edge_overlap(frames, 255 - frames) > 0.95
    assert np.isnan(edge_overlap(flat, frames[:1]))


# --- verdicts ----------------------------------------------------------------------------------------------------


def passing(**changes):
    return pd.Series({"colour": 0.9, "texture": 0.3, "motion": 0.8, "flicker": 0.05, "edges": 0.9} | changes)


def test_a_verdict_names_every_limit_that_is_missed():
    assert verdict(passing()) == PASS
    assert verdict(passing(motion=0.2, flicker=0.3)) == "fail: motion 0.20, at least 0.5; flicker 0.30, at most 0.25"
    unknown = passing(motion=float("nan"))
    assert verdict(unknown) == "not judged: motion cannot be measured in these videos"
    assert verdict(passing(edges=float("nan"))).startswith("not judged: edges")
    assert verdict(passing(motion=float("nan"), colour=0.1)) == "fail: colour 0.10, at least 0.5"
    for limit in LIMITS:
        assert verdict(passing(**{limit.measure: limit.value})) == PASS
        assert verdict(passing(**{limit.measure: limit.value + (-0.01 if limit.least else 0.01)})) != PASS
        assert limit.reason


def test_the_table_of_styles_averages_over_videos():
    clips = pd.DataFrame(
        [
            {"video": video, "style": style, "colour": 0.9, "texture": 0.3, "flow_error": error, "angle": 10.0}
            | {"flicker": 0.1, "edges": 0.9, "moving": 0.5, "floor": 0.2 + shift}
            for video, shift in (("a", -0.1), ("b", 0.1))
            for style, error in ((FLOOR, 0.2 + shift), ("ink", 0.4 + shift), ("hatch", 0.9 + shift))
        ]
    )
    distances = pd.DataFrame([{"style": "ink", "other": "hatch", "colour": 0.7, "texture": 0.2}])
    table = style_table(clips, distances, [{"colour": 0.6, "texture": 0.2}, {"colour": 0.8, "texture": 0.4}])
    table = table.set_index("style")
    assert table.loc["ink", "motion"] == pytest.approx(0.6 / 0.8)
    assert table.loc["hatch", "motion"] == pytest.approx(0.1 / 0.8)
    assert list(table["verdict"]) == ["reference", PASS, "fail: motion 0.12, at least 0.5", "reference"]
    assert (table.loc["ink", "nearest"], table.loc["hatch", "nearest"]) == ("hatch", "ink")
    assert table.loc[ANOTHER, "colour"] == pytest.approx(0.7)
    assert table.loc["ink", "videos"] == 2


# --- the audit ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Two moving videos, and what was rendered of them."""
    root = tmp_path_factory.mktemp("audit")
    for seed, name in enumerate("ab"):
        write_video(root / "videos" / f"{name}.mp4", moving_frames(10, speed=1.5 + seed, seed=seed))
    render(root / "videos", root / "data", Settings(("original", "ink", "neon"), kind="mp4"), workers=0)
    return root


def test_rendered_styles_are_judged_like_those_made_on_the_spot(places):
    made = audit(made_cases(places / "videos", ("ink", "neon"), frames=10), workers=0)
    rendered = audit(rendered_cases(places / "videos", places / "data", frames=10), workers=0)
    columns = ["colour", "texture", "flow_error", "angle", "flicker", "edges"]
    assert list(rendered.styles["style"]) == [FLOOR, "ink", "neon", ANOTHER]
    np.testing.assert_allclose(rendered.clips[columns], made.clips[columns], rtol=0.1, atol=0.06)
    assert len(made.clips) == 2 * 3
    assert made.distances[["style", "other"]].to_numpy().tolist() == [["ink", "neon"]]


def test_frames_are_taken_from_the_middle_and_are_the_same_in_every_copy(places):
    (case, _) = made_cases(places / "videos", ("ink",), frames=4)
    filmed = case.clips().filmed
    np.testing.assert_array_equal(filmed, np.stack(list(case.film))[3:7])
    (case, _) = rendered_cases(places / "videos", places / "data", frames=4)
    again, copies, _ = case.clips()
    np.testing.assert_array_equal(again, filmed)
    assert list(copies) == ["ink", "neon"]


def test_size_and_rate_of_the_data_set_are_those_of_its_original(places, tmp_path):
    settings = Settings(("original", "lagoon"), short_side=36, fps=Fraction(5))
    render(places / "videos", tmp_path / "data", settings, workers=0)
    (case, _) = rendered_cases(places / "videos", tmp_path / "data")
    filmed, copies, _ = case.clips()
    assert filmed.shape == copies["lagoon"].shape == (5, 36, 48, 3)
    as_filmed = Image.open(tmp_path / "data" / "style_0" / "a" / "frame_00003.jpg")
    assert abs(filmed[2].astype(int) - np.asarray(as_filmed)).mean() < 4


def test_a_data_set_from_elsewhere_is_judged_by_its_layout_and_fails_where_it_stands_still(places, tmp_path):
    for name in "ab":
        still = 255 - moving_frames(10, speed=0)
        write_frames(tmp_path / "JPEGImages" / "Lynx" / name, still, "{:05d}.jpg")
    found = audit(rendered_cases(places / "videos", tmp_path, "DAVIS"), workers=0)
    row = found.styles.set_index("style").loc["Lynx"]
    assert row["flow_error"] == pytest.approx(1, abs=0.1)
    assert row["verdict"].startswith("fail:")
    assert "motion" in row["verdict"]


def test_the_motion_of_a_style_is_judged_on_its_own_videos_alone(places, tmp_path):
    render(places / "videos", tmp_path / "data", Settings(("ink", "neon")), workers=0)
    shutil.rmtree(tmp_path / "data" / "style_1" / "a")
    both = audit(rendered_cases(places / "videos", tmp_path / "data"), workers=0)
    alone = audit(rendered_cases(places / "videos" / "b.mp4", tmp_path / "data"), workers=0)
    motion = [found.styles.set_index("style").loc["ink", "motion"] for found in (both, alone)]
    assert motion[0] == motion[1]
    assert both.problems.to_numpy().tolist() == [["a", "ink", f"{tmp_path / 'data' / 'style_1' / 'a'} is missing."]]
    assert dict(both.styles.set_index("style")["videos"]) == {FLOOR: 2, "neon": 2, "ink": 1, ANOTHER: 2}


def test_a_bad_copy_costs_one_line_and_no_other_copy(places, tmp_path):
    write_video(tmp_path / "videos" / "one.mp4", coded_frames(1))
    write_video(tmp_path / "videos" / "two.mp4", moving_frames(9))
    styles = tmp_path / "data"
    write_frames(styles / "style_1" / "two", 255 - moving_frames(9))
    write_frames(styles / "style_2" / "two", moving_frames(9, width=140))
    write_frames(styles / "style_3" / "two", moving_frames(3))
    write_frames(styles / "style_4" / "two", moving_frames(9))
    (styles / "style_4" / "two" / "4.jpg").write_bytes(b"no image")
    (styles / "style_5").mkdir()
    found = audit(rendered_cases(tmp_path / "videos", styles, "folders", frames=8), workers=0)
    assert list(found.styles["style"]) == [FLOOR, "1"]
    why = found.problems.set_index(["video", "style"])["why"]
    assert why["one", "original"] == f"{styles / 'style_1' / 'one'} is missing."
    assert "two has 140x72 pixels, but its original has 96x72: the proportions differ" in why["two", "2"]
    assert (
        f"{styles / 'style_3' / 'two'} has 3 frames, but its original has 9. If its frame rate differs"
        in why["two", "3"]
    )
    assert "4.jpg" in why["two", "4"]
    assert why["two", "5"] == f"{styles / 'style_5' / 'two'} is missing."
    assert found.left_out() == list(why)


def test_where_flow_is_lost_in_a_copy_that_looks_the_same_motion_is_not_judged(places, tmp_path):
    """A smooth scene: noise of two grey levels is stronger than its texture."""
    smooth = [cv2.GaussianBlur(frame, (0, 0), 25) for frame in moving_frames(8, height=240, width=320)]
    write_frames(tmp_path / "videos" / "smooth", np.stack(smooth), "{:d}.png")
    found = audit(made_cases(tmp_path / "videos", ("neon", "ink")), workers=0)
    assert found.clips[["flow_error", "floor", "angle"]].isna().all(axis=None)
    assert found.styles["motion"].isna().all()
    assert not set(found.styles["verdict"]) & {PASS}
    assert all(
        path.exists() for path in save_audit(found, made_cases(tmp_path / "videos", ("ink",))[0], tmp_path / "o")
    )
    write_frames(tmp_path / "videos" / "clear", moving_frames(8, height=240, width=320), "{:d}.png")
    both = audit(made_cases(tmp_path / "videos", ("neon",)), workers=0).styles.set_index("style")
    clear = audit(made_cases(tmp_path / "videos" / "clear", ("neon",)), workers=0).styles.set_index("style")
    assert both.loc["neon", "motion"] == clear.loc["neon", "motion"] > 0


def test_many_problems_are_told_in_few_lines():
    why = [[f"video {i}", style, f"{style} {i}"] for style in ("ink", "original") for i in range(5)]
    empty = pd.DataFrame()
    found = Audit(empty, empty, empty, pd.DataFrame(why, columns=["video", "style", "why"]))
    assert found.left_out() == [
        *("ink 0", "ink 1", "ink 2", "2 more copies in style ink"),
        *("original 0", "original 1", "original 2", "2 more videos"),
    ]


def test_encoded_copies_from_elsewhere_are_found(places, tmp_path):
    for name in "ab":
        write_video(tmp_path / "style_7" / f"{name}.mp4", 255 - moving_frames(10, seed=ord(name) - 97))
    assert [list(case.clips().copies) for case in rendered_cases(places / "videos", tmp_path, "folders")] == [["7"]] * 2


def test_copies_from_elsewhere_may_lack_a_few_frames_and_ours_none(places, tmp_path):
    for name in "ab":
        for style in "01":
            write_frames(tmp_path / f"style_{style}" / name, moving_frames(9), "frame_{:05d}.jpg")
    assert all(len(case.clips().filmed) == 9 for case in rendered_cases(places / "videos", tmp_path, "folders"))
    data = tmp_path / "data"
    render(places / "videos", data, Settings(("ink",)), workers=0)
    (data / "style_1" / "a" / "frame_00003.jpg").unlink()
    found = audit(rendered_cases(places / "videos", data), workers=0)
    assert list(found.problems["video"]) == ["a"]
    assert "9 frames, but its original has 10" in found.problems["why"][0]


def test_what_cannot_be_audited_at_all_is_a_slip(places, tmp_path):
    write_video(tmp_path / "videos" / "one.mp4", coded_frames(1))
    write_frames(tmp_path / "data" / "style_1" / "two", moving_frames(3))
    for place, layout, said in (
        (tmp_path / "videos", None, "is not a data set that was rendered here"),
        (tmp_path / "videos", "ssv", "Did you mean 'ssv2'"),
        (tmp_path / "videos", "ssv2", "does not contain styles"),
        (tmp_path / "data", "folders", "None of the videos"),
    ):
        with pytest.raises(UserError, match=said):
            rendered_cases(tmp_path / "videos", place, layout)
    with pytest.raises(UserError, match=r"None of the videos can be judged\. .*one.mp4: two frames are required"):
        audit(made_cases(tmp_path / "videos" / "one.mp4", ("ink",)), workers=0)


def test_the_rate_of_data_from_elsewhere_can_be_given(tmp_path):
    write_video(tmp_path / "videos" / "two.mp4", moving_frames(9))
    write_frames(tmp_path / "data" / "style_1" / "two", moving_frames(3))
    (case,) = rendered_cases(tmp_path / "videos", tmp_path / "data", "folders", fps=Fraction(10, 3))
    assert len(case.clips().filmed) == 3


def test_the_report_is_whole_and_needs_no_network(places, tmp_path):
    cases = made_cases(places / "videos", ("ink", "mosaic"), frames=4)
    found = audit(cases, workers=0)
    paths = save_audit(found, liveliest(found, cases), tmp_path / "out")
    assert {path.name for path in paths} == {path.name for path in (tmp_path / "out").iterdir()}
    clips = pd.read_csv(tmp_path / "out" / "clips.csv")
    assert len(clips) == 2 * 3
    page = (tmp_path / "out" / "audit.html").read_text()
    assert page.count("<svg") == 2
    assert "data:image/png;base64," in page
    for limit in LIMITS:
        assert limit.reason in page
    assert not re.search(r'<script|<link|(src|href)="(?!data:|#)', page)
    assert draw_sheet(found, cases[1]).shape[2] == 3


def test_the_reencoded_copy_looks_the_same(places):
    frames = moving_frames(6)
    copy = re_encoded(frames)
    assert abs(copy.astype(int) - frames).mean() < 5
    np.testing.assert_array_equal(copy, re_encoded(frames))


def test_every_built_in_style_keeps_the_motion_of_factorial_clips():
    judged = judge_study(open_source("factorial:3,sensor=0"), list_styles(), seed=0)
    table = pd.DataFrame(judged.table).set_index("style").loc[list_styles()]
    for limit in LIMITS:
        if limit.measure != "edges":  # pen strokes cannot follow textures of a few pixels
            assert not [style for style, value in table[limit.measure].items() if limit.missed(value)]


@pytest.mark.slow
@pytest.mark.skipif(not CLIPS.is_dir(), reason="real clips are not there")
def test_every_built_in_style_passes_on_real_clips():
    cases = [
        made_cases(CLIPS / name, list_styles(), frames=6)[0]
        for name in ("car_turn.mp4", "cockatoo.mp4", "kinetics_flipping_pancake.mp4", "woman_running.mp4")
    ]
    found = audit(cases, workers=0)
    judged = found.styles.set_index("style")["verdict"].drop([FLOOR, ANOTHER])
    assert dict(judged) == dict.fromkeys(list_styles(), PASS)


# --- the commands ------------------------------------------------------------------------------------------------


def test_the_commands_audit_and_tell(places, tmp_path, capsys):
    out = tmp_path / "out"
    line = f"audit {places / 'videos'} {places / 'data'} --out {out} --frames 4 --max-videos 1 --workers 0"
    assert command(lambda: run(line.split())) == 0
    assert "neon" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {path.name for path in files_of(out)}
    Image.new("RGB", (8, 8)).save(tmp_path / "ink.png")
    there, new = places / "videos", f"--out {tmp_path / 'new'}"
    for arguments, said in (
        (f"audit {there}", "The option --out is required"),
        (line, "styles.csv exists already: remove it"),
        (f"scrambles --out {out / 'styles.csv'}", "exists already"),
        (f"styles --pictures {out.parent}", "exists already"),
        (
            f"audit {there} {places / 'data'} --styles ink {new}",
            "--styles and --seed apply only to copies that are rendered",
        ),
        (f"audit {there} {places / 'data'} --fps 5 {new}", "--layout and --fps apply only to other data sets"),
        (f"audit {there} {places / 'data'} --out {places / 'data'}", "must not be inside the data set"),
        (f"audit {there} --layout ssv2 {new}", "--layout and --fps require a rendered data set"),
        (f"audit {there} --seed -1 {new}", "--seed of an audit must be 0 or more"),
        (f"audit {there} --frames 1 {new}", "--frames of an audit must be 2 or more. Got 1"),
        (f"audit {there} --max-videos 0 {new}", "--max-videos of an audit must be 1 or more. Got 0"),
        (f"audit {there} --styles original {new}", "no style to judge"),
        (f"audit {places / 'gone'} {new}", "gone does not exist"),
        ("scrambles --kinds shufle", "Did you mean 'shuffle'"),
        ("scrambles --lengths four", "whole numbers are required"),
        ("scrambles --draws 1", "The --draws must be 2 or more"),
    ):
        assert command(lambda arguments=arguments: run(arguments.split())) == 2
        (error,) = capsys.readouterr().err.splitlines()
        assert said in error


def test_a_small_picture_of_every_style_is_drawn(places, tmp_path, capsys):
    for name, options in (("own", []), ("video", ["--video", str(places / "videos" / "a.mp4")])):
        run(["styles", "--pictures", str(tmp_path / name), *options])
        drawn = {path.stem: Image.open(path).size for path in (tmp_path / name).iterdir()}
        assert set(drawn) == {"original", *list_styles()}
        assert set(drawn.values()) == {(192, 144)}


def test_the_pictures_of_the_documents_show_every_style():
    there = {path.stem for path in (ROOT / "docs" / "images" / "styles").iterdir()}
    assert there == {"original", *list_styles()}
