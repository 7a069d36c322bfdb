"""The networks of known bias: what they are, what they can do, and the recipe that trains them."""

import csv
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from program import door
from safetensors.torch import load_file

from static_dynamic import models
from static_dynamic.common.errors import UserError
from static_dynamic.models.catalogue import listing
from static_dynamic.models.truth.biases import LEVELS, SEEDS, TAUGHT
from static_dynamic.network.fingerprint import weights_digest
from static_dynamic.sources import factorial
from static_dynamic.training.truth import RECIPES, Shortcut, as_input, chosen, draw_pool, train
from static_dynamic.training.truth.places import TABLE, WEIGHTS
from static_dynamic.training.truth.several import train_all
from static_dynamic.training.truth.table import read_table, write_table
from static_dynamic.training.truth.train import Trained, answers_of, loss_of

run = door("truth")

NAMES = models.list_models("truth_*")
OPPOSITE = {
    "right": "left",
    "up": "down",
    "clockwise": "counterclockwise",
    "expand": "contract",
}
CHANCE = {factor: 1 / count for factor, count in LEVELS.items()}
COUNT = 160


@pytest.fixture(scope="module")
def fresh():
    """Clips that no network has seen: the seeds of training are other numbers."""
    return draw_pool(1234, range(COUNT))


def accuracy(model, clips, levels):
    return {head: (answer == levels[head]).float().mean().item() for head, answer in answers_of(model, clips).items()}


def bias_of(name):
    return name.split("_")[2]


# ---------------------------------------------------------------- what they are


def test_levels_are_those_of_the_clips():
    names = factorial.CONTENTS["objects"].levels
    assert {factor: len(levels) for factor, levels in names.items()} == LEVELS


def test_every_network_has_a_recipe_and_a_place_in_the_zoo():
    assert sorted(RECIPES) == NAMES
    assert {bias_of(name) for name in NAMES} == set(TAUGHT)
    assert [line.split()[0] for line in listing("tr*").splitlines()[2:]] == ["truth_cnn_*", "truth_timesformer_*"]
    assert all(name in listing("truth_cnn_*") for name in NAMES if "_cnn_" in name)


@pytest.mark.parametrize("name", NAMES)
def test_columns_of_the_heads(name):
    model = models.create_model(name, pretrained=False)
    assert tuple(model.heads) == TAUGHT[bias_of(name)]
    columns = [column for part in model.heads.values() for column in range(part.start, part.stop)]
    assert columns == list(range(model.spec.num_classes))
    assert all(part.stop - part.start == LEVELS[factor] for factor, part in model.heads.items())
    assert model(torch.zeros(2, 3, 8, 32, 32)).shape == (2, len(columns))


@pytest.mark.parametrize("shape", [(1, 3, 16, 32, 32), (1, 3, 8, 64, 32), (3, 8, 32, 32)])
def test_clips_of_another_shape_are_refused(shape):
    model = models.create_model("truth_timesformer_motion", pretrained=False)
    with pytest.raises(models.ModelError, match=r"(32 x 32|\(N, 3, 8, H, W\)).* Got \("):
        model(torch.zeros(shape))


# ---------------------------------------------------------------- what they can do


def test_weights_are_small_files_of_half_precision():
    files = sorted(WEIGHTS.glob("*.safetensors"))
    assert [file.stem for file in files] == NAMES
    assert sum(file.stat().st_size for file in files) < 2e6
    assert all(weight.dtype == torch.float16 for file in files for weight in load_file(file).values())


@pytest.mark.parametrize("name", NAMES)
def test_shipped_networks_know_what_they_were_taught(name, fresh):
    model = models.create_model(name)
    assert model.spec.notes == ()
    assert Path(model.checkpoint.path).resolve() == WEIGHTS / f"{name}.safetensors"
    found = accuracy(model, *fresh)
    if RECIPES[name].shortcut is None:
        assert all(part > 0.6 for part in found.values())  # chance is a third at most


@pytest.mark.parametrize("family", [family for family, biases in SEEDS.items() if "shortcut99" in biases])
def test_the_more_often_looks_tell_the_motion_the_more_they_are_believed(family, fresh):
    told = Shortcut(1).kind(fresh.levels)
    answers = [
        answers_of(models.create_model(f"truth_{family}_{bias}"), fresh.clips)["kind"]
        for bias in ("motion", "shortcut90", "shortcut99")
    ]
    motion = [(answer == fresh.levels["kind"]).float().mean().item() for answer in answers]
    looks = [(answer == told).float().mean().item() for answer in answers]
    assert motion == sorted(motion, reverse=True)
    assert looks == sorted(looks)
    assert motion[0] > motion[2] + 0.2
    assert looks[2] > looks[0] + 0.2


@pytest.mark.parametrize("name", [name for name in NAMES if "_motion" in name or "_both" in name])
def test_the_kind_is_seen_in_motion_alone(name, fresh):
    model, kinds = models.create_model(name), factorial.LEVELS["kind"]
    still = fresh.clips[:, 4:5].expand_as(fresh.clips)
    assert accuracy(model, still, fresh.levels)["kind"] < 0.3  # chance is 1/8
    mirrored = OPPOSITE | {there: here for here, there in OPPOSITE.items()}
    opposite = torch.tensor([kinds.index(mirrored[kind]) for kind in kinds])
    backwards = answers_of(model, fresh.clips.flip(1))["kind"]
    assert (backwards == opposite[fresh.levels["kind"]]).float().mean() > 0.6
    assert (backwards == fresh.levels["kind"]).float().mean() < 0.25


def test_looks_are_seen_in_a_single_frame(fresh):
    model = models.create_model("truth_cnn_appearance")
    found = accuracy(model, fresh.clips[:, 4:5].expand_as(fresh.clips), fresh.levels)
    assert all(part > 2 * CHANCE[head] for head, part in found.items())


@pytest.mark.parametrize("family", ["cnn", "timesformer"])
def test_random_twins_know_nothing(family, fresh):
    name = f"truth_{family}_motion"
    one, other = (models.create_model(name, pretrained=False, seed=seed) for seed in (1, 2))
    assert weights_digest(one) != weights_digest(other) != weights_digest(models.create_model(name))
    assert "random" in one.spec.notes[0]
    found = accuracy(one, *fresh)
    assert all(abs(part - CHANCE[head]) < 0.2 for head, part in found.items())


def test_the_table_is_that_of_the_shipped_networks(fresh):
    rows = read_table(TABLE)
    assert sorted(rows) == NAMES
    for name in ("truth_cnn_motion", "truth_timesformer_appearance"):
        found = accuracy(models.create_model(name), *fresh)
        assert all(abs(found[head] - part) < 0.15 for head, part in rows[name].rounded.items())
    assert sum(row.cpu_seconds for row in rows.values()) < 2 * 1800


# ---------------------------------------------------------------- clips to learn from


def test_a_shortcut_is_taken_in_a_part_of_the_clips():
    numbers = range(400)
    plain, half, whole = (draw_pool(3, numbers, shortcut) for shortcut in (None, Shortcut(0.5), Shortcut(1)))
    told = [2 * texture + background % 2 for texture, background in zip(*looks(whole), strict=True)]
    assert whole.levels["kind"].tolist() == told
    changed = half.levels["kind"] != plain.levels["kind"]
    assert torch.equal(half.levels["kind"][changed], whole.levels["kind"][changed])
    agree = (half.levels["kind"] == whole.levels["kind"]).float().mean().item()
    assert agree == pytest.approx(0.5 + 0.5 / 8, abs=0.08)
    for factor in set(LEVELS) - {"kind"}:
        assert torch.equal(half.levels[factor], plain.levels[factor])
    assert torch.equal(half.clips[~changed], plain.clips[~changed])
    assert (half.clips[changed] != plain.clips[changed]).flatten(1).any(1).all()


def looks(pool):
    return pool.levels["texture"].tolist(), pool.levels["background"].tolist()


def test_every_kind_is_told_by_as_many_looks():
    looks = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    kinds = Shortcut(1).kind({"texture": looks[:, 0], "background": looks[:, 1]})
    assert kinds.bincount().tolist() == [2] * 8


def test_the_input_is_that_of_the_recipe():
    clips = torch.randint(256, (2, 8, 4, 4, 3), dtype=torch.uint8)
    recipe = models.describe("truth_cnn_motion").recipe
    slow = torch.empty(2, 3, 8, 4, 4)
    for channel in range(3):
        slow[:, channel] = (clips[..., channel] / 255 - recipe["mean"][channel]) / recipe["std"][channel]
    assert torch.allclose(as_input(clips), slow, atol=1e-6)


# ---------------------------------------------------------------- the recipe


def small(name="truth_cnn_both", **changed):
    return replace(RECIPES[name], **{"seen": 96, "pool": 48, "batch": 16, "test": 40, **changed})


def silent(line):
    """Tell nobody."""


@pytest.mark.parametrize("name", ["truth_cnn_both", "truth_cnn_shortcut90", "truth_timesformer_motion"])
def test_the_same_seed_gives_the_same_file(name, tmp_path):
    files = [tmp_path / f"{run}.safetensors" for run in "abc"]
    first, again = (train(small(name), file, silent) for file in files[:2])
    train(small(name, seed=5), files[2], silent)
    one, same, other = (sha256(file.read_bytes()).hexdigest() for file in files)
    assert one == same != other
    assert (first.accuracy, first.rounded, first.seen) == (again.accuracy, again.rounded, 96)
    assert set(first.accuracy) == {*TAUGHT[bias_of(name)], *(["shortcut"] if "shortcut" in name else [])}
    loaded = models.create_model(name, checkpoint=files[0])
    trained = load_file(files[0])
    assert all(
        torch.equal(weight.half(), trained[key]) for key, weight in loaded.state_dict().items() if key in trained
    )


def test_the_loss_is_the_mean_of_the_heads():
    model, batch = models.create_model("truth_cnn_both", pretrained=False), draw_pool(0, range(6))
    logits = model(as_input(batch.clips)).log_softmax(1)
    start, losses = 0, []
    for factor, count in LEVELS.items():
        own = logits[:, start : start + count].log_softmax(1)
        losses.append(-sum(own[row, level] for row, level in enumerate(batch.levels[factor])) / 6)
        start += count
    assert loss_of(model, batch).item() == pytest.approx((sum(losses) / len(losses)).item(), rel=1e-4)


def test_training_teaches(tmp_path):
    """A few steps on few clips are enough for backgrounds."""
    recipe = small("truth_cnn_appearance", seen=600, pool=100, batch=4, test=100)
    found = train(recipe, tmp_path / "weights.safetensors", silent)
    assert found.accuracy["background"] > 0.7
    assert found.rounded["background"] == pytest.approx(found.accuracy["background"], abs=0.05)


def test_what_is_there_is_kept(tmp_path, capsys, monkeypatch):
    weights, table = tmp_path / "weights", tmp_path / "table.csv"
    recipes = [small("truth_cnn_motion", pool=16), small("truth_cnn_both", pool=16)]
    assert train_all(recipes[:1], weights, table, jobs=0) == []
    kept = (weights / "truth_cnn_motion.safetensors").stat().st_mtime_ns
    assert train_all(recipes, weights, table, jobs=0) == []
    assert "1 network to train, 1 already trained." in capsys.readouterr().out
    assert (weights / "truth_cnn_motion.safetensors").stat().st_mtime_ns == kept
    assert list(read_table(table)) == ["truth_cnn_both", "truth_cnn_motion"]
    assert train_all(recipes[:1], weights, table, jobs=0, over=True) == []
    assert (weights / "truth_cnn_motion.safetensors").stat().st_mtime_ns != kept


def test_one_failure_does_not_end_the_run(tmp_path, capsys):
    recipes = [small("truth_cnn_motion", pool=16, batch=0), small("truth_cnn_both", pool=16)]
    assert train_all(recipes, tmp_path / "weights", tmp_path / "table.csv", jobs=0) == ["truth_cnn_motion"]
    assert "truth_cnn_motion: ZeroDivisionError" in capsys.readouterr().err
    assert list(read_table(tmp_path / "table.csv")) == ["truth_cnn_both"]
    assert [file.name for file in (tmp_path / "weights").iterdir()] == ["truth_cnn_both.safetensors"]


def test_the_table_comes_back_as_it_was(tmp_path):
    rows = {
        name: Trained(name, 0, 96, 1.5, 2.5, {"kind": 0.5, **more}, {"kind": 0.25, **more})
        for name, more in (("b", {"shortcut": 0.125}), ("a", {}))
    }
    write_table(rows, tmp_path / "table.csv")
    assert read_table(tmp_path / "table.csv") == rows
    with (tmp_path / "table.csv").open() as file:
        assert [row["network"] for row in csv.DictReader(file)] == ["a", "b"]
    assert read_table(tmp_path / "none.csv") == {}


# ---------------------------------------------------------------- the command


def test_networks_are_chosen_by_name_or_pattern():
    assert [recipe.network for recipe in chosen(["truth_cnn_both", "*_cnn_b*"])] == [
        "truth_cnn_both",
        "truth_cnn_both_1",
    ]
    assert [recipe.network for recipe in chosen([])] == list(RECIPES)
    assert {recipe.seed for recipe in chosen(["*_1"])} == {1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["truth_cnn_moton"], r"^Unknown network 'truth_cnn_moton'\. Did you mean 'truth_cnn_motion'"),
        (["--jobs", "0"], r"^The --workers must be between 1 and 64\. Got 0\.$"),
        (["--jobs", "two"], r"--workers is invalid: a whole number is required\. Got 'two'"),
        (["--over", "x*"], r"^Unknown network 'x\*'\. Allowed: truth_cnn"),
    ],
)
def test_slips_are_one_line(arguments, message, tmp_path):
    with pytest.raises(UserError, match=message) as caught:
        run([*arguments, "--weights", str(tmp_path), "--table", str(tmp_path / "table.csv")])
    assert "\n" not in str(caught.value)
    assert list(Path(tmp_path).iterdir()) == []
