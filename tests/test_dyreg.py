"""DyReg: the published numbers, where regions may lie, and that every choice of a module counts."""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import filler
from hypothesis import given, settings
from hypothesis import strategies as st
from quick import quick

from static_dynamic import models
from static_dynamic.models.dyreg.graph import RELEASED, DynamicGraph, Options, ResidualGraph
from static_dynamic.models.dyreg.regions import masks, windows
from static_dynamic.models.dyreg.tsm import CONSTANTS, PLACES, UNUSED, DyRegTSM
from static_dynamic.network.recorder import Recorder
from static_dynamic.training.regions import find_regions

COPIED = Path(__file__).parent / "golden"  # dyreg.json, dyreg.npz: parts of some arrays
SHARED = Path(__file__).parents[2] / "shared" / "golden" / "dyreg"  # only where the goldens were made

MODULES = [
    "dg_big_center_h14_lstm",
    "dg_big_center_h32_gru",
    "dg_big_center_h7_proj_gru",
    "dg_big_grid_h28_gru",
    "dg_big_grid_h8_proj_lstm",
    "dg_concat_send2_update2_dot",
    "dg_fullres_h16_gru",
    "dg_fullres_h32_grid_gru",
    "dg_fullres_h8_proj_lstm",
    "dg_readme_h16_lstm",
    "dg_small_center_h14_lstm",
    "dg_small_grid_h14_gru",
    "dg_sum_send2_update1",
    "dg_wrapper_plus_h14_gru",
    "dg_wrapper_plus_h7_proj_gru",
]
COPIED_MODULES = [
    "dg_big_center_h7_proj_gru",
    "dg_big_grid_h28_gru",
    "dg_concat_send2_update2_dot",
    "dg_fullres_h8_proj_lstm",
    "dg_small_center_h14_lstm",
    "dg_sum_send2_update1",
    "dg_wrapper_plus_h7_proj_gru",
]
NETWORKS = {  # file → model
    "tsm_dyreg_l3": "tsm_dyreg_l3",
    "tsm_dyreg_l2l3l4_fullres": "tsm_dyreg_l2l3l4_fullres",
    "tsm_r50_original_t8": "tsm_r50_8f",
}


# ---------------------------------------------------------------- golden numbers


def parameter(key, shape, seed):
    """The filler's value, and the value of what only these networks have."""
    last, noise = key.rpartition(".")[2], filler.stream(seed, key).standard_normal(shape)
    if last in ("scale", "offset_alpha"):
        return np.float32(1 + 0.1 * noise)
    return np.float32(0.1 * noise) if last.endswith("bias") and len(shape) > 1 else filler.parameter(key, shape, seed)


def filled(module, seed=101):
    state = {key: np.asarray(parameter(key, x.shape, seed)) for key, x in module.state_dict().items()}
    return {key: torch.from_numpy(value) for key, value in state.items()}


def fill(module, seed=101):
    module.load_state_dict(filled(module, seed))
    return module.eval()


def names_digest(state):
    """Of the names that a published file has for what is used; the test of them when the file is not there."""
    names = sorted(key for key in state if not key.endswith(CONSTANTS) and UNUSED not in key)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def thin(name, array):
    """The part of an array that is copied: of the first clip, of maps some positions."""
    stride = array.shape[-1] // 2
    return array[:1, ..., ::stride, ::stride] if name == "out" else array[: len(array) // 2]


def copied(name):
    """Configuration, digest of the names, expected arrays."""
    facts = json.loads((COPIED / "dyreg.json").read_text())[name]
    with np.load(COPIED / "dyreg.npz") as arrays:
        return (
            facts["config"],
            facts["names"],
            {k.split("/")[1]: v for k, v in arrays.items() if k.startswith(f"{name}/")},
        )


def shared(name):
    if not (SHARED / f"{name}.json").exists():
        pytest.skip("no golden numbers here")
    facts = json.loads((SHARED / f"{name}.json").read_text())
    with np.load(SHARED / f"{name}.npz") as arrays:
        return facts["config"], names_digest(key for key, *_ in facts["keys"]), dict(arrays)


def module_of(config):
    params = config["params_full"]
    options = replace(
        RELEASED,
        anchors=params["init_regions"],
        generator=params["offset_generator"],
        offset_dim=params["offset_lstm_dim"],
        cell="lstm" if "LSTM" in config["flags"] else "gru",
        combine="sum" if params["combine_by_sum"] else "concat",
        aggregation={"dot": "dot", "sum": "mean"}[params["aggregation_type"]],
        send_layers=params["send_layers"],
        update_layers=params["update_layers"],
    )
    side = config["iH" if params["full_res"] else "H"]
    width = config["node_dim"] if config["project_i3d"] else None
    graph = DynamicGraph(config["backbone_dim"], (side, side), width, options)
    return graph if config["kind"] == "graph" else ResidualGraph(graph)


def frames(name, *shape):
    """``(B, T, C, H, W)``."""
    batch, time, channels, *size = shape
    return torch.from_numpy(filler.clip(name, (batch, channels, time, *size), 101)).transpose(1, 2).contiguous()


def arrays_of(module, x):
    """Everything that the published module returns."""
    graph = getattr(module, "dynamic_graph", module)
    seen = {}
    graph.rstg.register_forward_hook(lambda _, args, output: seen.update(nodes=args[0].mT, rstg_out=output.mT))
    with torch.no_grad():
        out, regions = module(x, return_regions=True)
        features = graph.project(x)
    background = torch.einsum("btchw,bthw->btc", features, regions.background)
    return seen | {
        "out": out if module is graph else out.flatten(0, 1),
        "kernel": regions.kernels.flatten(0, 1).unflatten(1, (3, 3)),
        "regions": torch.cat([regions.half_size, regions.centre], -1).flatten(0, 1),
        "nodes_wo_position": torch.einsum("btchw,btnhw->btcn", features, regions.kernels),
        "nodes_foreground": seen["nodes"].mean(-1),
        "nodes_background": background.flatten(0, 1),
        "global_mean_features": features.mean((-2, -1)).flatten(0, 1),
    }


def errors_of(given, expected):
    """Array → largest deviation over the array's largest value."""
    return {name: np.abs(given[name] - x).max() / np.abs(x).max() for name, x in expected.items()}


@pytest.mark.parametrize(("source", "name"), [*[(copied, n) for n in COPIED_MODULES], *[(shared, n) for n in MODULES]])
def test_modules_equal_the_published_code(source, name):
    config, names, expected = source(name)
    module = module_of(config)
    assert names_digest(module.state_dict()) == names
    size = [config[key] for key in ("B", "T", "backbone_dim", "H", "W")]
    given = {key: x.numpy() for key, x in arrays_of(fill(module), frames("features", *size)).items()}
    if source is copied:
        given = {key: thin(key, x) for key, x in given.items()}
    errors = errors_of(given, expected)
    assert max(errors.values()) < 1e-4, errors


def network_arrays(model, clip):
    regions = (
        dict(zip(model.places, find_regions(model, clip).values(), strict=True)) if isinstance(model, DyRegTSM) else {}
    )
    with torch.no_grad(), Recorder(model) as recorder:
        logits = model(clip)
    given = {"logits": logits, "feat_maxpool": recorder.activations["stage1"]}
    given |= {f"feat_layer{level}": recorder.activations[f"stage{level + 1}"] for level in (1, 2, 3, 4)}
    for place, found in regions.items():
        sizes_first = torch.cat([found.half_size, found.centre], -1)
        name = place.replace(".", "_block")
        given |= {
            f"{name}.regions": sizes_first.flatten(0, 1),
            f"{name}.kernel_t0": found.kernels[:, 0].unflatten(1, (3, 3)),
        }
    return {key: x.numpy() for key, x in given.items()}


KIND = (copied, "tsm_dyreg_l2l3l4", "tsm_dyreg_l2l3l4")


@pytest.mark.parametrize(
    ("source", "name", "model"), quick(KIND, among=[KIND, *[(shared, *names) for names in NETWORKS.items()]])
)
def test_networks_equal_the_published_code(source, name, model, tmp_path):
    config, names, expected = source(name)
    spec = models.describe(model)
    with torch.device("meta"):
        state = spec.build(spec.num_classes).state_dict()
    assert names_digest(state) == names
    published = {
        f"module.{key}": torch.from_numpy(np.asarray(parameter(key, x.shape, 101))) for key, x in state.items()
    }
    published |= {f"module.base_model.layer3.4.conv2.1.dynamic_graph.{key}": torch.ones(1) for key in CONSTANTS}
    path = tmp_path / "best.pth.tar"
    torch.save({"epoch": 1, "arch": "resnet50", "state_dict": published, "best_prec1": 1.0}, path)
    if "dyreg" not in name:  # there are no constants in a TSM file
        torch.save({"state_dict": {key: x for key, x in published.items() if "graph" not in key}}, path)
    network = models.create_model(model, checkpoint=path)
    path.unlink()
    clip = filler.clip("frames", (config["B"], 3, config["T"], config["size"], config["size"]), 101)[:1]
    given = network_arrays(network, torch.from_numpy(clip))
    first = {
        key: expected[key][: len(array)] for key, array in given.items() if key in expected
    }  # for time's sake one clip
    errors = errors_of(given, first)
    assert max(errors.values()) < 1e-4, errors


@pytest.mark.parametrize(("placement", "count"), [("layer3.4", 25_700_598), ("layer2.2_layer3.4_layer4.1", 28_701_830)])
def test_sizes(placement, count):
    with torch.device("meta"):
        model = DyRegTSM(174, 8, placement)
    assert sum(parameter.numel() for parameter in model.parameters()) == count


def test_older_names():
    with torch.device("meta"):
        model = DyRegTSM(5, 8, "layer3.4")
    conv2 = "base_model.layer3.4.conv2"
    state = {key: key for key in model.state_dict()}
    older = {key.replace("conv2.0.", "conv2.").replace("conv2.1.", "conv2."): key for key in state}
    assert older.keys() >= {f"{conv2}.block.weight", f"{conv2}.norm_dict.residual_norm.scale"}
    assert model.adapt_checkpoint(older) == model.adapt_checkpoint(state) == state


# ---------------------------------------------------------------- at initialisation


def test_a_new_module_of_scale_0_is_the_identity():
    x = torch.randn(2, 3, 8, 9, 10)
    for options in (RELEASED, Options(), Options(regions="semantic", cell="lstm")):
        assert torch.equal(ResidualGraph(DynamicGraph(8, (7, 7), options=options), scale=0)(x), x)


def test_what_a_new_module_adds_has_the_size_that_it_is_given():
    x = torch.randn(2, 3, 8, 9, 10)
    module = ResidualGraph(DynamicGraph(8, (7, 7)), scale=0.2)
    graph = module.dynamic_graph(x)
    change = module(x) - x
    normal = (graph - graph.mean((2, 3, 4), keepdim=True)) / (
        graph.var((2, 3, 4), keepdim=True, correction=0) + 1e-5
    ).sqrt()
    torch.testing.assert_close(change, 0.2 * normal, rtol=1e-3, atol=1e-5)


def test_the_released_networks_keep_the_published_start():
    with torch.device("meta"):
        spec = models.describe("tsm_dyreg_l3_8f").build(5)
    graph = spec.base_model.get_submodule("layer3.4.conv2.1")
    assert graph.dynamic_graph.options == RELEASED
    assert (RELEASED.combine, RELEASED.send_layers, RELEASED.update_layers, RELEASED.steps) == ("sum", 1, 0, 3)
    torch.manual_seed(0)
    released = ResidualGraph(DynamicGraph(8, (7, 7), options=RELEASED), scale=0)
    assert not released.dynamic_graph.offset_alpha.any()
    assert released.dynamic_graph.kernel_projection1.weight.abs().max() <= 1 / 7  # torch's own start


def test_codes_of_new_windows_are_linear_in_their_centres():
    """Whole cells, far from the border: there a window's mean position is its centre."""
    torch.manual_seed(0)
    graph, half = DynamicGraph(16, (9, 9)), torch.tensor([2.0, 2.0])
    centres = [(3, 3), (5, 3), (3, 4), (5, 4)]
    here, down, right, both = (
        graph._location(windows(torch.tensor(c) * 1.0, half, (9, 9)).kernels[None, None, None])[0, 0, 0]
        for c in centres
    )
    torch.testing.assert_close(both - here, (down - here) + (right - here), rtol=0, atol=1e-5)
    assert (down - here).norm() > 0.5
    assert (right - here).norm() > 0.25


def test_a_new_network_is_tsm():
    ours, plain = models.create_model("tsm_dyreg_l2l3l4_8f"), models.create_model("tsm_r50_8f", seed=1)
    state = {key.replace("conv2.0.block", "conv2"): x for key, x in ours.state_dict().items()}
    plain.load_state_dict({key: x for key, x in state.items() if ".conv2.1." not in key})
    clip = torch.randn(1, 3, 8, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(clip), plain(clip))


@pytest.mark.parametrize(("side", "half"), [(28, 20 / 3), (14, 13 / 3), (7, 19 / 6)])
def test_new_windows_lie_in_the_centre(side, half):
    regions = DynamicGraph(4, (side, side), options=RELEASED).locate(torch.randn(1, 2, 4, side, side))
    assert torch.equal(regions.centre, torch.full((1, 2, 9, 2), side / 2))
    torch.testing.assert_close(regions.half_size, torch.full((1, 2, 9, 2), half))


# ---------------------------------------------------------------- regions


def test_windows_are_their_definition():
    centre, half = torch.tensor([[2.3, 4.0]]), torch.tensor([[1.5, 3.2]])
    tents = [[max(1.5 - abs(y - 2.3), 0) * max(3.2 - abs(x - 4), 0) for x in range(7)] for y in range(5)]
    expected = torch.tensor(tents)
    torch.testing.assert_close(windows(centre, half, (5, 7)).kernels[0], expected / expected.sum())


def test_masks_have_the_place_of_a_window():
    """A tent of half-size a has, on whole cells, the variance (a² − 1) / 6."""
    centre, half = torch.tensor([[[[8.0, 11.0]]]]), torch.tensor([[[[5.0, 7.0]]]])
    seen = masks(windows(centre, half, (20, 24)).kernels)
    torch.testing.assert_close(seen.centre, centre, rtol=1e-4, atol=0)
    torch.testing.assert_close(seen.half_size, (half**2 - 1).sqrt(), rtol=1e-3, atol=0)


SIDES = st.integers(7, 24)


@settings(max_examples=40, deadline=None)
@given(
    clips=st.integers(1, 2),
    time=st.integers(1, 5),
    channels=st.integers(3, 6),
    made_for=st.tuples(SIDES, SIDES),
    size=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    options=st.builds(
        Options,
        regions=st.sampled_from(["dynamic", "fixed", "semantic"]),
        grid=st.tuples(st.integers(1, 4), st.integers(1, 4)),
        anchors=st.sampled_from(["center", "grid"]),
        generator=st.sampled_from(["big", "small", "peaks"]),
        offset_dim=st.just(6),
        cell=st.sampled_from(["gru", "lstm"]),
    ),
)
def test_any_number_of_frames_nodes_and_positions(clips, time, channels, made_for, size, options):
    graph = fill(DynamicGraph(channels, made_for, options=options))
    x = torch.randn(clips, time, channels, *size)
    with torch.no_grad():
        out, regions = graph(x, return_regions=True)
    assert out.shape == x.shape
    assert out.isfinite().all()
    assert regions.kernels.shape == (clips, time, options.nodes, *size)
    sums = [regions.kernels.sum((-2, -1)), regions.foreground.sum((-2, -1))]
    assert all(torch.allclose(total, torch.ones(())) for total in sums)
    assert regions.centre.shape == regions.half_size.shape == (clips, time, options.nodes, 2)
    assert (regions.centre >= 0).all()
    assert (regions.centre <= torch.tensor(size) - 1 + 1e-4).all()
    assert (regions.half_size >= 0).all()


@pytest.mark.parametrize("size", [(7, 7), (10, 11), (20, 21), (50, 51), (56, 24)])
def test_every_stride(size):
    assert fill(DynamicGraph(3, size, options=Options(offset_dim=2)))(torch.randn(1, 1, 3, *size)).isfinite().all()


def test_static_regions_are_learned_and_the_same_everywhere():
    graph = DynamicGraph(4, (8, 8), options=Options(regions="static", grid=(1, 2), anchors="grid"))
    fixed = DynamicGraph(4, (8, 8), options=Options(regions="fixed", grid=(1, 2)))
    x = torch.randn(2, 3, 4, 8, 8)
    assert all(torch.equal(a, b) for a, b in zip(graph.locate(x), fixed.locate(x), strict=True))  # at the start
    with torch.no_grad():
        graph.offsets[1] = torch.tensor([0.0, math.log(2), 0.5, 0.0])
    centre, half, _ = graph.locate(x)
    assert (centre[0, 0] == centre).all()
    assert (half[0, 0] == half).all()
    torch.testing.assert_close(centre[0, 0], torch.tensor([[4.0, 2.0], [4 + 4 * math.tanh(0.5), 6.0]]))
    torch.testing.assert_close(half[0, 0], torch.tensor([[6.0, 4.0], [6.0, 7.0]]))
    graph(x).square().sum().backward()
    assert graph.offsets.grad.abs().min() > 0


def test_windows_at_peaks_follow_a_bright_spot():
    """A spot that moves by some cells takes the window with it, in any frame of any clip."""
    graph = DynamicGraph(4, (8, 8), options=Options(generator="peaks", grid=(1, 2)))
    with torch.no_grad():
        for parameter in graph.peaks.parameters():
            parameter.zero_()
        graph.peaks[0].weight[0, 2] = 1
        graph.peaks[2].weight[1, 0] = 10  # node 1 looks at channel 2, node 0 at nothing
        graph.sizes[1] = torch.tensor([0.0, math.log(2)])
    x = torch.zeros(1, 2, 4, 8, 8)
    x[0, 0, 2, 3, 6] = x[0, 1, 2, 5, 1] = 1
    x[0, :, 1] = 5
    centre, half, _ = graph.locate(x)
    torch.testing.assert_close(centre[0, :, 1], torch.tensor([[3.0, 6.0], [5.0, 1.0]]), rtol=0, atol=1e-3)
    torch.testing.assert_close(centre[0, :, 0], torch.full((2, 2), 3.5))
    torch.testing.assert_close(half[0, 0], torch.tensor([[7 / 3, 7 / 3], [7 / 3, 11 / 3]]))


def test_given_regions_take_the_place_of_its_own():
    graph = ResidualGraph(fill(DynamicGraph(4, (8, 8))))
    x = torch.randn(2, 3, 4, 8, 8)
    with torch.no_grad():
        out, own = graph(x, return_regions=True)
        assert torch.equal(graph(x, regions=own), out)
        other = windows(torch.full((2, 3, 5, 2), 2.0), torch.full((2, 3, 5, 2), 1.5), (8, 8))
        moved, used = graph(x, return_regions=True, regions=other)
    assert used is other
    assert (moved - out).abs().max() > 0.01


# ---------------------------------------------------------------- options


BASE = Options(offset_dim=8, combine="sum")
CHANGES = [
    {"regions": "static"},
    {"regions": "fixed"},
    {"regions": "semantic"},
    {"grid": (2, 4)},
    {"anchors": "center"},
    {"generator": "small"},
    {"generator": "peaks"},
    {"offset_dim": 9},
    {"cell": "lstm"},
    {"combine": "concat"},
    {"aggregation": "mean"},
    {"send_layers": 0},
    {"send_layers": 2},
    {"update_layers": 0},
    {"update_layers": 2},
    {"steps": 2},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_every_option_takes_effect(change):
    x = frames("features", 1, 3, 6, 7, 7)
    with torch.no_grad():
        before, after = (
            fill(DynamicGraph(6, (7, 7), options=options))(x) for options in (BASE, replace(BASE, **change))
        )
    assert (after - before).abs().max() > 1e-3 * before.abs().max()


def test_every_layer_learns():
    graph = fill(DynamicGraph(6, (7, 7), 4, BASE))
    graph(frames("features", 1, 3, 6, 7, 7)).square().sum().backward()
    idle = [name for name, x in graph.named_parameters() if x.grad is None or not x.grad.any()]
    assert {*idle} <= {"rstg.att_k.bias"}  # it moves all scores of a receiver alike: but for rounding, nothing


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regions": "dyreg"}, r"Unknown 'regions' of a graph 'dyreg'.*Allowed: dynamic, static, fixed, semantic"),
        ({"generator": "bigger"}, r"Did you mean 'big'\?"),
        ({"update_layers": 0}, r"With combine='concat', layers must be at least 1\. Got 1 and 0"),
        ({"combine": "sum", "send_layers": -1}, "must be at least 0"),
        ({"grid": (0, 3)}, "must be positive"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(models.ModelError, match=message):
        Options(**options)


def test_impossible_shapes():
    with pytest.raises(models.ModelError, match=r"at least 7 x 7\. Got \(6, 7\)"):
        DynamicGraph(4, (6, 7))
    with pytest.raises(models.ModelError, match=r"must be \(B, T, 4, H, W\)\. Got \(2, 3, 5, 7, 7\)"):
        DynamicGraph(4, (7, 7))(torch.zeros(2, 3, 5, 7, 7))


# ---------------------------------------------------------------- networks


@pytest.mark.parametrize("place", ["layer3.9", "layer5.0", "3.4", ""])
def test_places_that_do_not_exist(place):
    with pytest.raises(
        models.ModelError, match=rf"Unknown placement '{place}'.*Allowed: layer1\.0, .*layer4\.2"
    ) as error:
        DyRegTSM(5, 8, f"layer2.2_{place}")
    assert all(place in str(error.value) for place in PLACES)


def test_stages_lie_in_the_order_of_the_network():
    spec = models.describe("dyreg_tsm_r50")
    assert spec.name == "tsm_dyreg_l2l3l4"
    assert [name for name in spec.stages if "." not in name] == [f"stage{level}" for level in (1, 2, 3, 4, 5)]
    assert list(spec.stages)[2:6] == ["layer2.2.before", "layer2.2.nodes", "layer2.2.after", "stage3"]


def test_a_graph_anywhere_for_any_crop():
    network = DyRegTSM(
        5, 2, "_".join(("layer1.0", "layer3.0", "layer4.0")), replace(BASE, grid=(1, 2)), crop=256
    ).eval()
    found = dict(zip(network.places, find_regions(network, torch.randn(1, 3, 2, 224, 224)).values(), strict=True))
    assert {place: tuple(regions.kernels.shape) for place, regions in found.items()} == {
        "layer1.0": (1, 2, 2, 56, 56),
        "layer3.0": (1, 2, 2, 14, 14),
        "layer4.0": (1, 2, 2, 7, 7),
    }


def test_a_network_with_graphs_at_places_of_ones_own():
    spec = models.describe("dyreg:layer2.1_layer3.0@4")
    assert [name for name in spec.stages if name.endswith("nodes")] == ["layer2.1.nodes", "layer3.0.nodes"]
    model = models.create_model("dyreg:layer2.1_layer3.0@4", num_classes=3)
    assert (model.spec.recipe["frames"], model.places) == (4, ["layer2.1", "layer3.0"])
    assert model(torch.zeros(1, 3, 4, 224, 224)).shape == (1, 3)
    same = models.create_model("dyreg:layer3.4@8", seed=3).state_dict()
    assert all(
        torch.equal(value, same[name])
        for name, value in models.create_model("tsm_dyreg_l3_8f", seed=3).state_dict().items()
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [("layer3.9", r"Unknown placement 'layer3.9'\. Did you mean"), ("layer3.4@0", "number of frames")],
)
def test_a_place_that_is_not_there(name, message):
    with pytest.raises(models.ModelError, match=message):
        models.describe(f"dyreg:{name}")
