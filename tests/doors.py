"""Published result files, runs of ours, and the scripts of `misc/` as their command lines run them."""

import io
import json
import pickle
import re
import runpy
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from static_dynamic.estimators.needs_motion import NeedsMotion
from static_dynamic.estimators.registry import describe_estimator
from static_dynamic.estimators.released import Released
from static_dynamic.functional.released import allocate, classify_units
from static_dynamic.main import main
from static_dynamic.report.published import write_published
from static_dynamic.results import Result

ROOT = Path(__file__).resolve().parents[1]
MEANS = json.loads((ROOT / "tests" / "golden" / "misc_mean_var.json").read_text())
UNITS = json.loads((ROOT / "tests" / "golden" / "misc_joint_units.json").read_text())
SCORES = np.array([*UNITS["scores"], np.ones(len(UNITS["scores"][0]))])
STAGES = ["app_stream.conv1", "app_stream.layer1", "mot_stream.conv1", "mot_stream.layer1", "sensor_fusion.layer4"]


def script(name, *arguments):
    """Run a script of `misc/`, or a command of the program: exit code, stdout, stderr."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.object(sys, "argv", [name, *map(str, arguments)]),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as ending,
    ):
        _start(name, arguments)
    return ending.value.code, out.getvalue(), err.getvalue()


def _start(name, arguments):
    file = ROOT / "misc" / f"{name}.py"
    if not file.exists():
        sys.exit(main([name, *map(str, arguments)]))
    runpy.run_path(str(file), run_name="__main__")


def succeeds(name, *arguments):
    """What a script prints."""
    code, out, err = script(name, *arguments)
    assert code == 0, err
    return out


def fails(name, *arguments):
    """The one line of a refusal; nothing is written into the folder in which we are."""
    before = sorted(Path.cwd().rglob("*"))
    code, out, err = script(name, *arguments)
    assert code == 2
    assert out == ""
    (line,) = [line for line in err.splitlines() if not line.startswith(("note: ", "masks "))]
    assert line.startswith("error: ")
    assert sorted(Path.cwd().rglob("*")) == before
    return line


def manifest(seed, stages=STAGES, **parts):
    """What a run says of how it was made; ``parts`` replace those of its study."""
    study = {
        "format": 1, "model": "model", "weights": "a" * 64, "stages": {stage: [[stage, "N C", 0]] for stage in stages},
        "pool": "avg", "recipe": {"frames": 8, "crop": 32}, "source": {"kind": "Davis", "root": "d", "seed": seed},
        "videos": ["v1", "v2"], "styles": ["ink", "neon"], "orders": ["intact", "shuffle"], "seed": seed,
        "batch_size": 8, "precision": "float32", "device": "cpu",
    }  # fmt: skip
    scoring = {"rule": {"n_factors": 3, "seed": seed}, "confidence": 0.95, "seed": seed, "style_weights": {}}
    return {
        "study": {**study, **parts},
        "scoring": scoring,
        "estimators": [describe_estimator(Released())],
        "checkpoint": None,
        "videos": [],
    }


def fake(seed, stages=STAGES, factors=("dynamic", "static", "residual"), channels=24, **parts):
    """A result such as a measurement gives, from drawn scores; the first unit of every stage is dead."""
    draw = np.random.default_rng(seed)
    layers, units = [], []
    for stage in stages:
        scores = np.where(np.array(factors) == "residual", 1.0, draw.uniform(0, 1, len(factors)))
        layer = allocate(scores, channels)
        share = 100 * layer.shares
        columns = {"share": share, "share_low": share - 1, "share_high": share + 2}
        columns |= {"dims": layer.dims, "percent": layer.percent}
        layers.append(pd.DataFrame({"stage": stage, "estimator": "released", "factor": factors, **columns}))
        unit = draw.uniform(-0.4, 1, (2, channels))
        unit[:, 0] = np.nan
        named = {"dynamic": unit[0], "static": unit[1], "class": classify_units(unit)}
        units.append(pd.DataFrame({"stage": stage, "unit": range(channels), "estimator": "released", **named}))
    tables = (pd.concat(tables, ignore_index=True) for tables in (layers, units))
    return Result(*tables, manifest(seed, stages, **parts))


def beside_another(result):
    """The same as a measurement gives it that was led by another estimator."""
    other = {"stage": result.stages, "estimator": "needs_motion", "factor": "motion", "share": 7.0}
    units = {"stage": result.stages, "unit": 0, "estimator": "needs_motion", "motion": 0.07, "class": "still"}
    layers, units = (
        pd.concat([pd.DataFrame(first), table], ignore_index=True)
        for first, table in ((other, result.layers), (units, result.units))
    )
    described = [describe_estimator(NeedsMotion()), *result.manifest["estimators"]]
    return Result(layers, units, {**result.manifest, "estimators": described})


def save(result, seed, model="model"):
    """A result in both forms: `runs/<model>_<seed>` and `dim/…`."""
    result.save(Path("runs") / f"{model}_{seed}")
    write_published(result.layer("released"), result.unit("released"), Path("dim"), model, seed)
    return result


def write_texts(folder, name, texts=None):
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in (texts or MEANS[name]["files"]).items():
        (folder / file).write_text(text)
    return folder


def write_pickles(folder, protocol=pickle.DEFAULT_PROTOCOL, scores=SCORES, stage="layer4,sensor_fusion"):
    """What the published code leaves of a stage: raw scores, their softmax in the other folder, the classes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"raw_{stage}.pkl").write_bytes(pickle.dumps(scores, protocol))
    (folder / f"{stage}.pkl").write_bytes(pickle.dumps({"0": [0], "1": [], "2": [], "3": []}, protocol))
    (folder.parent / "idv").mkdir(exist_ok=True)
    soft = np.exp(scores) / np.exp(scores).sum(0)
    (folder.parent / "idv" / f"{stage}.pkl").write_bytes(pickle.dumps(soft.T, protocol))
    return folder


def is_picture(path):
    with Image.open(path) as image:
        image.load()
        return min(image.size) > 200 and len(image.convert("RGB").getcolors(1 << 24)) > 10


def numbers(line):
    return [float(number) for number in re.findall(r"-?\d+\.\d+", line)]
