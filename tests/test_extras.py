"""What works without the optional libraries, and what is said where one is needed."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
BARE = """
import sys, warnings
sys.path.insert(0, ROOT)
from static_dynamic.optional import OPTIONAL
for name in OPTIONAL:
    sys.modules[name] = None  # as if it were not installed
"""


def without_extras(code, folder):
    """What a Python that has none of the optional libraries prints."""
    done = subprocess.run(
        [sys.executable, "-c", BARE.replace("ROOT", repr(str(ROOT))) + code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_measuring_a_model_of_your_own_needs_no_extra(tmp_path):
    code = """
from pathlib import Path
import static_dynamic as sd
from torch import nn
net = nn.Sequential(nn.Conv3d(3, 4, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, 2))
options = dict(stages={"conv": ("1", "N C T H W")}, recipe=sd.Recipe(frames=4, rate=1, crop=16), twins=0)
result = sd.measure(net, "factorial:4", store="store", **options)
result.save("run")
print(len(sd.load("run").plot("run")) > 0, result.report("run/report.html").is_file())
again = sd.score("store")
print(again.layers.equals(result.layers))
"""
    assert without_extras(code, tmp_path).split() == ["True", "True", "True"]


def test_the_demo_s_networks_need_no_extra_and_the_list_says_what_is_left_out(tmp_path):
    code = """
from static_dynamic import models
models.create_model("truth_cnn_motion")
with warnings.catch_warnings(record=True) as caught:
    print("truth_cnn_motion" in models.list_models(), "mvit_b_16x4" in models.list_models())
print(caught[0].message)
for name in ("mvit", "timm:resnet18", "torchvision:r3d_18", "dyreg:layer2.1"):
    try:
        models.create_model(name)
    except models.ModelError as error:
        print(name, error)
"""
    here, said, *errors = without_extras(code, tmp_path).splitlines()
    assert here == "True False"
    assert said.startswith("Not listed are action.mvit, ")
    assert said.endswith("pip install 'static-dynamic[zoo]'")
    assert len(errors) == 4
    assert all(error.endswith("pip install 'static-dynamic[zoo]'") for error in errors)


def test_a_missing_extra_is_one_line_with_the_command(tmp_path):
    code = """
import contextlib, io, numpy, torch
import static_dynamic as sd
from static_dynamic.common.errors import UserError
from static_dynamic.flow.estimators import Raft
from static_dynamic.interventions.flow_changes import recolour
from static_dynamic.network.cost import measure_cost
from static_dynamic.sources.masks import encode
from static_dynamic.main import main
from static_dynamic.training.syncmnist.digits import load_digits

def command(*arguments):
    with contextlib.redirect_stderr(io.StringIO()) as said:
        assert main(arguments) == 2
    raise UserError(said.getvalue().strip())

torch.save({}, "raft.pth")
for what in (
    lambda: command("train", "--model", "tsm_r50_8f", "--data", "."),
    lambda: command("evaluate", "--model", "tsm_r50_8f", "--data", "."),
    lambda: encode(numpy.zeros((2, 2), bool)),
    lambda: load_digits("sklearn", "val"),
    lambda: recolour(numpy.zeros((2, 2, 3), "u1"), 1, 0),
    lambda: Raft("raft.pth"),
    lambda: measure_cost(torch.nn.Conv3d(3, 1, 1), sd.Recipe(frames=2, rate=1, crop=4)),
):
    try:
        what()
    except UserError as error:
        print(error)
"""
    extras = ["training", "training", "segmentation", "syncmnist", "zoo", "zoo", "cost"]
    for line, extra in zip(without_extras(code, tmp_path).splitlines(), extras, strict=True):
        assert line.endswith(f", which is not installed: pip install 'static-dynamic[{extra}]'")
