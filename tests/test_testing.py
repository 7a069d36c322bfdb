"""The public checks: every model of the zoo passes them, and each of them can fail."""

import numpy as np
import pytest
import torch
from quick import quick
from test_external import tiny_torchvision
from torch import nn

from static_dynamic import models
from static_dynamic.common.errors import UserError
from static_dynamic.media.clip import Clip, Recipe
from static_dynamic.models.libraries.vision import TORCHVISION
from static_dynamic.network.testing import CHECKS, CheckFailed, check_model

LAYOUT = "N C T H W"


class Net(nn.Module):
    """A sound model; the broken ones below change one thing."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 3, padding=1)
        self.last = nn.Identity()
        self.register_buffer("count", torch.zeros(()))
        self.calls = 0

    def between(self, x):
        return x

    def forward(self, x):
        return self.last(self.between(self.conv(x)))


class Noisy(Net):
    def between(self, x):
        return x + torch.rand_like(x)


class Infinite(Net):
    def between(self, x):
        return x / (x - x)


class Counting(Net):
    def between(self, x):
        self.count += 1
        return x


class Hooking(Net):
    def forward(self, x):
        self.conv.register_forward_hook(lambda *_: None)
        return super().forward(x)


class Watched(Net):
    """Sees that it is being recorded."""

    def forward(self, x):
        return super().forward(x) + bool(self.last._forward_hooks)


class Mixing(Net):
    """Clips look at one another, as with batch norm that is never switched to evaluation."""

    def between(self, x):
        return x - x.mean(0)


class Echo(nn.Module):
    """Every whole forward wipes what the stage left behind; a forward that stops early does not."""

    def __init__(self):
        super().__init__()
        self.left = None
        self.stage = nn.Identity()

    def forward(self, x):
        seen, self.left = self.left, x
        out = self.stage(x if seen is None else x + seen)
        self.left = None
        return out


STAGES = {"last": ("last", LAYOUT)}
UNLIKE = torch.stack([torch.full((3, 4, 8, 8), 0.9), torch.full((3, 4, 8, 8), -0.4)])
CLIPS = torch.rand(2, 3, 4, 8, 8, generator=torch.Generator().manual_seed(0))

BROKEN = {
    "check_layouts": (Net, CLIPS[:, :, :2], {"last": ("last", "T C N H W")}),  # fits, as long as T = N
    "check_finite": (Infinite, CLIPS, STAGES),
    "check_determinism": (Noisy, CLIPS, STAGES),
    "check_state": (Counting, CLIPS, STAGES),
    "check_outputs": (Watched, CLIPS, STAGES),
    "check_batch_size": (Mixing, CLIPS, STAGES),
    "check_early_stop": (Echo, CLIPS, {"last": ("stage", LAYOUT)}),
}


def test_every_check_has_a_name_and_one_line():
    assert [check.__name__ for check in CHECKS] == list(BROKEN)
    assert all(check.__doc__.endswith(".") and "\n" not in check.__doc__ for check in CHECKS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_sound_model_passes(check):
    check(Net(), CLIPS, STAGES)


@pytest.mark.parametrize("name", BROKEN)
def test_every_check_can_fail(name):
    build, clips, stages = BROKEN[name]
    check = next(check for check in CHECKS if check.__name__ == name)
    with pytest.raises(CheckFailed, match=f"^{name}: ") as error:
        check(build(), clips, stages)
    assert "\n" not in str(error.value)
    assert isinstance(error.value, AssertionError)
    with pytest.raises(CheckFailed, match=r"^check_"):
        check_model(build(), clips, stages)


def test_what_a_recording_changes_is_named():
    with pytest.raises(CheckFailed, match="changes the buffer count"):
        check_model(Counting(), CLIPS, STAGES)
    with pytest.raises(CheckFailed, match="changes the hooks of conv"):
        check_model(Hooking(), CLIPS, STAGES)


def test_a_layout_with_swapped_order_of_clips_and_frames_is_found():
    """``(T N)`` instead of ``(N T)`` fits every shape; only the numbers tell."""

    class Folding(Net):
        def between(self, x):
            return x.transpose(1, 2).flatten(0, 1)

    check_model(Folding(), CLIPS, {"last": ("last", "(N T) C H W")})
    with pytest.raises(CheckFailed, match=r"check_batch_size.*is N the axis in the layout"):
        check_model(Folding(), CLIPS, {"last": ("last", "(T N) C H W")})


def test_slips_stay_slips():
    with pytest.raises(UserError, match="Unknown module"):
        check_model(Net(), CLIPS, {"last": ("lats", LAYOUT)})
    with pytest.raises(UserError, match="has no layout"):
        check_model(Net(), CLIPS, {"last": ("last", None)})
    with pytest.raises(UserError, match="does not declare its input"):
        check_model(Net(), stages=STAGES)


def test_a_clip_or_nothing_serves_as_input():
    net = Net()
    net.spec = models.ModelSpec(
        "net", "", Net, {"last": models.Stage("last", LAYOUT)}, {"frames": 4, "rate": 1, "crop": 8}, ""
    )
    check_model(net)
    sample = Recipe(**net.spec.recipe).sample(6)
    frames = np.random.default_rng(0).integers(0, 256, (len(sample.numbers), 10, 12, 3), np.uint8)
    check_model(net, Clip(frames, sample))


def test_several_inputs_and_outputs():
    class Streams(Net):
        def forward(self, x):
            image, flow = x.values() if isinstance(x, dict) else x
            return {"sum": super().forward(image + flow), "name": "x"}

    for inputs in ([CLIPS, CLIPS], {"image": CLIPS, "flow": CLIPS}):
        check_model(Streams(), inputs, STAGES)


# ---------------------------------------------------------------- rounding is no difference, at any depth


class Rough(nn.Module):
    """A deep model that magnifies small differences about ``gain`` times, with rounding that depends on the batch.

    That rounding, one unit in the last place, is made by hand: no verdict here hangs on a processor.
    """

    def __init__(self, gain, mix=0.0, works_in=None, wants=None):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv3d(3, 4, 1)
        self.early, self.last = nn.Identity(), nn.Identity()
        self.gain, self.mix, self.works_in, self.wants = gain, mix, works_in, wants

    def forward(self, x):
        if self.wants is not None and x.dtype != self.wants:
            raise RuntimeError("expected another dtype")
        x = self.early(self.conv(x))
        inner = x.to(self.works_in or x.dtype)
        signs = torch.linspace(0.5, 1, inner[0].numel(), dtype=inner.dtype).view_as(inner[0]) * (-1) ** len(inner)
        inner = (inner + self.mix * inner.mean(0)) * (1 + torch.finfo(inner.dtype).eps * signs)
        return self.last((self.gain * inner).sin().to(x.dtype))


@pytest.mark.parametrize("gain", [1, 1e3, 1e6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("precision", [{}, {"works_in": torch.float32}])
def test_rounding_passes_at_any_depth(gain, dtype, precision):
    model = Rough(gain, **precision).to(dtype)
    check_model(model, CLIPS, STAGES)


@pytest.mark.parametrize("gain", [1, 1e3, 1e6])
@pytest.mark.parametrize("mix", [1e-3, 1e-4])
def test_a_model_that_mixes_its_batch_fails_at_any_depth(gain, mix):
    with pytest.raises(CheckFailed, match=r"^check_batch_size: activations of a clip depend on the other clips"):
        check_model(Rough(gain, mix), UNLIKE, STAGES)


def test_mixing_at_an_early_stage_is_found_beside_a_deep_one():
    class MixesEarly(Rough):
        def forward(self, x):
            return super().forward(x + 1e-4 * x.mean(0))

    with pytest.raises(CheckFailed, match="stage 'early'"):
        check_model(MixesEarly(1e6), UNLIKE, {"early": ("early", LAYOUT), **STAGES})


def test_a_model_that_runs_in_one_precision_alone_is_judged_by_its_own_rounding():
    check_model(Rough(1e3, wants=torch.float32), CLIPS, STAGES)
    with pytest.raises(CheckFailed, match=r"in its own precision"):
        check_model(Rough(1, mix=0.01, wants=torch.float32), CLIPS, STAGES)


def test_judging_leaves_the_weights_as_they_were():
    for model in (Rough(1e3), Rough(1e3, wants=torch.float32)):
        before = {name: weight.clone() for name, weight in model.state_dict().items()}
        check_model(model, CLIPS, STAGES)
        assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_models_of_any_precision_pass(dtype):
    check_model(Net().to(dtype), CLIPS, STAGES)


# ---------------------------------------------------------------- the zoo


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def noise(*shapes):
    draw = torch.Generator().manual_seed(0)
    clips = [torch.randn(shape, generator=draw) for shape in shapes]
    return clips[0] if len(clips) == 1 else clips


@pytest.mark.parametrize("name", quick("r3d_18", "mvit_v2_s", "swin3d_t", among=TORCHVISION))
def test_torchvision(name):
    side = 64 if name.startswith("mvit") else 32
    check_model(tiny_torchvision(name), noise((2, 3, 16, side, side)))


@pytest.mark.parametrize(
    "name", quick("vit_tiny_patch16_224", among=["resnet18", "vit_tiny_patch16_224", "convnext_atto"])
)
def test_timm(name):
    check_model(models.create_model(f"timm:{name}"), noise((2, 3, 2, 224, 224)))
