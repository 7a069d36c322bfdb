"""Which task breaks: of a network whose two branches serve a task each, the tables say exactly which."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import t as student
from torch import nn

from benchmarks.truth import causal
from benchmarks.truth.causal import BLOCKS, Measured, predicted, removals, run, single_units, verdict
from benchmarks.truth.removing import Examination, frozen, motion_axes, paired, right, spread
from static_dynamic.common.errors import UserError
from static_dynamic.models.spec import Stage
from static_dynamic.models.truth.cnn import WIDTHS

COLOURS, KINDS = 6, 8
OF_COLOUR, OF_KIND = np.arange(COLOURS), COLOURS + np.arange(KINDS)
RNG = np.random.default_rng(0)


class TwoBranches(nn.Module):
    """Six units that are 1 where the first channel has their value, eight that are 1 where the second grows as fast.

    What it answers is which of the six and which of the eight is above a half; the first, where none is.
    """

    def __init__(self):
        super().__init__()
        self.units = nn.Identity()
        self.heads = {"colour": slice(0, COLOURS), "kind": slice(COLOURS, COLOURS + KINDS)}
        self.spec = SimpleNamespace(stages={"late": Stage("units", "N C")})

    def forward(self, clip):
        value, growth = clip[:, 0].mean((1, 2, 3)), (clip[:, 1, -1] - clip[:, 1, 0]).mean((1, 2))
        near = [1 - (of[:, None] - torch.arange(n)).abs() for of, n in ((value, COLOURS), (growth, KINDS))]
        return (self.units(torch.cat(near, 1).relu()) - 0.5).relu()


def shown(colour, kind):
    """Clips of 4 frames; in the middle one, the second channel is 0."""
    clips = torch.zeros(len(colour), 3, 4, 2, 2)
    clips[:, 0] = torch.as_tensor(colour)[:, None, None, None].float()
    clips[:, 1] = torch.as_tensor(kind)[:, None, None, None] * torch.tensor([-2 / 3, -1 / 3, 0, 1 / 3])[:, None, None]
    return clips


def levels(count):
    return RNG.integers(COLOURS, size=count), RNG.integers(KINDS, size=count)


def one_hot(colour, kind):
    """What the units answer, another way."""
    return np.concatenate([np.eye(COLOURS)[colour], np.eye(KINDS)[kind]], -1)


def crossed():
    """What the units answer to blocks that cross colours and kinds: ``(*BLOCKS, C)``."""
    blocks = [(RNG.permutation(COLOURS)[:2], RNG.permutation(KINDS)[:2]) for _ in range(BLOCKS[0])]
    cells = [[[one_hot(a, m) for m in motions] for a in looks] for looks, motions in blocks]
    return np.repeat(np.array(cells)[:, :, :, None], BLOCKS[3], 3)


def unit_tables():
    """A sound score of each kind, but for the released labels, which call every unit static."""
    moves = np.arange(COLOURS + KINDS) >= COLOURS
    table = pd.DataFrame({"unit": range(len(moves)), "motion": moves * 1.0, "appearance": ~moves * 1.0})
    table["static"], table["dynamic"] = 0.9 - 0.1 * moves, 0.1 + 0.1 * moves
    classes = {
        "needs_motion": np.where(moves, "motion", "still"),
        "factorial_shares": np.where(moves, "motion", "appearance"),
        "released": np.full(len(moves), "static"),
    }
    every = [table.assign(estimator=name, **{"class": of}) for name, of in classes.items()]
    return pd.concat(every).sample(frac=1, random_state=0)  # the order of rows says nothing


SEEN, ASKED = levels(60), levels(203)
"""Colours and kinds of the reference, and of the clips of the test, which fill no whole batch."""


@pytest.fixture(scope="module")
def exam():
    colour, kind = map(torch.from_numpy, ASKED)
    return Examination(TwoBranches().eval(), "late", shown(*ASKED), {"colour": colour, "kind": kind}, shown(*SEEN))


@pytest.fixture(scope="module")
def measured():
    return Measured(unit_tables(), one_hot(*SEEN), crossed())


@pytest.fixture(scope="module")
def table(exam, measured):
    return pd.DataFrame([{"network": "two", "stage": "late", **row} for row in removals(exam, measured)])


def rows(table, removed, score=""):
    return table[(table["removed"] == removed) & (table["score"] == score)].set_index("task")


def expected(units):
    """Accuracies without some units, whose place their means take: from the answers, without the network."""
    answers = one_hot(*ASKED)
    answers[:, units] = one_hot(*SEEN).mean(0)[units]
    return np.array(
        [
            np.mean((answers[:, of] > 0.5).argmax(1) == asked)
            for of, asked in zip((OF_COLOUR, OF_KIND), ASKED, strict=True)
        ]
    )


# ---------------------------------------------------------------- the table


def test_the_branch_of_a_task_is_what_that_task_needs_and_the_other_does_not(table):
    for label, units, breaks, spared in (
        ("needs_motion: still", OF_COLOUR, 0, "motion"),
        ("needs_motion: motion", OF_KIND, 1, "appearance"),
        ("factorial_shares: appearance", OF_COLOUR, 0, "motion"),
        ("factorial_shares: motion", OF_KIND, 1, "appearance"),
    ):
        found = rows(table, "label", label)
        lost = 1 - expected(units)
        assert found["drop"][["appearance", "motion"]].tolist() == pytest.approx(lost)
        assert found["drop"]["difference"] == pytest.approx(lost[1] - lost[0])
        assert lost[breaks] > 0.7
        assert found.loc[spared, ["drop", "low", "high"]].tolist() == [0, 0, 0]
        assert set(found["units"]) == {len(units)}
        part = one_hot(*SEEN).var(0)
        assert found["share"].iloc[0] == pytest.approx(part[units].sum() / part.sum())


def test_a_label_of_every_unit_breaks_both_and_a_label_of_none_says_so(table):
    everything, nothing = rows(table, "label", "released: static"), rows(table, "label", "released: dynamic")
    assert everything["drop"][["appearance", "motion"]].tolist() == pytest.approx(1 - expected(np.arange(14)))
    assert everything["share"].iloc[0] == pytest.approx(1)
    assert nothing[["drop", "low", "high"]].isna().all(axis=None)
    assert nothing[["units", "share"]].eq(0).all(axis=None)


@pytest.mark.parametrize("score", [ranking.name for ranking in causal.RANKINGS])
def test_first_units_of_a_sound_score_are_of_one_branch_and_carry_about_as_much(table, score):
    found = rows(table, "units", score)
    breaks = found["predicts"].iloc[0]
    spared = {"appearance": "motion", "motion": "appearance"}[breaks]
    assert found["share"].iloc[0] == pytest.approx(0.275, abs=0.05)
    assert found["drop"][spared] == 0
    # Equal scores are taken in the order of units.
    first = (OF_COLOUR if breaks == "appearance" else OF_KIND)[: int(found["units"].iloc[0])]
    assert found["drop"][["appearance", "motion"]].tolist() == pytest.approx(1 - expected(first))


def test_random_sets_carry_as_much_and_cost_both_tasks(table):
    random, nearest = rows(table, "random units"), rows(table, "units", "lowest needs-motion")
    others = table[table["removed"] == "units"]["share"]
    target = others.iloc[(others - 0.275).abs().argmin()]
    assert random["share"].iloc[0] == pytest.approx(target, rel=0.05)
    assert (random["low"] <= random["drop"]).all()
    assert (random["drop"] <= random["high"]).all()
    assert (random["high"] > random["low"]).all()
    assert random["high"]["appearance"] > 0
    assert random["high"]["motion"] > 0
    assert random["predicts"].eq("").all()
    assert nearest["base"][["appearance", "motion"]].tolist() == [1, 1]


def test_subspaces_of_the_design_lie_within_a_branch(table):
    for task, spared in (("appearance", "motion"), ("motion", "appearance")):
        found, random = (rows(table, of, f"directions of {task}") for of in ("subspace", "random directions"))
        assert found["drop"][spared] == 0
        assert found["drop"][task] > 0.2
        assert random["share"].iloc[0] == pytest.approx(found["share"].iloc[0], rel=0.01)
        assert random["units"].iloc[0] == found["units"].iloc[0]


def test_units_that_see_a_frozen_clip_answer_as_if_nothing_moved(table):
    still = np.mean(ASKED[1] == 0)  # nothing grows: kind 0
    whole = rows(table, "frozen units", "all units")
    assert whole["drop"].tolist() == pytest.approx([0, 1 - still, 1 - still])
    assert (rows(table, "frozen units", "lowest needs-motion")[["drop", "low", "high"]] == 0).all(axis=None)
    moving = rows(table, "moving units", "all units")
    assert moving["base"]["motion"] == pytest.approx(still)
    assert moving["drop"]["motion"] == pytest.approx(still - 1)
    units = OF_KIND[: int(rows(table, "frozen units", "highest needs-motion")["units"].iloc[0])]
    # Where some units see the moving clip, both they and the unit of kind 0 are on: the first of the two is answered.
    patched = one_hot(ASKED[0], np.zeros_like(ASKED[1]))
    patched[:, units] = one_hot(*ASKED)[:, units]
    restored = np.mean(patched[:, OF_KIND].argmax(1) == ASKED[1])
    assert rows(table, "moving units", "highest needs-motion")["drop"]["motion"] == pytest.approx(still - restored)


def test_all_that_was_asked_is_there(table):
    assert not table.duplicated(["removed", "score", "task"]).any()
    assert table.groupby(["removed", "score"]).size().eq(3).all()
    assert table["removed"].value_counts().floordiv(3).to_dict() == {
        **{"units": 6, "random units": 1, "label": 6, "subspace": 2, "random directions": 2},
        **{"frozen units": 3, "random frozen units": 1, "moving units": 3, "random moving units": 1},
    }


def test_the_same_seed_gives_the_same_table(exam, measured, table):
    again = pd.DataFrame([{"network": "two", "stage": "late", **row} for row in removals(exam, measured)])
    pd.testing.assert_frame_equal(table, again)


def test_units_one_by_one(exam, measured):
    found = pd.DataFrame(single_units(exam, measured)).set_index("score")
    damage = [np.diff(1 - expected([unit]))[0] for unit in range(14)]
    scores = pd.Series(np.arange(14) >= COLOURS, dtype=float)
    rho = scores.rank().corr(pd.Series(damage).round(12).rank())
    assert rho > 0.8
    assert found["rho"].tolist() == pytest.approx([rho] * 3)
    reach = np.arctanh(found["high"]) - np.arctanh(found["rho"])
    assert reach.tolist() == pytest.approx([1.959964 * np.sqrt(1.06 / 11)] * 3, rel=1e-6)
    assert (np.arctanh(found["rho"]) - np.arctanh(found["low"])).tolist() == pytest.approx(reach.tolist())


# ---------------------------------------------------------------- what it is made of


def test_what_is_right_is_a_part_of_the_factors_of_a_task(exam):
    model = TwoBranches()
    model.heads = {"colour": slice(0, 3), "shape": slice(3, 6), "kind": slice(6, 14)}
    count = len(ASKED[0])
    hits = right(model, exam.clips, {name: torch.zeros(count, dtype=torch.long) for name in model.heads})
    # Units 0-2 are off for colours 3-5, and units 3-5 for the others: the first of equals is answered.
    colour, shape = np.where(ASKED[0] < 3, ASKED[0], 0) == 0, np.where(ASKED[0] >= 3, ASKED[0] - 3, 0) == 0
    assert np.array_equal(hits, [(colour * 1.0 + shape) / 2, ASKED[1] == 0])


def test_a_network_that_was_taught_one_task_is_refused(exam):
    model = TwoBranches()
    model.heads = {"colour": slice(0, 6)}
    with pytest.raises(UserError, match=r"taught colour, but nothing of motion. Allowed: truth_\*_both"):
        right(model, exam.clips, exam.levels)


def test_a_frozen_clip_is_its_middle_frame(exam):
    still = frozen(exam.clips)
    assert torch.equal(still, exam.clips[:, :, 2:3].expand_as(exam.clips))


def test_paired_intervals_are_those_of_the_differences():
    before, after = (RNG.random((2, 150)) < chance for chance in (0.9, 0.6))
    found = paired(before.astype(float), after.astype(float))
    lost = before.astype(float) - after
    for place, values in enumerate((lost[0], lost[1], lost[1] - lost[0])):
        centred = values - values.mean()
        kurtosis = (centred**4).mean() / (centred**2).mean() ** 2
        freedom = min(149, 2 * 150 / (kurtosis - 1))
        reach = student.ppf(0.975, freedom) * values.std(ddof=1) / np.sqrt(150)
        assert found.mean[place] == pytest.approx(values.mean())
        assert found.low[place] == pytest.approx(values.mean() - reach)
        assert found.high[place] == pytest.approx(values.mean() + reach)


def test_the_spread_of_random_sets_is_their_range():
    before = np.ones((2, 4))
    after = [np.array([[1, 1, 1, 0], [1, 1, 0, 0]]), np.array([[0, 0, 1, 0], [1, 1, 1, 1]])]
    mean, low, high = spread(before, after)
    assert mean.tolist() == [0.5, 0.25, -0.25]
    assert low.tolist() == [0.25, 0, -0.75]
    assert high.tolist() == [0.75, 0.5, 0.25]


def test_axes_of_motion_are_told_from_those_of_appearance_under_interaction_and_noise():
    rng, units = np.random.default_rng(1), 12
    basis = np.linalg.qr(rng.normal(size=(units, units)))[0]
    looks, moves, both = (rng.normal(size=(2000, *shape, 1)) for shape in ((2, 1, 1), (1, 2, 1), (2, 2, 1)))
    table = (2 * looks * basis[0] + 1.5 * moves * basis[1] + 3 * both * basis[2])[:, :, :, :]
    table = table + rng.normal(size=(2000, 2, 2, 2, units))
    values, axes = motion_axes(table)
    assert np.allclose(axes @ axes.T, np.eye(units))
    assert abs(axes[0] @ basis[1]) > 0.98
    assert abs(axes[-1] @ basis[0]) > 0.98
    # The mean over two appearances of motions that differ with variance 2.25: half of it lies within a block.
    assert values[0] == pytest.approx(1.5**2 / 2, rel=0.1)
    assert values[-1] == pytest.approx(-(2**2) / 2, rel=0.1)
    assert np.abs(values[1:-1]).max() < 0.3


# ---------------------------------------------------------------- verdict, tables, picture


def test_the_verdict_counts_where_the_predicted_task_alone_broke(table):
    found = predicted(table).set_index(["removed", "score"])["right"]
    assert found.drop("label").eq(1).all()
    assert found["label"].to_dict() == {
        **{"needs_motion: still": 1, "needs_motion: motion": 1},
        **{"factorial_shares: appearance": 1, "factorial_shares: motion": 1},
        **{"released: static": 0, "released: dynamic": 0},
    }
    said = verdict(table)
    for line in ("first units of released: 2 of 2", "labels of needs_motion: 2 of 2", "labels of released: 0 of 2"):
        assert line in said
    assert "subspaces: 2 of 2" in said


@pytest.mark.parametrize(
    ("predicts", "appearance", "motion", "ends", "right"),
    [
        ("motion", 0.09, 0.3, (0.15, 0.25), 1),
        ("motion", 0.11, 0.3, (0.15, 0.25), 0),  # less than three times as much
        ("motion", 0.0, 0.3, (-0.01, 0.6), 0),  # by chance, perhaps
        ("motion", 0.3, 0.1, (-0.25, -0.15), 0),
        ("appearance", 0.3, 0.09, (-0.25, -0.15), 1),
        ("appearance", 0.3, 0.0, (-0.6, 0.01), 0),
        ("appearance", 0.1, 0.3, (0.15, 0.25), 0),
    ],
)
def test_when_a_prediction_is_right(predicts, appearance, motion, ends, right):
    key = {"network": "a", "stage": "b", "removed": "units", "score": "c", "predicts": predicts}
    drops = {"appearance": (appearance, 0, 0), "motion": (motion, 0, 0), "difference": (motion - appearance, *ends)}
    table = pd.DataFrame(
        [key | dict(zip(("drop", "low", "high"), of, strict=True), task=name) for name, of in drops.items()]
    )
    assert predicted(table)["right"].tolist() == [right]


def test_the_command_keeps_other_networks_and_draws_all(monkeypatch, tmp_path, capsys, table):
    single = pd.DataFrame({"network": ["two"], "stage": ["late"], "score": ["x"], "rho": [0.5]})
    monkeypatch.setattr(causal, "with_weights", lambda: ["one", "two"])
    monkeypatch.setattr(causal, "examine", lambda name: (table.assign(network=name), single.assign(network=name)))
    with monkeypatch.context() as patched:
        patched.setattr(causal, "draw", lambda *_: None)
        run("two", out=tmp_path)
        run("one", out=tmp_path)
    run("two", out=tmp_path)
    kept = pd.read_csv(tmp_path / "causal.csv")
    assert kept["network"].value_counts().to_dict() == {"one": len(table), "two": len(table)}
    assert kept["network"].is_monotonic_increasing
    assert np.allclose(kept["drop"][: len(table)], table["drop"], atol=1e-4, equal_nan=True)
    assert pd.read_csv(tmp_path / "causal_units.csv")["network"].tolist() == ["one", "two"]
    assert "labels of needs_motion: 4 of 4" in capsys.readouterr().out
    text = (tmp_path / "causal.svg").read_text()
    for said in ("one", "two", "First units of a score", "released: dynamic", "no unit has it", "14 · 100 %"):
        assert said in text
    assert (tmp_path / "causal.png").stat().st_size > 10_000


def test_only_networks_that_were_taught_both_are_examined():
    assert "truth_cnn_both" in causal.with_weights()
    with pytest.raises(UserError, match=r"truth_cnn_motion.*truth_cnn_both"):
        run(["truth_cnn_motion"])


def test_a_network_of_the_zoo_goes_through(monkeypatch):
    few = {"CLIPS": 6, "VIDEOS": 5, "BLOCKS": (3, 2, 2, 2), "DRAWS": 2}
    for name, value in few.items():
        monkeypatch.setattr(causal, name, value)
    whole = causal._recorded
    monkeypatch.setattr(
        causal,
        "_recorded",
        lambda *given: {name: z for name, z in whole(*given).items() if name in ("stage3", "stage4")},
    )
    found, single = causal.examine("truth_cnn_both")
    assert set(found["stage"]) == {"stage4"}  # the first is left out
    assert len(found) == 75
    assert single["units"].tolist() == [WIDTHS[-1]] * 3
    assert found["base"].dropna().between(0, 1).all()
