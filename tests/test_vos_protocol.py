"""The segmentation protocol: the published configurations, the script over seeds, the loaders' sheets, and the whole command."""

import json
import os
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import cv2
import pandas as pd
import pytest
from doors import succeeds

from static_dynamic import main
from static_dynamic.config import input_recipe, read_config
from static_dynamic.flow.tree import compute_flow
from static_dynamic.models import ModelError, describe
from static_dynamic.models.segmentation.published import MATNET_VARIANTS, published_name, segmentation_model
from static_dynamic.sources.small_davis import write_small_davis
from static_dynamic.stylize.rendering.render import render
from static_dynamic.stylize.rendering.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = {
    "twostreamv3plus_davis": ("fusionseg_os16", "twostream_deeplabv3plus_resnet101_davis"),
    "twostreamv3plus_davis_cinematograms": ("fusionseg_os16", "twostream_deeplabv3plus_resnet101_davis"),
    "matnet_davis": ("matnet_gated", "matnet_fusion_type_gated"),
    "cc_types/matnet_davis_unidir": ("matnet_gated", "matnet_cc_type_coatt"),
    "cc_types/matnet_davis_unidir_gated": ("matnet_coatt_gated", "matnet_cc_type_coatt_gated"),
    "cc_types/matnet_davis_bidir": ("matnet_coatt_recip", "matnet_cc_type_coatt_recip"),
    "cc_types/matnet_davis_bidir_gated": ("matnet_coatt_gated_recip", "matnet_cc_type_coatt_gated_recip"),
    "fusion_types/matnet_davis_cvxgated_fusion": ("matnet_convex_gated", "matnet_fusion_type_convex_gated"),
    "fusion_types/matnet_davis_gated_fusion": (
        "matnet_gated_noglobal",
        "matnet_fusion_type_gated_use_global_False",
    ),
    "rtnet_davis": ("rtnet", "rtnet"),
    "rtnet_34_davis": ("rtnet34", "rtnet34"),
    "sam_davis": ("sam", "sam"),
}


@pytest.fixture(scope="module")
def davis(tmp_path_factory):
    """Two sequences of five frames with flow, and copies under two of the published styles' names."""
    root = write_small_davis(tmp_path_factory.mktemp("davis"), frames=5, sequences=2, size=(32, 48))
    compute_flow(root)
    render(root, root / "stylized", Settings(("ink", "neon"), "DAVIS"), workers=0)
    for look, style in {"ink": "Lynx", "neon": "Zuzka1"}.items():
        (root / "stylized" / "JPEGImages" / look).rename(root / "stylized" / "JPEGImages" / style)
    return root


# ---------------------------------------------------------------- configurations


def test_every_published_configuration_is_there():
    files = {path.relative_to(ROOT / "configs").with_suffix("").as_posix() for path in ROOT.glob("configs/**/*.json")}
    assert files == CONFIGS.keys()


@pytest.mark.parametrize("name", CONFIGS)
def test_a_published_configuration_means_a_registered_model(name, davis):
    config = read_config(["--cfg_file", str(ROOT / f"configs/{name}.json"), "--original_data_root", str(davis)])
    assert (config.model, config.run_name) == CONFIGS[name]
    assert config.crop_size == (480, 854)
    assert config.subset == "val"
    recipe = input_recipe(describe(config.model), config)
    assert recipe.frames == (2 if config.model.startswith("rtnet") else 1)


def test_flags_go_before_the_file(davis):
    file = str(ROOT / "configs/twostreamv3plus_davis.json")
    config = read_config(
        ["--cfg_file", file, "--original_data_root", str(davis), "--trained_on", "taovos", "--random_seed", "3"]
    )
    assert config.run_name == "twostream_deeplabv3plus_resnet101_taovos"
    assert config.seed == 3


def test_every_variant_of_matnet_has_its_fields():
    for changes, name in MATNET_VARIANTS.items():
        assert segmentation_model({"model": "matnet", "extra_args": dict(changes)}) == name
        assert describe(name).name == name
    assert published_name({"model": "rtnet", "extra_args": None}) == "rtnet"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "matnt"}, "Unknown model 'matnt'. Did you mean 'matnet'"),
        ({"model": "matnet", "extra_args": {"cctype": "coatt"}}, "Unknown option of matnet in extra_args 'cctype'"),
        ({"model": "matnet", "extra_args": {"cc_type": "coatt_add", "norm_fn": "softmax"}}, "No published variant"),
        ({"model": "twostream_deeplabv3plus_resnet101", "output_stride": 32}, "has no form"),
    ],
)
def test_fields_that_mean_no_model(fields, message):
    with pytest.raises(ModelError, match=message):
        segmentation_model(fields)


SLIPS = {
    "unknown field": ({"model": "rtnet", "split": "val", "crop_sise": [1, 2]}, "Unknown option 'crop_sise'"),
    "another way of sampling": ({"model": "rtnet", "sampling_method": "diff_sq"}, "'sampling_method' must be"),
    "image alone": ({"model": "rtnet", "variant": "img"}, "'variant' must be 'img_flow'"),
    "no such model": ({"model": "rtnt", "nreps": 5}, "slip.json: Unknown model 'rtnt'. Did you mean 'rtnet'"),
    "size": ({"model": "rtnet", "crop_size": "480p", "nreps": 5}, "--crop-size is invalid"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_configuration_that_does_not_fit_is_one_line(slip, tmp_path, davis, capsys):
    fields, message = SLIPS[slip]
    (tmp_path / "slip.json").write_text(json.dumps(fields))
    code = main.main(["--cfg_file", str(tmp_path / "slip.json"), "--original_data_root", str(davis)])
    error = capsys.readouterr().err
    assert code == 2
    assert message in error
    assert error.count("\n") == 1


FLAGS = {
    "a model of clips": (["--model", "i3d"], "i3d takes clips"),
    "an option of clips": (
        ["--model", "rtnet34", "--frames", "8"],
        "takes image and flow, for which --frames has no effect",
    ),
    "restyled images alone": (
        ["--model", "rtnet34", "--stylized_data_root", "x"],
        "No stylized images in x/JPEGImages",
    ),
    "another data set": (["--model", "rtnet34", "--dataset", "ssv2"], "--original-data-root requires --dataset (DAVIS"),
    "a change of flow that is not there": (
        ["--model", "rtnet34", "--scrambles", "jiter"],
        "Unknown flow change 'jiter'",
    ),
    "the checkpoint of another variant": (["--model", "matnet_convex_gated", "--checkpoint", "{other}"], "{other}"),
}


@pytest.mark.parametrize("slip", FLAGS)
def test_flags_that_do_not_fit_are_one_line(slip, davis, tmp_path, capsys, request):
    flags, message = FLAGS[slip]
    other = str(request.getfixturevalue("another_variant")) if "{other}" in flags else ""
    arguments = [flag.format(other=other) for flag in flags]
    code = main.main([*arguments, "--original_data_root", str(davis), "--save_dir", str(tmp_path / "run")])
    error = capsys.readouterr().err
    assert code == 2
    assert message.format(other=other) in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run" / "layers.csv").exists()


@pytest.fixture(scope="module")
def another_variant(tmp_path_factory):
    import torch

    from static_dynamic import models

    folder = tmp_path_factory.mktemp("matnet")
    with torch.device("meta"):
        shapes = describe("matnet_gated").build(1).state_dict()
    for part in ("encoder", "decoder"):
        state = {
            key.removeprefix(f"{part}."): torch.zeros((), dtype=value.dtype).expand(value.shape)  # a small file
            for key, value in shapes.items()
            if key.startswith(part)
        }
        torch.save(state, folder / f"{part}_0.pt")
    assert models.list_models("matnet*")
    return folder


# ---------------------------------------------------------------- the whole command


def test_the_whole_command_on_restyled_images(davis, tmp_path, capsys):
    arguments = ["--cfg_file", str(ROOT / "configs/rtnet_34_davis.json"), "--original_data_root", str(davis)]
    arguments += ["--stylized_data_root", str(davis / "stylized"), "--styles", "1,3", "--crop_size", "32x48"]
    arguments += ["--evaluate", "--joint_encoding", "True", "--replicates", "20", "--device", "cpu"]
    arguments += ["--estimators", "released", "--twins", "1"]
    arguments += ["--dim_outputs", str(tmp_path / "dim_outputs"), "--save_dir", str(tmp_path / "run")]
    assert main.main([*arguments, "--random_seed", "1"]) == 0
    shown = capsys.readouterr().out
    assert "Quality of the masks" in shown
    assert "are random" in shown
    layers = pd.read_csv(tmp_path / "run" / "layers.csv")
    assert len(set(layers["stage"])) == 14
    final = (tmp_path / "dim_outputs/vos_models/final/rtnet34/rtnet34_final_001.txt").read_text().splitlines()
    assert len(final) == 14
    first = layers[layers["stage"] == "app_stream.conv1"]
    assert final[0] == (f"Stage: conv1,app_stream , Dimensions: {first['dims'].tolist()} {first['percent'].tolist()}")
    quality = pd.read_csv(tmp_path / "run" / "quality.csv")
    assert len(quality) == (3 + 3) * 2 * 2
    assert "Masks" in (tmp_path / "run" / "report.html").read_text()
    assert main.main([*arguments, "--random_seed", "2"]) == 2  # another study does not fit into the same folder
    assert "source" in capsys.readouterr().err


# ---------------------------------------------------------------- the script over seeds


def run_script(tmp_path, *arguments, folder=None, **environment):
    """Run it with a stand-in for Python that notes its arguments, and makes the run's last file."""
    stand_in = tmp_path / "python"
    stand_in.write_text(
        '#!/usr/bin/env bash\necho "$*" >> "$NOTES"\n'
        'while [ $# -gt 0 ]; do [ "$1" = --save_dir ] && mkdir -p "$2" && echo {} > "$2/run.json"; shift; done\n'
    )
    stand_in.chmod(0o755)
    notes = tmp_path / "notes.txt"
    known = {"PATH": os.environ["PATH"], "PYTHON": str(stand_in), "NOTES": str(notes), "OUT": str(tmp_path / "out")}
    script = ["bash", str(ROOT / "run_main_vos.sh"), *map(str, arguments)]
    done = subprocess.run(script, capture_output=True, text=True, env={**known, **environment}, cwd=folder, check=False)
    return done, notes.read_text().splitlines() if notes.exists() else []


def test_the_script_runs_every_model_that_has_a_checkpoint(davis, tmp_path):
    checkpoints = tmp_path / "checkpoints"
    (checkpoints / "matnet_fusion_type_gated").mkdir(parents=True)
    (checkpoints / "rtnet.pth").touch()
    done, notes = run_script(tmp_path, davis, davis / "stylized", checkpoints)
    assert done.returncode == 0
    measured = [note for note in notes if note.startswith("main.py")]
    assert len(measured) == 2 * 4
    assert [note.split("--random_seed ")[1][0] for note in measured] == list("12341234")
    assert all("--stylized_data_root" in note and "--joint_encoding True" in note for note in measured)
    assert "--checkpoint " + str(checkpoints / "rtnet.pth") in measured[0]
    skipped = [line for line in done.stdout.splitlines() if line.startswith("skipped")]
    assert [line.split()[1][-8:-1] for line in skipped] == ["1_davis", "_taovos", "gnetvid"]
    again, notes = run_script(tmp_path, davis, davis / "stylized", checkpoints)
    assert again.stdout.count("done before") == 8
    assert sum(note.startswith("main.py") for note in notes) == 8


def test_what_is_averaged_are_the_runs_of_the_seeds(davis, tmp_path):
    (tmp_path / "rtnet").touch()
    _, notes = run_script(tmp_path, davis, "", tmp_path, SEEDS="2 5")
    runs = f"{tmp_path}/out/rtnet/seed_2 {tmp_path}/out/rtnet/seed_5"
    assert f"misc/mean_var_analysis.py {runs} --out {tmp_path}/out/rtnet/means.csv" in notes
    assert any(note.startswith(f"misc/plot_stages.py --in_file {runs} --matplot") for note in notes)


def test_without_a_single_checkpoint_nothing_was_done(davis, tmp_path):
    (tmp_path / "empty").mkdir()
    done, notes = run_script(tmp_path, davis, davis / "stylized", tmp_path / "empty")
    assert done.returncode == 2
    assert done.stderr.startswith("error: No checkpoint in ")
    assert not any("main.py" in note for note in notes)


def test_a_smoke_test_needs_no_data(tmp_path):
    """It draws sequences, restyles them and computes their flow before it measures."""
    done, notes = run_script(tmp_path, SMOKE="1")
    assert done.returncode == 0, done.stderr
    data, stylized = tmp_path / "out" / "davis", tmp_path / "out" / "stylized"
    assert "about two minutes" in done.stdout.splitlines()[0]
    assert done.stdout.splitlines()[-1].startswith("Done in ")
    assert [note.split()[:2] for note in notes[:4]] == [
        ["-c", "import"], ["misc/render_small_davis.py", str(data)], ["-m", "stylize"], ["-m", "static_dynamic.flow"],
    ]  # fmt: skip
    assert notes[3].split()[-1] == str(data)
    measured = [note for note in notes if note.startswith("main.py")]
    assert len(measured) == 3 * 2
    for note in measured:
        assert f"--original_data_root {data} " in note
        assert f"--stylized_data_root {stylized}" in note
        assert "--resume False" in note
        assert "--checkpoint" not in note
    averaged = [note for note in notes if "mean_var_analysis" in note or "plot_stages" in note]
    assert len(averaged) == 2 * 3
    assert all(note.endswith("--across weights") for note in averaged)
    again, notes = run_script(tmp_path, SMOKE="1")
    assert "done before" not in again.stdout
    assert sum(note.startswith("main.py") for note in notes) == 2 * len(measured)


def test_a_smoke_test_takes_data(davis, tmp_path):
    done, notes = run_script(tmp_path, davis, SMOKE="1")
    assert done.returncode == 0
    assert not any("render_small_davis" in note for note in notes)
    assert f"-m static_dynamic.flow {tmp_path / 'out' / 'data'}" in notes  # beside links: the data stay as they are
    assert (tmp_path / "out" / "data" / "JPEGImages").resolve() == davis / "JPEGImages"
    assert sum("--crop_size 64x96" in note for note in notes) == 3 * 2


def test_the_script_computes_flow_that_is_missing(tmp_path):
    root = write_small_davis(tmp_path / "data", frames=2, sequences=1, size=(16, 16))
    _, notes = run_script(tmp_path, root, "", tmp_path)
    assert f"-m static_dynamic.flow {root}" in notes
    for gap in ("1", "-1"):
        (root / f"FlowImages_gap{gap}").mkdir()
    assert not any("static_dynamic.flow" in note for note in run_script(tmp_path, root, "", tmp_path)[1][len(notes) :])
    (root / "FlowImages_gap-1" / "run.json").touch()  # ours, and perhaps stopped
    assert run_script(tmp_path, root, "", tmp_path)[1].count(f"-m static_dynamic.flow {root}") == 2


def test_folders_are_those_of_the_place_from_which_it_is_called(davis, tmp_path):
    (tmp_path / "weights" / "rtnet").mkdir(parents=True)
    os.symlink(davis, tmp_path / "d")
    done, notes = run_script(tmp_path, "d", "d/stylized", "weights", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert any(f"--original_data_root {tmp_path}/d " in note for note in notes)
    assert any(f"--checkpoint {tmp_path}/weights/rtnet " in note for note in notes)


SLIPS_OF_THE_SCRIPT = {
    "nothing": ([], {}, "The folder of DAVIS is required"),
    "no such DAVIS": (["nowhere", "", "{davis}"], {}, "'*nowhere' does not hold DAVIS: its folder JPEGImages is missing"),
    "no such copy": (["{davis}", "nowhere", "{davis}"], {}, "'*nowhere' does not hold stylized DAVIS: its folder JPEGImages is missing"),
    "no checkpoints": (["{davis}"], {}, "A folder of CHECKPOINTS is required. Got ''"),
    "a fourth folder": (["{davis}"] * 4, {}, "At most three folders are allowed"),
    "smoke on nothing": (["nowhere"], {"SMOKE": "1"}, "'*nowhere' does not hold DAVIS"),
    "smoke with weights": (["{davis}", "{davis}/stylized", "{davis}"], {"SMOKE": "1"}, "SMOKE=1 uses random weights"),
    "no packages": ([], {"SMOKE": "1", "PYTHON": "/nowhere/python"}, "The packages are not installed for '/nowhere/python'"),
}  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS_OF_THE_SCRIPT)
def test_a_slip_of_the_script_is_one_line(slip, davis, tmp_path):
    arguments, environment, message = SLIPS_OF_THE_SCRIPT[slip]
    done, notes = run_script(tmp_path, *(argument.format(davis=davis) for argument in arguments), **environment)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert fnmatch(line, f"error: {message}*")
    assert done.stdout == ""
    assert not notes
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------- doors


def test_the_loaders_draw_what_a_model_is_shown(davis, tmp_path):
    options = [
        "--original_data_root",
        str(davis),
        "--styles",
        "original,ink",
        "--crop_size",
        "32x48",
        "--n_examples",
        "2",
    ]
    succeeds("test_vos_loader", *options, "--model", "rtnet", "--save_dir", str(tmp_path / "vos"))
    sheets = sorted((tmp_path / "vos").glob("*.png"))
    assert [sheet.name for sheet in sheets] == ["disc_00001.png", "square_00003.png"]
    height, width = cv2.imread(str(sheets[0])).shape[:2]
    assert (height, width) == (4 * 136, 190 + 6 * 200)  # four variants; two images and four flows
    clips = ["--model", "slowfast_r50_8x8", "--videos", "factorial:8", "--styles", "ink,neon", "--image_size", "32"]
    succeeds("test_ar_loader", *clips, "--n_examples", "1", "--save_dir", str(tmp_path / "ar"))
    (sheet,) = (tmp_path / "ar").glob("*.png")
    height, width = cv2.imread(str(sheet)).shape[:2]
    assert (height, width) == (2 * 2 * 2 * 136, 190 + 8 * 136)  # a row for either pathway of each variant
