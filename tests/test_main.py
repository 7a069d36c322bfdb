"""The entry point: the published commands verbatim, every flag, and one clear line for every slip."""

import csv
import json
import re
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from media import coded_frames, write_frames, write_stylized, write_video
from PIL import Image
from planted import RECIPE, STAGES, PlantedModel, PlantedVideos

import static_dynamic as sd
from static_dynamic import main
from static_dynamic.config import Config, read_config
from static_dynamic.estimators.registry import estimators
from static_dynamic.program.measure import stage_names
from static_dynamic.program.saving import save
from static_dynamic.program.showing import show

SHARED = Path(__file__).parents[2] / "shared" / "data" / "videos"
SMALL = ["--image_size", "32", "--replicates", "50"]
LENGTHS = {"StylizedActivityNet": 70, "ssv2": 40, "Diving48": 66}


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty folder to work in: runs/ is made there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def moving(frames=20, height=48, width=64, seed=0):
    """A textured square that moves over a textured ground."""
    g = np.random.default_rng(seed)
    ground, patch = (
        g.integers(0, 255, (height, width, 3), dtype=np.uint8),
        g.integers(0, 255, (16, 16, 3), dtype=np.uint8),
    )
    clip = np.repeat(ground[None], frames, 0)
    for t in range(frames):
        x = (3 * t) % (width - 16)
        clip[t, 8:24, x : x + 16] = patch
    return clip


@pytest.fixture
def videos(work):
    for i in range(3):
        write_video(work / "videos" / f"clip{i}.mp4", moving(seed=i))
    return work / "videos"


def succeeds(*arguments):
    assert main.main([str(argument) for argument in arguments]) == 0


def fails(capsys, *arguments):
    """Exit code 2 and one line on stderr, which is returned."""
    code = main.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert code == 2
    assert len(lines) == 1, captured.err
    assert "Traceback" not in captured.err + captured.out
    return lines[0]


def test_a_run_on_video_files_writes_everything(videos, capsys):
    succeeds("--model", "i3d", "--videos", videos, *SMALL)
    folder = Path("runs/i3d_videos")
    written = {path.name for path in folder.iterdir()}
    assert written == {
        "layers.parquet", "layers.csv", "units.parquet", "samples.safetensors", "twins.csv", "run.json", "report.html",
        "pictures.parquet", "top_clips.parquet",
        "i3d_dim_est.csv", "store",
        *(
            f"{name}{of}.{kind}"
            for name in ("layers", "units")
            for of in ("", "-released")
            for kind in ("svg", "png", "data.csv")
        ),
    }  # fmt: skip
    assert sd.load(folder).stages == [f"stage{i}" for i in range(1, 6)]
    manifest = json.loads((folder / "run.json").read_text())
    assert manifest["checkpoint"] is None
    assert [video["video"] for video in manifest["videos"]] == ["clip0.mp4", "clip1.mp4", "clip2.mp4"]
    assert "random" in manifest["warnings"][0]
    shown = capsys.readouterr().out
    assert re.search(r"stage5 .*\[.*\]", shown)
    assert "weights of i3d_r50_8x8 are random" in shown


def test_style_folders_are_measured_without_annotations(work):
    for style in "012":
        for name in "ab":
            write_frames(work / "mine" / f"style_{style}" / name, coded_frames(9, int(style)))
    succeeds("--stylized_data_dir", "mine", "--dataset", "folders", "--model", "x3d_xs", "--stg", "5", *SMALL)
    manifest = json.loads(Path("runs/x3d_xs_mine/run.json").read_text())
    assert manifest["study"]["source"]["styles"] == ["1", "2"]
    assert not list(Path("runs").glob("*folders*"))


@pytest.mark.parametrize("dataset", LENGTHS)
@pytest.mark.parametrize("more", [[], ["--joint_encoding", "True"]])
def test_the_published_commands_verbatim(work, dataset, more):
    """Only the size of the images is added, to be quick."""
    write_stylized(
        work / "D", dataset, {f"video{i}": LENGTHS[dataset] + i for i in range(2)}, styles=("1", "2", "3", "4")
    )
    succeeds("--stylized_data_dir", "D", "--dataset", dataset, "--model", "i3d", "--stg", "5", *more, *SMALL)
    folder = Path("runs") / f"i3d_{dataset}"
    dims, percent = csv.reader((folder / "i3d_dim_est.csv").open())
    assert sum(map(int, dims)) == 2048
    assert [round(100 * int(d) / 2048, 1) for d in dims] == [float(p) for p in percent]
    assert (folder / "joint_encoding.csv").exists() == bool(more)
    result = sd.load(folder)
    assert result.manifest["study"]["styles"] == ["1", "2", "3", "4"]
    assert result.layer("released")["pairs"].tolist() == [
        12,
        8,
        0,
    ]  # 2 videos x (6 pairs of styles, 4 styles scrambled)


def test_every_published_flag_is_accepted(work):
    write_stylized(work / "D", "Diving48", {f"v{i}": 66 for i in range(4)}, styles=("0", "1", "2"))
    flags = {
        "save_dir": "out", "random_seed": 7, "stylized_data_dir": "D", "dataset": "Diving48", "app_shuffle": "True",
        "use_normal_app": "True", "m_same": "True", "model": "slowfast_r50_4x16", "stg": 3, "path": "cat", "fuse": "False",
        "gp": "avg", "trained_on": "diving48", "n_factors": 3, "styles": "1,2", "residual_index": 2, "joint_encoding": "False",
        "joint_encoding_thresh": 0.4, "batch_size": 3, "image_size": 32, "n_sample_frames": 40, "n_examples": 2,
        "device": "cpu", "num_workers": 2,
    }  # fmt: skip
    Path("options.yaml").write_text("replicates: 20\n")
    succeeds("--cfg_file", "options.yaml", *[part for name, value in flags.items() for part in (f"--{name}", value)])
    result = sd.load("out")
    assert result.stages == ["slow.stage3+fast.stage3"]
    assert result.layers["units"].unique().tolist() == [512 + 64]
    assert result.manifest["study"]["styles"] == ["1", "2", "original"]
    assert result.manifest["study"]["recipe"]["span"] == 40
    assert result.described("released")["options"] == {"threshold": 0.4}
    assert len(result.manifest["videos"]) == 2
    assert not Path("out/joint_encoding.csv").exists()
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("text", "value"), [("False", False), ("false", False), ("0", False), ("True", True), ("1", True)]
)
def test_booleans_parse_as_booleans(text, value):
    names = [name for name, field in Config.model_fields.items() if field.annotation is bool]
    assert {"app_shuffle", "use_normal_app", "m_same", "fuse", "joint_encoding"} <= set(names)
    for name in names:
        assert getattr(read_config(["--videos", "x", f"--{name}", text]), name) is value


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--stg", "5"], ["fast.stage5"]),
        (["--stg", "5", "--path", "slow"], ["slow.stage5"]),
        (["--stg", "2", "--path", "slow"], ["fused.stage2"]),
        (["--stg", "2", "--path", "slow", "--fuse", "False"], ["slow.stage2"]),
        (["--stg", "2", "--path", "cat"], ["fused.stage2+fast.stage2"]),
        (["--stage", "2"], ["fast.stage2"]),
        (["--stg", "1,2"], ["fast.stage1", "fast.stage2"]),
        (["--stg", "slow.*"], ["slow.*"]),
    ],
)
def test_stages_are_named_as_published(flags, expected):
    declared = [f"{stream}.stage{i}" for stream in ("slow", "fast") for i in range(1, 6)]
    declared += [f"fused.stage{i}" for i in range(1, 5)]
    assert stage_names(declared, read_config(["--videos", "x", *flags])) == expected


def test_flags_go_before_the_file_of_options(work):
    Path("o.yaml").write_text("model: slow_r50_8x8\nvideos: factorial:2\nstyles: [ink, neon]\n")
    Path("o.json").write_text(json.dumps({"model": "c2d", "videos": "factorial", "fuse": False}))
    config = read_config(["--cfg_file", "o.yaml", "--model", "i3d"])
    assert (config.model, config.videos, config.styles) == ("i3d", "factorial:2", ("ink", "neon"))
    assert read_config(["--cfg_file", "o.json"]).fuse is False


def test_a_checkpoint_is_loaded_and_its_digest_kept(videos):
    from static_dynamic import models

    model = models.create_model("i3d", seed=5)
    torch.save({"model_state": model.state_dict(), "epoch": 3}, "i3d.pyth")
    succeeds("--model", "i3d", "--checkpoint", "i3d.pyth", "--videos", videos, "--stg", "1", *SMALL)
    manifest = json.loads(Path("runs/i3d_videos/run.json").read_text())
    assert len(manifest["checkpoint"]["sha256"]) == 64
    assert not any("random" in warning for warning in manifest["warnings"])


def stored(folder):
    """The files of a store, and of those of untrained networks within it."""
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_going_on_with_a_run_and_scoring_it_anew(videos):
    command = ["--model", "i3d", "--videos", videos, "--stg", "1", *SMALL]
    succeeds(*command)
    first = stored("runs/i3d_videos/store")
    succeeds(*command, "--joint_encoding_thresh", "0.9")
    assert stored("runs/i3d_videos/store") == first
    assert sd.load("runs/i3d_videos").described("released")["options"] == {"threshold": 0.9}


def test_one_bad_video_among_many_is_recorded_and_skipped(videos):
    (videos / "text.mp4").write_text("not a video")
    succeeds("--model", "i3d", "--videos", videos, "--stg", "1", *SMALL)
    result = sd.load("runs/i3d_videos")
    assert result.layers["videos"].eq(3).all()
    assert any("Skipped text.mp4" in warning for warning in result.warnings)


def test_frame_folders(work):
    for i in range(2):
        write_frames(work / "frames" / f"v{i}", moving(seed=i), "{:05d}.jpg")
    write_frames(work / "frames" / "v9", moving(frames=1), "{:05d}.jpg")
    succeeds("--model", "i3d", "--videos", "frames", "--stg", "1", "--max_bad", "0.5", *SMALL)
    assert sd.load("runs/i3d_frames").layers["videos"].eq(2).all()


def test_the_look_of_an_image_is_a_style(videos):
    Image.fromarray(moving()[0]).save("my.png")
    succeeds("--model", "i3d", "--videos", videos, "--stg", "1", "--styles", "original,my.png", *SMALL)
    assert sd.load("runs/i3d_videos").layer("released")["pairs"].tolist() == [3, 6, 0]


def test_a_style_file_that_changes_under_its_name_is_another_study(videos, capsys):
    arguments = ("--model", "i3d", "--videos", videos, "--stg", "1", "--styles", "original,my.png", *SMALL)
    Image.fromarray(moving()[0]).save("my.png")
    succeeds(*arguments)
    Image.fromarray(255 - moving()[0]).save("my.png")
    assert "style_files" in fails(capsys, *arguments)


def test_styles_can_be_judged_first_and_weighed(videos, capsys):
    Image.fromarray(moving()[0]).save("my.png")
    arguments = ("--model", "i3d", "--videos", videos, "--stg", "1", "--styles", "ink,my.png,neon", *SMALL)
    succeeds(*arguments, "--audit", "weigh", "--save_dir", "weighed")
    assert "Audit of the styles" in capsys.readouterr().out
    weighed = sd.load("weighed")
    table = {row["style"]: row for row in weighed.manifest["audit"]}
    weights = weighed.manifest["scoring"]["style_weights"]
    assert weights == {style: pytest.approx(min(table[style]["motion"], 1), abs=1e-4) for style in weights}
    assert list(weights) == ["ink", "my.png", "neon"]
    assert "Pairs are weighted" in weighed.warnings[-1]
    page = (videos.parent / "weighed" / "report.html").read_text()
    assert f"<td>{weights['ink']:.2f}</td>" in page
    succeeds(*arguments, "--audit", "warn", "--save_dir", "warned")
    warned = sd.load("warned")
    assert warned.manifest["scoring"]["style_weights"] == {}
    assert warned.manifest["audit"] == weighed.manifest["audit"]
    succeeds(*arguments, "--save_dir", "plain")
    plain = sd.load("plain")
    assert any("my.png has not been audited" in warning for warning in plain.warnings)
    pd.testing.assert_frame_equal(plain.layers, warned.layers)
    assert not np.allclose(plain.layer("released")["score"], weighed.layer("released")["score"])


@pytest.mark.skipif(not SHARED.exists(), reason="real clips are not there")
def test_real_clips(work):
    """The same run on real video; without the clips, generated ones above go the same way."""
    succeeds("--model", "i3d", "--videos", SHARED, "--n_examples", "3", "--stg", "5", *SMALL)
    assert sd.load("runs/i3d_videos").layers["videos"].eq(3).all()


def test_models_of_other_libraries(videos):
    succeeds("--model", "torchvision:r3d_18", "--stg", "5", "--videos", videos, *SMALL)
    folder = Path("runs/torchvision-r3d_18_videos")
    assert (folder / "torchvision-r3d_18_dim_est.csv").exists()
    assert sd.load(folder).layers["units"].tolist() == [512] * 5


def test_a_module_of_ones_own(videos, capsys):
    Path("mine.py").write_text("from torch import nn\ndef build():\n    return nn.Sequential(nn.Conv3d(3, 4, 3))\n")
    given = ["--model", "mine:build", "--videos", videos, "--stg", "0", "--layout", "N C T H W"]
    assert "does not declare its input: give --frames, --rate and --image-size" in fails(capsys, *given)
    succeeds(*given, "--frames", "4", "--rate", "2", *SMALL)
    result = sd.load("runs/mine-build_videos")
    assert result.manifest["study"]["recipe"]["frames"] == 4
    assert "as your function made them" in result.warnings[0]
    assert "declares no stages" in fails(capsys, *given[:4], "--frames", "4", "--rate", "2", *SMALL)


def test_a_model_of_another_input_form_needs_no_wrapper(videos, capsys):
    """As TransNet wants it: uint8, 27 x 48 pixels, (N, T, H, W, 3), and at a rate of its own."""
    Path("own_form.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = nn.Conv3d(3, 4, 1)\n"
        "    def forward(self, x):\n"
        "        assert x.shape[1:] == (6, 27, 48, 3) and x.dtype.is_floating_point is False and x.max() > 100\n"
        "        return self.conv(x.permute(0, 4, 1, 2, 3).float())\n"
    )
    given = [
        "--model",
        "own_form:Net",
        "--videos",
        videos,
        "--stg",
        "conv",
        "--layout",
        "N C T H W",
        "--replicates",
        "50",
    ]
    form = ["--frames", "6", "--rate", "1", "--image_size", "27x48", "--input_values", "uint8", "--fps", "5"]
    assert "failed on an input of shape (8, 3, 6, 27, 48): AssertionError" in fails(capsys, *given, *form)
    succeeds(*given, *form, "--input-layout", "T H W C")
    recipe = sd.load("runs/own_form-Net_videos").manifest["study"]["recipe"]
    assert (recipe["crop"], recipe["layout"], recipe["values"], recipe["fps"]) == ([27, 48], "T H W C", "uint8", 5)
    for slip, message in {
        ("--image_size", "27x48x3"): "The value of --image-size is invalid",
        ("--fps", "0"): "--fps is invalid: must be more than 0",
        ("--input_layout", "T H W"): "must name the axes C, T, H and W of one clip once each",
        ("--mean", "0.5"): "--mean is invalid",
        ("--std", "1,1,0"): "'std' of a recipe must be three positive numbers",
    }.items():
        assert message in fails(capsys, *given, *form, *slip)


SLIPS = {
    "no arguments": ([], "Give either --videos"),
    "no value": (["--videos"], "The option --videos requires a value"),
    "unknown library": (
        ["--videos", "factorial", "--model", "torchvison:r3d_18"],
        "torchvison.*Did you mean 'torchvision'",
    ),
    "unknown model of a library": (["--videos", "factorial", "--model", "torchvision:r3d_81"], "Did you mean 'r3d_18'"),
    "two sources": (["--videos", "v", "--stylized_data_dir", "d"], "Give either --videos"),
    "no data set": (["--stylized_data_dir", "d"], "requires --dataset"),
    "unknown data set": (
        ["--stylized_data_dir", "d", "--dataset", "Diving84"],
        "Unknown value 'Diving84' in --dataset.*Did you mean 'Diving48'",
    ),
    "unknown option": (["--vidoes", "v"], "Unknown option '--vidoes'.*Did you mean '--videos'"),
    "unknown model": (["--videos", "factorial", "--model", "i4d"], "Unknown model 'i4d'.*Did you mean 'i3d'"),
    "unknown stage": (["--videos", "factorial", "--stg", "stage9"], "Unknown stage 'stage9'.*Did you mean 'stage5'"),
    "no such stage": (["--videos", "factorial", "--stg", "9"], "Unknown stage '9' in --stages.*stage5"),
    "unknown style": (["--videos", "factorial", "--styles", "inck,neon"], "Unknown style 'inck'.*Did you mean 'ink'"),
    "unknown scramble": (["--videos", "factorial", "--scrambles", "shufle"], "'shufle'.*Did you mean 'shuffle'"),
    "one style": (["--videos", "factorial:2", "--styles", "ink"], "two styles are required"),
    "unknown device": (["--videos", "factorial", "--device", "gpu"], "Unknown device 'gpu'.*Allowed: auto"),
    "a GPU that is not there": (["--videos", "factorial", "--device", "77"], "'cuda:77' is not available"),
    "not a number": (
        ["--videos", "factorial", "--batch_size", "two"],
        "--batch-size is invalid: a whole number is required. Got 'two'",
    ),
    "negative seed": (
        ["--videos", "factorial", "--random_seed", "-1"],
        "--seed is invalid: must be 0 or more. Got '-1'",
    ),
    "out of range": (
        ["--videos", "factorial", "--joint_encoding_thresh", "3"],
        "--joint-encoding-thresh is invalid: must be 1 or less. Got '3'",
    ),
    "no boolean": (["--videos", "factorial", "--fuse", "perhaps"], "Unexpected argument 'perhaps'"),
    "wrong factors": (["--videos", "factorial", "--n_factors", "9"], "n_factors and residual_index must be 3 and 2"),
    "missing folder": (["--videos", "nowhere"], "nowhere"),
    "empty folder": (["--videos", "empty"], "No videos in empty"),
    "no such file of options": (["--cfg_file", "no.yaml"], "Cannot read no.yaml: the file does not exist"),
    "unknown field": (["--cfg_file", "unknown.yaml"], "Unknown option 'modell' in unknown.yaml.*Did you mean 'model'"),
    "no mapping": (["--cfg_file", "list.yaml"], "must be a mapping"),
    "no YAML": (["--cfg_file", "broken.yaml"], "neither YAML nor JSON"),
    "a split of what has none": (
        ["--stylized_data_dir", "styled", "--dataset", "folders", "--subset", "val"],
        "--subset is a split of annotations",
    ),
    "no styles": (
        ["--stylized_data_dir", "empty", "--dataset", "folders"],
        "No stylized data in empty. Searched for the folders style_<k>",
    ),
    "no annotations": (["--stylized_data_dir", "styled", "--dataset", "ssv2"], "something-something"),
    "missing checkpoint": (["--videos", "factorial", "--checkpoint", "no.pyth"], "no.pyth"),
    "a checkpoint that is text": (["--videos", "factorial", "--checkpoint", "text.pyth"], "text.pyth"),
    "factorial how many": (["--videos", "factorial:many"], "must be a number, e\\.g\\. 24.*'many'"),
    "an audit of one kind": (
        ["--videos", "factorial", "--audit", "weight"],
        "Unknown value 'weight' in --audit.*Did you mean 'weigh'",
    ),
    "nothing to audit": (["--videos", "factorial", "--styles", "original", "--audit", "warn"], "nothing to audit"),
    "no class for pairs": (["--videos", "frames", "--m_same", "False"], "need the class of every video"),
}


@pytest.mark.parametrize(("count", "interval"), [(2, r"\[–\]"), (3, r"\[-?\d+\.\d, \d+\.\d\]")])
def test_two_videos_show_a_dash_for_an_interval_and_why(capsys, count, interval):
    options = {"recipe": RECIPE, "styles": ("1", "2"), "scoring": sd.Scoring(replicates=20), "estimators": "released"}
    result = sd.measure(PlantedModel(), PlantedVideos(count), STAGES, **options, twins=0)
    show(result, Config(videos="factorial"))
    shown = capsys.readouterr().out
    assert len(re.findall(rf"\d+\.\d {interval}", shown)) == 3 * len(STAGES)
    assert ("Note: Too few videos (2) for intervals" in shown) == (count == 2)


def shown_result(**changes):
    """Two stages of needs-motion, one within the spread of untrained networks, and the published score."""
    keys = {"units": 2, "pairs": 5, "videos": 5}
    rows = [
        {"stage": stage, "estimator": "needs_motion", "factor": "motion", "share": value, "share_low": value - 1,
         "share_high": value + 1, "twin": 5.0, "twin_low": 2.0, "twin_high": 8.0, **keys}
        for stage, value in (("a[red]", 4.0), ("b", 40.0))
    ]  # fmt: skip
    rows += [
        {"stage": stage, "estimator": "released", "factor": factor, "share": share, "share_low": 1, "share_high": 99,
         "dims": share, "percent": share, **keys}
        for stage in ("a[red]", "b") for factor, share in (("dynamic", 20), ("static", 30), ("residual", 50))
    ]  # fmt: skip
    units = [
        {"stage": stage, "unit": 0, "estimator": name, "class": kind, "dynamic": 0.9, "static": 0.8}
        for stage in ("a[red]", "b")
        for name, kind in (("needs_motion", "still"), ("released", "joint"))
    ]
    return sd.Result(pd.DataFrame(rows).assign(**changes), pd.DataFrame(units))


def rows_shown(text, stage):
    """The cells of the lines of a stage."""
    lines = [line for line in text.splitlines() if f" {stage} " in line and "│" in line]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def test_the_headline_is_shown_first_and_beside_untrained_networks(capsys):
    show(shown_result(), Config(videos="factorial"))
    shown = capsys.readouterr().out
    assert shown.index("needs motion, % of what units tell about the clip") < shown.index("share of the layer")
    assert "untrained [spread]" in shown
    assert rows_shown(shown, "a[red]") == [
        ["a[red]", "4.0 [3.0, 5.0]", "5.0 [2.0, 8.0]", "not distinguishable from an untrained network"],
        ["a[red]", "20.0 [1.0, 99.0]", "30.0 [1.0, 99.0]", "50.0 [1.0, 99.0]"],
    ]
    assert rows_shown(shown, "b")[0] == ["b", "40.0 [39.0, 41.0]", "5.0 [2.0, 8.0]", "above untrained"]
    assert "Units of every class" not in shown
    assert "not compared with untrained copies" not in shown


def test_without_untrained_networks_it_is_said_how_to_get_them(capsys):
    show(shown_result(twin=np.nan, twin_low=np.nan, twin_high=np.nan), Config(videos="factorial"))
    shown = capsys.readouterr().out
    assert "untrained [spread]" not in shown
    assert (
        "These numbers are not compared with untrained copies, so they do not show what was learned: --twins 3."
        in shown
    )


def test_classes_are_shown_and_written_for_every_estimator_that_has_some(capsys, work):
    config = Config(videos="factorial", joint_encoding=True, out="out")
    save(shown_result(), config)
    show(shown_result(), config)
    shown = capsys.readouterr().out
    assert "Units of every class of needs_motion" in shown
    assert "Units of every class of released" in shown
    assert pd.read_csv("out/joint_encoding-needs_motion.csv")["still"].tolist() == [100, 100]
    assert pd.read_csv("out/joint_encoding.csv")["joint"].tolist() == [100, 100]


def test_published_files_hold_whole_numbers_of_the_released_rows(work):
    save(shown_result(), Config(videos="factorial", out="out", dim_outputs="dim", name="n"))
    assert Path("out/i3d_dim_est.csv").read_text().splitlines() == ["20,30,50", "20.0,30.0,50.0"] * 2
    text = Path("dim/vos_models/final/n/n_final_001.txt").read_text()
    assert text.splitlines()[0] == "Stage: a[red] , Dimensions: [20, 30, 50] [20.0, 30.0, 50.0]"


def test_estimators_and_twins_are_chosen(videos, capsys):
    succeeds("--videos", videos, "--stg", "1", "--estimators", "needs_order", "--twins", "2", *SMALL)
    result = sd.load("runs/i3d_videos")
    assert result.estimators == ["needs_order"]
    assert len({twin["seed"] for twin in result.manifest["twins"]}) == 2
    assert set(result.twins["twin"]) == {1, 2}
    assert not list(Path("runs/i3d_videos").glob("*_dim_est.csv"))
    captured = capsys.readouterr()
    assert "Note: published files are not written, since they require the estimator released." in captured.err
    assert "Where the time went" not in captured.out
    succeeds("--videos", videos, "--stg", "1", "--twins", "0", "--save_dir", "none", "--profile", *SMALL)
    assert sd.load("none").manifest["twins"] == []
    spent = sd.load("none").manifest["spent"]
    parts = {"reading", "restyling", "preparing", "waiting for videos", "model", "storing", "scoring"}
    assert parts | {"total", "processor"} <= spent.keys()
    assert min(spent.values()) >= 0
    shown = capsys.readouterr().out
    assert all(part in shown for part in ("Where the time went", "tables and figures", *parts))
    assert "needs_ordr" in fails(capsys, "--videos", videos, "--estimators", "needs_ordr", "--save_dir", "x", *SMALL)
    assert "--twins is invalid" in fails(capsys, "--videos", videos, "--twins", "-1", *SMALL)


def test_every_estimator_is_listed_with_its_sentence(capsys):
    succeeds("estimators")
    shown = " ".join(capsys.readouterr().out.split())
    for name, kind in estimators().items():
        assert f"{name} {kind.summary}" in shown


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_one_clear_line(work, capsys, slip):
    arguments, says = SLIPS[slip]
    Path("empty").mkdir()
    for style in "1234":
        Path(f"styled/style_{style}").mkdir(parents=True)
    Path("unknown.yaml").write_text("modell: i3d\nvideos: factorial\n")
    Path("list.yaml").write_text("- i3d\n")
    Path("broken.yaml").write_text("{model: [i3d\n")
    Path("text.pyth").write_text("hello")
    if slip == "no class for pairs":
        for i in range(2):
            write_frames(work / "frames" / f"v{i}", moving(seed=i), "{:05d}.jpg")
    before = {path for path in work.rglob("*") if path.is_file()}
    line = fails(capsys, *SMALL, *arguments)
    assert re.search(says, line), line
    kept = {path for path in work.rglob("*") if path.is_file()}
    assert kept == before  # nothing half-written, nothing lost


def test_a_checkpoint_of_another_model_and_of_other_classes(work, capsys):
    from static_dynamic import models

    torch.save({"model_state": models.create_model("slow_r50_8x8").state_dict()}, "slow.pyth")
    torch.save({"model_state": models.create_model("i3d", num_classes=48).state_dict()}, "d48.pyth")
    assert "keys" in fails(capsys, "--model", "slowfast_r50_8x8", "--videos", "factorial", "--checkpoint", "slow.pyth")
    given = ("--videos", "factorial:2", "--checkpoint", "d48.pyth", "--stg", "1", *SMALL)
    says = fails(capsys, *given, "--num_classes", "400")
    assert says.endswith(
        "has 48 classes, the model 400. Pass --num-classes 48, or --strict False for a random classifier."
    )
    succeeds(*given)
    result = sd.load("runs/i3d_factorial-2")
    assert result.manifest["num_classes"] == 48
    assert not any("random" in warning for warning in result.warnings)


def test_partial_weights_are_said_on_the_terminal_the_page_and_in_the_manifest(work, capsys):
    from static_dynamic import models

    state = models.create_model("i3d", num_classes=48).state_dict()
    torch.save({"model_state": {key: x for key, x in state.items() if key.startswith("s1.")}}, "part.pyth")
    succeeds("--videos", "factorial:2", "--checkpoint", "part.pyth", "--strict", "False", "--stg", "1", *SMALL)
    shown = capsys.readouterr()
    says = r"Only 5 of 267 weights \(0\.1 % of parameters\) came from part\.pyth; random: s2\..* more\."
    result = sd.load("runs/i3d_factorial-2")
    assert [warning for warning in result.warnings if re.fullmatch(says, warning)]
    assert result.manifest["checkpoint"]["filled"][:2] == [5, 267]
    assert len(result.manifest["checkpoint"]["missing"]) == 262
    assert re.search(f"Note: {says}", shown.out)
    assert "PartialWeights" not in shown.err
    assert re.search(says, Path("runs/i3d_factorial-2/report.html").read_text())


def test_a_pickle_that_tries_to_run_code_does_not(work, capsys):
    import pickle

    class Hostile:
        def __reduce__(self):
            return open, (str(work / "ran"), "w")

    Path("hostile.pkl").write_bytes(pickle.dumps({"blobs": Hostile()}))
    assert re.search("open.*trust", fails(capsys, "--videos", "factorial", "--checkpoint", "hostile.pkl"))
    assert not (work / "ran").exists()


def test_a_store_of_another_study_is_refused_and_kept(videos, capsys):
    command = ["--videos", videos, "--stg", "1", *SMALL]
    succeeds(*command)
    before = {path: path.read_bytes() for path in Path("runs").rglob("*") if path.is_file()}
    assert "seed is 1 there, 2 here" in fails(capsys, *command, "--random_seed", "2")
    assert {path: path.read_bytes() for path in Path("runs").rglob("*") if path.is_file()} == before
    succeeds(*command, "--random_seed", "2", "--resume", "False")


def test_a_folder_that_cannot_be_written(work, capsys):
    Path("file").write_text("in the way")
    assert "Cannot make the folder" in fails(capsys, "--videos", "factorial:2", "--save_dir", "file/run", *SMALL)


def test_the_table_of_a_finished_run_can_be_read_without_the_model(videos):
    succeeds("--videos", videos, "--stg", "1", *SMALL)
    pd.testing.assert_frame_equal(
        pd.read_csv("runs/i3d_videos/layers.csv"), pd.read_parquet("runs/i3d_videos/layers.parquet"), check_dtype=False
    )
    assert Path("runs/i3d_videos/layers.csv").stat().st_mode & stat.S_IRUSR
