"""DAVIS and what is made from it: which frames are used, what is read, what is left out, and the whole measurement."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from media import coded_frames, moving_frames, write_davis, write_frames
from PIL import Image
from planted import released
from torch import nn

import static_dynamic as sd
from static_dynamic.estimators.pairs import PairRule, make_pairs
from static_dynamic.flow import compute_flow
from static_dynamic.media.clip import Video
from static_dynamic.quality import MaskJudge, foreground
from static_dynamic.report.tables import quality_means
from static_dynamic.sources import Davis
from static_dynamic.variants import Variant

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "davis_mini"
ONE = sd.FlowRecipe(size=(16, 24))
TWO = replace(ONE, frames=2, flows=("forward", "backward"))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_davis(
        tmp_path_factory.mktemp("davis"), {"swan": 5, "bmx": 4, "still": 1}, styles=("Lynx", "Zuzka1", "own")
    )


def names(source):
    return [video.name for video in source.videos]


# ---------------------------------------------------------------- which frames


def test_frames_without_the_flow_that_the_model_takes_are_not_used(root):
    forward = Davis(root)
    assert names(forward) == [f"swan/{t:05d}" for t in range(4)] + [f"bmx/{t:05d}" for t in range(3)]
    both = Davis(root, flows=("forward", "backward"))
    assert names(both) == [f"swan/{t:05d}" for t in (1, 2, 3)] + [f"bmx/{t:05d}" for t in (1, 2)]
    assert names(Davis(root, every=2)) == ["swan/00000", "swan/00002", "bmx/00000", "bmx/00002"]
    assert {video.sequence for video in forward.videos} == {"swan", "bmx"}
    assert forward.left_out == [("still/00000", "in a sequence too short for flow (length 1)")]


def test_lists_of_davis_2017_name_whole_sequences(tmp_path):
    root = write_davis(tmp_path, {"swan": 3, "bmx": 3})
    shutil.rmtree(root / "ImageSets")
    assert names(Davis(root)) == [f"{name}/{t:05d}" for name in ("bmx", "swan") for t in (0, 1)]  # no list: everything
    (root / "ImageSets" / "2017").mkdir(parents=True)
    (root / "ImageSets" / "2017" / "val.txt").write_text("swan\n\ngone\n")
    source = Davis(root)
    assert names(source) == ["swan/00000", "swan/00001"]
    assert source.left_out == [("gone", f"no frames (line 3 of {root / 'ImageSets/2017/val.txt'})")]


def test_a_list_line_that_points_nowhere_costs_one_line(tmp_path):
    root = write_davis(
        tmp_path, {"swan": 3}, lines=["/JPEGImages/480p/gone/00000.jpg x", "/JPEGImages/480p/swan/00009.jpg x"]
    )
    source = Davis(root)
    assert names(source) == ["swan/00000", "swan/00001"]
    images = root / "JPEGImages/480p"
    assert source.left_out == [
        ("swan/00009", f"no image (in {images / 'swan'})"),
        ("gone/00000", f"no image (in {images / 'gone'})"),
    ]


def test_cinematograms_have_a_short_video_for_every_frame(tmp_path):
    root = write_davis(tmp_path, {"swan": 2})
    for kind, suffix in (("JPEGImages/480p", "jpg"), ("OpticalFlow_Real", "png"), ("stylized/JPEGImages/Lynx", "jpg")):
        for t in range(12):
            path = root / kind / "swan" / "00000" / f"{t:05d}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((32, 48, 3), t, np.uint8)).save(path)
    shutil.rmtree(root / "FlowImages_gap1")
    source = Davis(root, "StylizedDAVISCinematograms", root / "stylized", styles=("1",))
    assert names(source) == [f"swan_00000/{t:05d}" for t in range(9)]  # ten frames, the last without flow
    assert source.left_out == [("swan_00001", f"no frames (in {root / 'JPEGImages/480p/swan/00001'})")]
    clip = source.read(source.videos[7], ONE, "1")
    assert int(np.median(clip.flows["forward"])) == 7


@pytest.mark.parametrize("line", ["/JPEGImages/480p/../../secret/00000.jpg x", "..", "/JPEGImages/480p/../00001.jpg"])
def test_a_list_that_leads_out_of_the_data_is_refused_with_its_line(tmp_path, line):
    root = write_davis(tmp_path / "davis", {"swan": 3})
    write_frames(tmp_path / "davis/JPEGImages/secret", coded_frames(2), "{:05d}.jpg")
    (root / "ImageSets/480p/val.txt").write_text(f"\n{line}\n")
    if "secret" in line:  # a name is taken from its last parts, so that this one stays inside
        with pytest.raises(sd.UserError, match=r"No frame of DAVIS .* 1 no image \(secret/00000\)"):
            Davis(root)
    else:
        with pytest.raises(sd.UserError, match=r"val\.txt, line 2: the name of a video must be a path inside"):
            Davis(root)


def test_a_frame_that_is_listed_twice_counts_once(tmp_path):
    root = write_davis(tmp_path, {"swan": 3}, lines=["/JPEGImages/480p/swan/00001.jpg x"])
    source = Davis(root)
    assert names(source) == ["swan/00000", "swan/00001"]
    path = root / "ImageSets/480p/val.txt"
    assert source.left_out == [("swan/00001", f"listed more than once (line 4 of {path})")]


def test_folders_behind_links_and_folders_without_frames_are_not_lost(tmp_path):
    root = write_davis(tmp_path / "davis", {"swan": 3, "bmx": 3})
    (root / "JPEGImages/480p/swan").rename(tmp_path / "elsewhere")
    (root / "JPEGImages/480p/swan").symlink_to(tmp_path / "elsewhere")
    listed = names(Davis(root))
    shutil.rmtree(root / "ImageSets")
    for empty in ("empty", ".hidden"):
        (root / "JPEGImages/480p" / empty).mkdir()
    source = Davis(root)
    assert sorted(names(source)) == sorted(listed) == ["bmx/00000", "bmx/00001", "swan/00000", "swan/00001"]
    assert source.left_out == [("empty", f"no frames (in {root / 'JPEGImages/480p/empty'})")]


# ---------------------------------------------------------------- what is read


@pytest.mark.parametrize("extension", ["png", "jpeg", "JPG", "PNG"])
def test_images_flow_and_masks_of_any_extension_are_found(tmp_path, extension):
    """Also where every kind of data has another, and the list names the published one."""
    plain = write_davis(tmp_path / "plain", {"swan": 4}, styles=("Lynx",))
    root = write_davis(tmp_path / "other", {"swan": 4}, styles=("Lynx",))
    for path in (path for path in sorted(root.rglob("*")) if path.suffix in (".png", ".jpg")):
        with Image.open(path) as image:
            image.save(path.with_suffix(f".{extension}"), quality=100)
        if path.suffix != f".{extension}":
            path.unlink()
    sources = [
        Davis(place, "StylizedDAVIS", place / "stylized", styles=("1",), flows=TWO.flows) for place in (plain, root)
    ]
    assert names(sources[1]) == names(sources[0]) == ["swan/00001", "swan/00002"]
    for video in sources[0].videos:
        for style in (None, "1"):
            clips = [source.read(video, TWO, style) for source in sources]
            for one, other in zip(*[(clip.frames, *clip.flows.values()) for clip in clips], strict=True):
                assert np.abs(one.astype(int) - other).mean() < 2
        masks = [source.truth(video)[0] for source in sources]
        assert np.array_equal(*masks)
        assert sources[1].stamp(video).startswith("5 files, ")  # image, style, two flows, mask


def test_flow_of_png_frames_is_computed_and_found(tmp_path):
    from static_dynamic.flow.tree import compute_flow

    for t, frame in enumerate(moving_frames(3)):
        path = tmp_path / "JPEGImages/480p/a" / f"{t:05d}.PNG"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(frame).save(path)
    compute_flow(tmp_path, workers=0)
    source = Davis(tmp_path)
    assert names(source) == ["a/00000", "a/00001"]
    assert source.read(source.videos[0], ONE).flows["forward"].shape == (1, 72, 96, 3)


def test_the_style_changes_the_image_and_never_the_flow(root):
    source = Davis(root, "StylizedDAVIS", root / "stylized", styles=("1", "3", "own"))
    video = source.videos[2]
    clips = {style: source.read(video, ONE, style) for style in ("1", "3", "own", None)}
    assert source.styles == ("1", "3", "own")
    assert [int(clip.frames[0, -1, -1, 0]) for clip in clips.values()] == pytest.approx([40, 26, 20, 80], abs=2)
    for clip in clips.values():
        assert np.array_equal(clip.flows["forward"], clips["1"].flows["forward"])
        assert clip.frames.shape == clip.flows["forward"].shape == (1, 32, 48, 3)


def test_two_frames_are_drawn_from_one_sequence_and_never_the_same(root):
    numbers = {}
    for seed in (1, 1, 2, 3, 4, 5):
        source = Davis(root, flows=TWO.flows, seed=seed)
        for video in source.videos:
            clip = source.read(video, TWO)
            first, second = clip.sample.numbers
            assert f"{first:05d}" == video.name.split("/")[1]
            assert second != first
            assert clip.flows.keys() == {"forward", "backward"}
            numbers.setdefault(video.name, []).append(second)
    assert {1, 2, 3} >= {i for seconds in numbers.values() for i in seconds}
    assert len(set(numbers["swan/00002"])) == 2  # the draw depends on the seed
    assert all(first == second for first, second, *_ in numbers.values())  # and on nothing else


def test_flow_is_brought_to_the_size_of_its_image(tmp_path):
    root = write_davis(tmp_path, {"swan": 3})
    path = root / "FlowImages_gap1/swan/00000.png"
    Image.open(path).resize((24, 16)).save(path)
    source = Davis(root)
    assert source.read(source.videos[0], ONE).flows["forward"].shape == (1, 32, 48, 3)
    Image.open(path).resize((32, 32)).save(path)
    with pytest.raises(sd.BadClip, match=r"this flow is 32x32 pixels, its image 48x32. Proportions differ"):
        source.read(source.videos[0], ONE)


SLIPS = {
    "no such folder": ({"root": "nowhere"}, r"No data set in the layout of DAVIS in .*nowhere"),
    "split": ({"split": "vall"}, r"Unknown split 'vall'.*Did you mean 'val'"),
    "data set": ({"dataset": "StylizedDavis"}, r"Unknown data set 'StylizedDavis'\. Did you mean 'StylizedDAVIS'"),
    "no stylized folder": ({"dataset": "StylizedDAVIS"}, r"The style '1' of StylizedDAVIS requires the folder"),
    "a published style that is not there": (
        {"dataset": "StylizedDAVIS", "stylized": "stylized", "styles": ("1", "2")},
        r"Unknown style '2 \(Maruska640\)'.*Allowed: Lynx, Zuzka1, own",
    ),
    "no styles there": (
        {"dataset": "StylizedDAVIS", "stylized": "Annotations"},
        "No stylized images in .*a folder for each",
    ),
    "every": ({"every": 0}, r"'every'.*positive"),
    "no flow": ({"flows": ("sideways",)}, None),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_slips_are_one_line(slip, root):
    options, message = SLIPS[slip]
    options = {**options}
    place = root / options.pop("root", ".")
    if "stylized" in options:
        options["stylized"] = root / options["stylized"]
    if message is None:
        with pytest.raises(sd.UserError, match="Unknown direction"):
            sd.FlowRecipe(**options)
        return
    with pytest.raises(sd.UserError, match=message) as error:
        Davis(place, **options)
    assert "\n" not in str(error.value)


def test_missing_flow_says_how_to_make_it(tmp_path):
    root = write_davis(tmp_path, {"swan": 3})
    shutil.rmtree(root / "FlowImages_gap-1")
    assert Davis(root).flows == ("forward",)
    with pytest.raises(sd.UserError, match=r"No backward flow in .*static-dynamic flow"):
        Davis(root, flows=("forward", "backward"))


# ---------------------------------------------------------------- the measurement


class Streams(nn.Module):
    """Units that see the image alone, the flow alone, and their product; its mask is where the image is red."""

    def __init__(self):
        super().__init__()
        self.app, self.mot, self.both = nn.Identity(), nn.Identity(), nn.Identity()

    def forward(self, inputs):
        image, flow = (x.flatten(0, 1) if x.ndim == 5 else x for x in (inputs["Image"], inputs["Flow"]))
        a, m = self.app(image), self.mot(flow)
        self.both(a.mean(1, keepdim=True) * m[:, :3].mean(1, keepdim=True))
        return ((image[:, :1] - image[:, 2:3]) > 1).float()


STAGES = {name: (name, "(N T) C H W") for name in ("app", "mot", "both")}


@pytest.mark.parametrize("recipe", [ONE, TWO], ids=["one frame", "two frames"])
def test_streams_are_static_and_dynamic_by_construction(root, recipe):
    source = Davis(root, flows=recipe.flows)
    result = released(Streams(), source, STAGES, recipe=recipe, styles=("original", "solarise", "neon"))
    units = result.units.groupby("stage")[["dynamic", "static"]]
    lowest, highest = units.min(), units.max()
    assert lowest.loc["app", "static"] == pytest.approx(1)  # the jitter leaves the image as it is
    assert lowest.loc["mot", "dynamic"] == pytest.approx(1)  # a style leaves the flow as it is
    assert highest.loc["app", "dynamic"] < 0.9
    assert highest.loc["mot", "static"] < 0.9
    assert set(result.layers["videos"]) == {2}  # sequences
    assert result.manifest["left_out"] == [["still/00000", "in a sequence too short for flow (length 1)"]]


@pytest.mark.parametrize("change", ["jitter", "rotate", "scale", "swap"])
def test_every_change_of_flow_changes_the_flow_alone_and_repeats(root, change, tmp_path):
    def run(folder):
        return released(
            Streams(),
            Davis(root),
            STAGES,
            recipe=ONE,
            styles=("original", "neon"),
            scrambles=(change,),
            store=tmp_path / folder,
        )

    result, again = run("a"), run("b")
    pd.testing.assert_frame_equal(result.layers, again.layers)
    index = pd.concat(pd.read_parquet(path) for path in sorted((tmp_path / "a").glob("[0-9]*.parquet")))
    assert set(index["order"]) == {"intact", change}
    units = result.units.set_index("stage")
    assert (units.loc["app", "static"] > 1 - 1e-6).all()
    assert (units.loc["mot", "static"] < 1 - 1e-6).any()


def test_an_unreadable_frame_costs_one_line(tmp_path):
    root = write_davis(tmp_path, {"swan": 5, "bmx": 5})
    (root / "FlowImages_gap1/swan/00001.png").unlink()
    result = released(
        Streams(), Davis(root), STAGES, recipe=ONE, styles=("original", "neon"), compute=sd.Compute(max_bad=0.2)
    )
    assert [line for line in result.warnings if line.startswith("Skipped")] == [
        f"Skipped swan/00001: {root / 'FlowImages_gap1/swan/00001.png'}: this frame is missing."
    ]


def test_pairs_of_one_sequence_depend_on_each_other():
    variants = [
        Variant(f"{sequence}/{frame}", style, "intact")
        for sequence in "ab"
        for frame in range(3)
        for style in ("x", "y")
    ]
    rule = PairRule(scrambled=False)
    labels = {key.video: key.video[0] for key in variants}
    pairs = make_pairs(variants, rule, labels, {v.video: v.video[0] for v in variants})
    assert [variants[i].video[0] for i in pairs.a] == ["ab"[i] for i in pairs.video]
    alone = make_pairs(variants, rule, labels)
    assert [variants[i].video for i in alone.a] == [f"{'ab'[i // 3]}/{i % 3}" for i in alone.video]


def test_four_factors_without_a_residual(root):
    rule = sd.PairRule(n_factors=4, residual_index=-1)
    options = {"recipe": ONE, "styles": ("original", "neon"), "scoring": sd.Scoring(rule)}
    layers = released(Streams(), Davis(root), STAGES, **options).layers
    scores = layers.pivot(index="stage", columns="factor", values="score")
    assert list(layers["factor"][:4]) == ["dynamic", "static", "differ", "same"]
    assert (scores["same"] > scores["differ"]).all()
    assert scores.loc["app", "static"] == pytest.approx(1)


# ---------------------------------------------------------------- masks


def test_masks_are_judged_in_the_same_pass(root, tmp_path):
    source = Davis(root)
    options = {"recipe": ONE, "styles": ("original", "neon"), "judge": MaskJudge(source)}
    result = released(Streams(), source, STAGES, store=tmp_path / "store", **options)
    quality = result.quality
    assert len(quality) == 7 * 2 * 2
    filmed = quality[(quality["style"] == "original") & (quality["order"] == "intact")]
    assert (filmed["J"] > 0.7).all()  # the square is the red one
    means = quality_means(quality).set_index(["style", "order"])
    by_hand = filmed.groupby("sequence")["J"].mean().mean()
    assert means.loc[("original", "intact"), "J"] == pytest.approx(by_hand)
    assert means.loc[("original", "intact"), "success_50"] == (filmed["box"] > 0.5).mean()
    loaded = sd.load(result.save(tmp_path / "run"))
    pd.testing.assert_frame_equal(loaded.quality, quality)
    # A stopped run goes on with the judgements that it had.
    again = released(Streams(), source, STAGES, store=tmp_path / "store", **options)
    pd.testing.assert_frame_equal(again.quality, quality)


def test_a_missing_mask_leaves_the_measurement_whole(tmp_path):
    root = write_davis(tmp_path, {"swan": 4})
    (root / "Annotations/480p/swan/00001.png").unlink()
    source = Davis(root)
    result = released(Streams(), source, STAGES, recipe=ONE, styles=("original", "neon"), judge=MaskJudge(source))
    assert result.quality["J"].notna().sum() == 2 * 4
    assert [line for line in result.warnings if line.startswith("Not judged")] == [
        f"Not judged swan/00001: {root / 'Annotations/480p/swan/00001.png'}: this mask is missing."
    ]
    assert set(result.layers["pairs"]) == {0, 3, 6}


def test_boxes_stand_in_for_masks_where_a_data_set_has_only_them(tmp_path):
    root = write_davis(tmp_path, {"swan": 4})
    shutil.rmtree(root / "Annotations")
    (root / "Annotations").mkdir()
    attributes = json.dumps({"name": "rect", "x": 2, "y": 4, "width": 12, "height": 12})
    with (root / "Annotations" / "annotations.csv").open("w") as file:
        pd.DataFrame(
            {"filename": ["/swan/00001.jpg"], "region_shape_attributes": [attributes], "region_attributes": ["{}"]}
        ).to_csv(file, index=False)
    judge = MaskJudge(Davis(root, "MoCA"))
    output = torch.zeros(1, 1, 64, 96)  # twice the size of the image in which the box is annotated
    output[..., 8:32, 4:28] = 1
    judged = judge(Video("swan/00001"), output)
    assert judged["box"] == 1
    assert judge(Video("swan/00000"), output) == {}


def test_only_masks_are_judged(root):
    with pytest.raises(sd.UserError, match="no annotated masks"):
        MaskJudge(sd.open_source("factorial:2"))
    with pytest.raises(sd.UserError, match=r"Only masks can be judged.*Got \(1, 5\)"):
        foreground(torch.zeros(1, 5))
    logits = torch.tensor([0.0, 2.0]).view(1, 2, 1, 1)
    assert foreground(logits).item() == pytest.approx(torch.sigmoid(torch.tensor(2.0)).item())


@pytest.mark.skipif(not SHARED.exists(), reason="real frames are not at hand")
def test_the_published_list_of_davis_is_read():
    source = Davis(SHARED, flows=())
    assert len(source.videos) == 72
    mask, box, size = source.truth(source.videos[0])
    assert mask.shape == size == (480, 854)
    assert 0.01 < mask.mean() < 0.5
    assert box is None


@pytest.mark.parametrize("suffix", [".png", ".jpeg", ".JPG"])
def test_frames_of_any_extension_get_flow_and_are_found(tmp_path, suffix):
    write_davis(tmp_path, {"a": 4}, styles=["Ink"], suffix=suffix)
    for made in ("FlowImages_gap1", "FlowImages_gap-1"):
        shutil.rmtree(tmp_path / made)
    assert compute_flow(tmp_path).written == 6
    source = Davis(tmp_path, stylized=tmp_path / "stylized", styles=["Ink"])
    assert [video.name for video in source.videos] == ["a/00000", "a/00001", "a/00002"]
    for style in (None, "Ink"):
        clip = source.read(source.videos[1], sd.FlowRecipe(size=(32, 48)), style)
        assert clip.frames.shape == clip.flows["forward"].shape == (1, 32, 48, 3)
    mask, _, size = source.truth(source.videos[1])
    assert mask.sum() == 144
    assert size == (32, 48)
    before = source.stamp(source.videos[1])
    frame = tmp_path / "JPEGImages" / "480p" / "a" / f"00001{suffix}"
    frame.write_bytes(frame.read_bytes() + b" ")
    assert source.stamp(source.videos[1]) != before
