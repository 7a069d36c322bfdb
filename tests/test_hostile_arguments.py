"""Arguments of any kind: a valid object, or one line that says what is wrong."""

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import static_dynamic as sd
from benchmarks.fuzz import fuzz
from static_dynamic.common.compute import Compute
from static_dynamic.common.errors import UserError
from static_dynamic.estimators.pairs import PairRule
from static_dynamic.media.clip import FlowRecipe, Recipe
from static_dynamic.media.inputs import declared_recipe
from static_dynamic.scoring import Scoring

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, 2, 3, 8, 224, -1, 2**64, 10**400, 10**5000])
    | st.floats()
    | st.text(max_size=6)
    | st.binary(max_size=3)
    | st.sampled_from(["C T H W", "uint8", "auto", "cpu", "videos", "forward", object(), int, ...])
)
VALUES = ATOMS | st.lists(ATOMS, max_size=4) | st.tuples(ATOMS, ATOMS) | st.tuples(ATOMS, ATOMS, ATOMS)
VALUES |= st.dictionaries(st.text(max_size=3), ATOMS, max_size=2) | st.sets(st.integers(), max_size=2)
KINDS = (Recipe, FlowRecipe, Scoring, Compute, PairRule)


def fields(kind):
    """Some fields of a class, with any values."""
    return st.dictionaries(st.sampled_from([field.name for field in dataclasses.fields(kind)]), VALUES, max_size=2)


def made(make):
    """What is made, or nothing after one line."""
    try:
        return make()
    except UserError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 1000
    return None


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_fields_are_valid_or_one_line(kind, data):
    given_fields = data.draw(fields(kind))
    valid = made(lambda: kind(**given_fields))
    if isinstance(valid, Recipe):
        assert all(size > 0 for shape in valid.shapes for size in shape)
        assert valid.sample(100, fps=25.0).numbers


WRONG = [
    {"videos": 3},
    {"videos": None},
    {"videos": ["", "a"]},
    {"stages": 3},
    {"stages": {"x": 3}},
    {"recipe": "small"},
    {"recipe": {"frames": [[]]}},
    {"recipe": {3: 3}},
    {"layout": 3},
    {"pool": 3},
    {"styles": 3},
    {"styles": [3]},
    {"scrambles": 3},
    {"max_videos": "all"},
    {"seed": "one"},
    {"seed": -1},
    {"seed": 1.5},
    {"compute": 8},
    {"scoring": 3},
    {"store": 3},
    {"estimators": 3},
    {"estimators": [[]]},
    {"twins": "three"},
    {"twins": -1},
    {"twins": 10**30},
    {"judge": 3},
    {"untrained": 3},
    {"on_video": 3},
    {"provenance": 3},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_an_argument_of_another_kind_is_one_line(wrong, monkeypatch):
    net = nn.Sequential(nn.Conv3d(3, 2, 3), nn.ReLU())
    usual = {
        "videos": "factorial:2",
        "stages": {"relu": ("1", "N C T H W")},
        "recipe": Recipe(frames=4, rate=1, crop=16),
    }
    with pytest.raises(UserError) as caught:
        sd.measure(net, **{**usual, **wrong})
    assert "\n" not in str(caught.value)


def test_a_model_is_a_module():
    for other in (None, "i3d", nn.Conv3d, lambda x: x):
        with pytest.raises(UserError):
            sd.measure(other, "factorial:2", recipe=Recipe(frames=4, rate=1, crop=16))


@pytest.mark.parametrize("recipe", [3, "small", [8], object()])
def test_a_recipe_is_a_recipe(recipe):
    with pytest.raises(UserError, match="The recipe must be a Recipe, a FlowRecipe or a mapping"):
        declared_recipe(nn.Identity(), recipe)


def test_the_fuzzer_finds_nothing_in_a_moment(tmp_path, capsys):
    outcomes = {outcome for _, outcome in fuzz(1.0, 7, tmp_path)}
    assert outcomes == {"read", "refused"}, capsys.readouterr().out
