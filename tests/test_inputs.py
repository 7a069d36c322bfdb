"""Inputs: tensors in any nesting, recipes wherever they are given, and noise of the right form."""

from collections import OrderedDict, namedtuple
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from static_dynamic.common.errors import UserError
from static_dynamic.media.clip import FlowRecipe, Recipe
from static_dynamic.media.inputs import (
    batch_size,
    channels_last,
    clip_frames,
    declared_recipe,
    example_inputs,
    image_and_flow,
    in_dtype_of,
    make_recipe,
    map_tensors,
    tensors_of,
)

FIRST, SECOND, THIRD = torch.zeros(5, 1), torch.zeros(3, 2), torch.zeros(2, 2, 2)


@pytest.mark.parametrize(
    ("inputs", "found"),
    [
        (FIRST, [FIRST]),
        ([SECOND, FIRST], [SECOND, FIRST]),
        ((FIRST, [SECOND, {"x": THIRD}]), [FIRST, SECOND, THIRD]),
        ({"b": SECOND, "a": FIRST}, [SECOND, FIRST]),
        ([None, "text", 3, {"only": THIRD}, FIRST], [THIRD, FIRST]),
        ([], []),
        ("text", []),
    ],
)
def test_tensors_are_found_in_any_nesting_in_order(inputs, found):
    assert [id(tensor) for tensor in tensors_of(inputs)] == [id(tensor) for tensor in found]


def test_the_first_tensor_tells_the_number_of_clips():
    assert batch_size(FIRST) == 5
    assert batch_size([[None, {"x": SECOND}], FIRST]) == 3
    assert batch_size(((THIRD,), {"other": FIRST})) == 2
    with pytest.raises(UserError, match="The inputs do not contain a tensor"):
        batch_size(["text", None])


@pytest.mark.parametrize(
    ("shapes", "frames"),
    [
        ([(2, 3, 5, 8, 9)], 5),
        ([(2, 5, 3, 8, 9)], 5),
        ([(2, 5, 8, 9, 3)], 5),
        ([(2, 3, 4, 8, 9)], 4),
        ([(2, 4, 3, 8, 9)], 4),
        ([(2, 3, 3, 3, 3)], 3),
        ([(2, 5, 8, 3, 3)], 5),
        ([(2, 5, 8, 3, 9)], None),
        ([(2, 5, 8, 9, 4)], None),
        ([(3, 5, 8, 9, 4)], None),
        ([(2, 3, 8, 9)], None),
        ([(2, 3, 4, 8, 9), (2, 3, 16, 8, 9), (2, 7)], 16),
        ([], None),
    ],
)
def test_frames_are_counted_where_three_colours_tell_the_layout_and_the_longest_pathway_counts(shapes, frames):
    assert clip_frames([torch.zeros(shape) for shape in shapes]) == frames


def test_only_floating_point_inputs_take_the_dtype_of_the_first_floating_point_weight():
    counts = nn.Parameter(torch.zeros(1, dtype=torch.int32), requires_grad=False)
    model = nn.ParameterList([counts, nn.Parameter(torch.zeros(1, dtype=torch.float64))])
    inputs = {"clip": torch.full((2,), 0.5), "index": torch.arange(2), "name": "text"}
    found = in_dtype_of(model, inputs)
    assert found["clip"].dtype == torch.float64
    assert torch.equal(found["clip"], inputs["clip"].double())
    assert found["index"] is inputs["index"]
    assert found["name"] == "text"
    assert in_dtype_of(nn.ParameterList([counts]), inputs) is inputs


def test_every_tensor_is_changed_and_the_nesting_stays():
    Pair = namedtuple("Pair", "left right")
    inputs = OrderedDict(a=[torch.ones(1), (torch.ones(2), None)], b=Pair(torch.ones(3), "text"))
    found = map_tensors(inputs, lambda tensor: 2 * tensor)
    assert list(found) == ["a", "b"]
    assert isinstance(found["a"], list)
    assert isinstance(found["a"][1], tuple)
    assert isinstance(found["b"], Pair)
    assert (found["a"][1][1], found["b"].right) == (None, "text")
    assert [tensor.tolist() for tensor in tensors_of(found)] == [[2], [2, 2], [2, 2, 2]]


def test_a_given_recipe_goes_before_the_declared_one():
    model, declared, given = nn.Identity(), Recipe(frames=4), Recipe(frames=6)
    with pytest.raises(UserError, match="does not declare its input"):
        declared_recipe(model)
    assert declared_recipe(model, given) is given
    model.spec = SimpleNamespace(recipe=declared)
    assert declared_recipe(model) is declared
    assert declared_recipe(model, given) is given
    assert declared_recipe(model, {"frames": 5}) == Recipe(frames=5)
    model.spec = SimpleNamespace(recipe={"flows": ("forward",), "frames": 2})
    assert declared_recipe(model) == FlowRecipe(frames=2)


def test_fields_that_name_flows_make_a_recipe_of_images_and_flow():
    assert make_recipe({"frames": 4, "rate": 2}) == Recipe(frames=4, rate=2)
    assert make_recipe({"flows": ("backward",)}) == FlowRecipe(flows=("backward",))


@pytest.mark.parametrize(("fields", "name"), [({"frame": 4}, "frame"), ({"flows": ("forward",), "rate": 2}, "rate")])
def test_a_field_that_there_is_not_is_named(fields, name):
    with pytest.raises(UserError, match=f"Unknown field of a recipe '{name}'.*Allowed: .*frames"):
        make_recipe(fields)


@pytest.mark.parametrize("clips", [1, 3])
@pytest.mark.parametrize(
    ("recipe", "shapes"),
    [
        (Recipe(frames=4, crop=16), [(3, 4, 16, 16)]),
        (Recipe(frames=(2, 8), crop=16), [(3, 2, 16, 16), (3, 8, 16, 16)]),
        (Recipe(frames=4, crop=(8, 10), layout="T H W C"), [(4, 8, 10, 3)]),
        (FlowRecipe(frames=2, size=(16, 24)), [(2, 3, 16, 24), (2, 3, 16, 24)]),
        (FlowRecipe(size=(16, 24), flows=("forward", "backward")), [(3, 16, 24), (6, 16, 24)]),
    ],
)
def test_examples_have_the_form_that_the_model_takes_and_are_always_the_same(recipe, shapes, clips):
    inputs, again, on_meta = (example_inputs(recipe, clips, device) for device in ("cpu", "cpu", "meta"))
    for made in (inputs, on_meta):
        assert [tuple(tensor.shape) for tensor in tensors_of(made)] == [(clips, *shape) for shape in shapes]
        assert {tensor.dtype for tensor in tensors_of(made)} == {torch.float32}
        assert isinstance(made, dict) == isinstance(recipe, FlowRecipe)
    if isinstance(inputs, dict):
        assert list(inputs) == ["Image", "Flow"]
    assert all(torch.equal(a, b) for a, b in zip(tensors_of(inputs), tensors_of(again), strict=True))
    assert {tensor.device.type for tensor in tensors_of(on_meta)} == {"meta"}
    for tensor in tensors_of(inputs):
        assert 0.8 < tensor.std() < 1.2
        assert len({float(clip.sum()) for clip in tensor}) == clips


def test_one_recipe_takes_one_clip_as_one_tensor():
    assert isinstance(example_inputs(Recipe(frames=4, crop=16)), torch.Tensor)
    assert isinstance(example_inputs(Recipe(frames=(4, 4), crop=16)), list)
    assert batch_size(example_inputs(Recipe(frames=4, crop=16))) == 1
    levels = example_inputs(Recipe(frames=4, crop=16, values="uint8"))
    assert (levels.min(), levels.max()) == (0, 255)
    assert example_inputs(Recipe(frames=4, crop=16, values="uint8"), device="meta").dtype == torch.uint8


@pytest.mark.parametrize("front", [(), (2,), (2, 3)])
def test_a_single_frame_has_no_axis_of_its_own(front):
    images, flows = torch.rand(*front, 1, 3, 4, 5), torch.rand(*front, 1, 6, 4, 5)
    pair = image_and_flow(images, flows)
    assert torch.equal(pair["Image"], images[..., 0, :, :, :])
    assert torch.equal(pair["Flow"], flows[..., 0, :, :, :])
    images, flows = torch.rand(*front, 2, 3, 4, 5), torch.rand(*front, 2, 6, 4, 5)
    pair = image_and_flow(images, flows)
    assert torch.equal(pair["Image"], images)
    assert torch.equal(pair["Flow"], flows)


def test_channels_come_last_in_memory_and_nothing_else_changes():
    inputs = {"clip": torch.rand(2, 3, 4, 5, 6), "more": [torch.rand(2, 3, 5, 6), torch.rand(2, 7)]}
    found = channels_last(inputs)
    assert found["clip"].is_contiguous(memory_format=torch.channels_last_3d)
    assert found["more"][0].is_contiguous(memory_format=torch.channels_last)
    assert found["more"][1].is_contiguous()
    assert all(torch.equal(a, b) for a, b in zip(tensors_of(found), tensors_of(inputs), strict=True))
