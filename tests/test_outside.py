"""Styles, scrambles, changes of flow, estimators, poolings and sources from outside: as objects, by name, by plugin."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from planted import RECIPE, STAGES, STYLES, PlantedModel, PlantedVideos
from program import door, stylize

import static_dynamic as sd
from static_dynamic.collect import Study
from static_dynamic.common import plugins
from static_dynamic.common.commands import command
from static_dynamic.common.compute import Compute
from static_dynamic.common.errors import UserError
from static_dynamic.common.plugins import import_plugins
from static_dynamic.common.processes import in_processes
from static_dynamic.common.registry import Registry
from static_dynamic.config import Config, read_config
from static_dynamic.estimators.needs_motion import NeedsMotion
from static_dynamic.estimators.registry import estimators, find_estimators, registered
from static_dynamic.interventions import (
    apply_scramble,
    change_flow,
    check_scramble,
    list_scrambles,
    list_styles,
    restyle,
    scramble,
)
from static_dynamic.network.fingerprint import code_digest
from static_dynamic.network.layout import parse_layout
from static_dynamic.network.recorder import Recorder
from static_dynamic.program.sheet import catalogue
from static_dynamic.sources import FactorialVideos
from static_dynamic.store import Store
from static_dynamic.variants import Conditions

ROOT = Path(__file__).parents[1]
interventions = door("sheet")
PAGES = [ROOT / "docs" / f"add_{part}.md" for part in ("style", "estimator", "data", "plot")]
BLOCKS = [
    block
    for page in PAGES
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    if "@sd." in block
]
pytestmark = pytest.mark.usefixtures("own_parts_forgotten")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a plugin in it made of the examples in the docs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_parts.py").write_text("\n".join(BLOCKS))
    return tmp_path


def clip(length=9, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (length, 20, 24, 3)).astype(np.uint8)


def measured(store=None, **options):
    options = {"styles": STYLES[:2], "estimators": "needs_motion", "twins": 0, **options}
    scoring = sd.Scoring(replicates=10)
    return sd.measure(PlantedModel(), PlantedVideos(12), STAGES, recipe=RECIPE, scoring=scoring, store=store, **options)


# --- names -------------------------------------------------------------------------------------------------------


def test_a_name_is_registered_and_that_of_another_function_is_refused():
    registry = Registry("toy", reserved=("none",), loud=False)

    @registry("one", "The first.")
    def one():
        return 1

    assert registry["one"].function is one
    assert registry["one"].summary == "The first."
    assert registry["one"].options == {"loud": False}
    with pytest.raises(UserError, match=r"The name 'one' is that of another toy, of .*test_outside. Choose another."):

        @registry("one", "Another.")
        def two():
            return 2

    assert registry["one"].function is one


def test_the_same_function_again_takes_its_own_place():
    registry = Registry("toy")
    for number in (1, 2):

        @registry("one", f"Version {number}.")
        def one(number=number):
            return number

    assert registry.names() == ["one"]
    assert registry["one"].summary == "Version 2."
    assert registry["one"].function() == 2


@pytest.mark.parametrize("name", ["two words", "a.jpg", "a:3", "a,b", "1", "shuffle-2", "", "none"])
def test_what_cannot_be_a_name_is_refused(name):
    registry = Registry("toy", reserved=("none",))
    with pytest.raises(UserError, match="The name of a toy"):
        registry(name, "One line.")(len)
    assert registry.names() == []


def test_a_decorator_without_its_name_or_summary_and_an_unknown_option_are_told():
    for slip in (lambda: sd.style(len), lambda: sd.style("mine")):
        with pytest.raises(UserError, match=r'@sd.style\("mine", "One line."\)'):
            slip()
    with pytest.raises(UserError, match=r"Unknown option of a scramble 'pixel'. Did you mean 'pixels'"):
        sd.scramble("mine", "One line.", pixel=True)(len)


@pytest.mark.parametrize(
    ("registry", "taken"),
    [
        (sd.style, "ink"),
        (sd.scramble, "blur"),
        (sd.flow_change, "jitter"),
        (sd.pooling, "avg"),
        (registered, "released"),
    ],
)
def test_built_in_names_are_taken(registry, taken):
    def mine():
        return None

    mine.__module__ = "elsewhere"
    with pytest.raises(UserError, match=f"'{taken}' is that of another .*static_dynamic"):
        registry(taken, "One line.")(mine)


def test_built_in_names_are_taken_before_anything_was_asked_for():
    """Nor do built-in entries have to be imported by hand."""
    code = "import static_dynamic as sd\n@sd.style('neon', 'Mine.')\ndef mine(clip, rng): ..."
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "UserError: The name 'neon' is that of another style" in done.stderr
    code = "from static_dynamic.interventions.styles import list_styles; print(*list_styles())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == list_styles()


def test_names_that_mean_something_else_are_refused():
    with pytest.raises(UserError, match="is reserved"):
        sd.style("original", "Mine.")(len)
    with pytest.raises(UserError, match="is reserved"):
        sd.scramble("intact", "Mine.")(len)
    with pytest.raises(UserError, match="is reserved"):
        sd.source("factorial", "Mine.")(len)


def test_a_function_goes_by_its_own_name_and_one_without_is_asked_for_it():
    def plain(x):
        """Half the mean.

        More.
        """
        return x.mean(1) / 2

    assert sd.pooling.name_of("avg") == "avg"
    assert sd.pooling.name_of(plain) == sd.pooling.name_of(plain) == "plain"
    assert sd.pooling["plain"].summary == "Half the mean."
    sd.pooling("named", "One line.")(plain)
    assert sd.pooling.name_of(plain) in ("plain", "named")
    for nameless in (lambda x: x, torch.nn.Identity()):
        with pytest.raises(UserError, match=r'This pooling has no name: give it one with sd.pooling\("mine"'):
            sd.pooling.name_of(nameless)
    with pytest.raises(UserError, match=r"A pooling must be a name or a function. Got 3"):
        sd.pooling.name_of(3)


# --- the examples of the docs ------------------------------------------------------------------------------------


def test_every_example_of_the_docs_runs_and_does_what_it_says():
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"block {number}", "exec"), {"__name__": f"block_{number}"})
    frames = clip()
    np.testing.assert_array_equal(restyle(frames, "negative"), 255 - frames)
    assert scramble("to_and_fro", 5).tolist() == [0, 1, 2, 1, 0]
    np.testing.assert_array_equal(apply_scramble(frames, "trail")[4], frames[:5].max(0))
    flows = {"forward": clip(), "backward": clip(seed=1)}
    assert np.array_equal(change_flow(flows, "backwards")["backward"], flows["backward"][::-1])
    (one,) = find_estimators("needs_direction")
    assert (one.name, one.order) == ("needs_direction", "reverse")
    assert "backwards" in one.summary
    x = torch.randn(2, 3, 4, 5, 6)
    torch.testing.assert_close(parse_layout("N C T H W").pool(x, 2, "spread"), x.flatten(2).std(2))
    assert [video.name for video in sd.open_source("mine:factorial:2").videos] == ["factorial_0000", "factorial_0001"]
    assert "reliability" in sd.plot.names()
    assert len(BLOCKS) == 7


# --- plots ---


def test_plots_are_drawn_with_those_of_every_result(tmp_path):
    result = measured()

    @sd.plot("mine", "Reliability of every stage.")
    def mine(given):
        figure = Figure()
        figure.subplots().plot(given.stages, given.shares()["reliability"])
        return figure

    paths = result.plot(tmp_path)
    assert [path.name for path in paths][-2:] == ["mine.svg", "mine.png"]
    assert {path.name for path in paths} >= {"layers.svg", "units.png", "mine.svg"}
    assert "planted" in (tmp_path / "mine.svg").read_text()


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda result: 1 / 0, "The plot 'mine' cannot be drawn: ZeroDivisionError"),
        (lambda result: None, "The plot 'mine' must return a matplotlib Figure. Got NoneType"),
    ],
)
def test_a_plot_that_fails_is_one_line_and_the_others_are_there(tmp_path, draw, says):
    sd.plot("mine", "Nothing.")(draw)
    with pytest.raises(UserError, match=says):
        measured().plot(tmp_path)
    assert (tmp_path / "layers.svg").exists()
    assert not (tmp_path / "mine.svg").exists()


# --- objects -----------------------------------------------------------------------------------------------------


class Direction(NeedsMotion):
    name, summary, order = "direction", "Against the clip played backwards.", "reverse"


class MyVideos(FactorialVideos):
    """A source from outside."""


def halves(length, rng):
    return np.roll(np.arange(length), length // 2)


def my_pool(x):
    return torch.cat([x.mean(1), x.amax(1)], 1)


def my_style(clip, rng):
    return lambda frame: 255 - frame


def test_objects_are_measured():
    result = sd.measure(
        PlantedModel(),
        MyVideos(8, size=32),
        {"frames": STAGES["frames"]},
        recipe=RECIPE,
        pool=my_pool,
        styles=["ink", my_style],
        scrambles=[halves],
        estimators=[Direction(), "released"],
        scoring=sd.Scoring(replicates=10),
        twins=0,
    )
    study = result.manifest["study"]
    assert study["styles"] == ["ink", "my_style"]
    assert study["orders"] == ["intact", "halves"]
    assert study["pool"] == "my_pool"
    assert set(study["outside"]) == {"style my_style", "scramble halves", "pooling my_pool", "source MyVideos"}
    assert [one["name"] for one in result.manifest["estimators"]] == ["direction", "released"]
    assert set(result.layers["estimator"]) == {"direction", "released"}
    assert len(result.units["unit"].unique()) == 4  # mean and maximum of two channels


def test_a_study_without_anything_from_outside_says_nothing_of_it():
    recorder = Recorder(PlantedModel(), STAGES)
    source = FactorialVideos(2)
    study = Study(recorder, source, source.videos, RECIPE, Conditions(("ink",)), Compute())
    assert "outside" not in study.describe()


def test_the_flow_of_a_model_of_flow_is_changed_by_a_function(monkeypatch):
    def still(flows, rng):
        return {direction: np.full_like(frames, 255) for direction, frames in flows.items()}

    assert sd.flow_change.name_of(still) == "still"
    assert (change_flow({"forward": clip()}, "still")["forward"] == 255).all()

    def wrong(flows, rng):
        return {"forward": flows["forward"][:2]}

    sd.flow_change.name_of(wrong)
    with pytest.raises(UserError, match=r"The change 'wrong' must return forward flow, each uint8 \(9, 20, 24, 3\)"):
        change_flow({"forward": clip()}, "wrong")


# --- slips of what comes from outside ----------------------------------------------------------------------------


def test_a_scramble_that_gives_no_order_is_refused_before_the_run():
    for wrong in ([0, 1, 2], [0.0, 1.0], [0, 7], None):
        sd.scramble("wrong", "One line.")(lambda length, rng, wrong=wrong: wrong)
        with pytest.raises(UserError, match=r"'wrong' must return 2 indices of frames, 0 to 1.*pixels=True"):
            check_scramble("wrong")
    sd.scramble("fails", "One line.")(lambda frames, rng: frames[::-1])
    with pytest.raises(UserError, match=r"'fails' failed on a clip of 2 frames: TypeError.*\(frames, rng\)"):
        check_scramble("fails")
    sd.scramble("short", "One line.", pixels=True)(lambda frames, rng: frames[1:])
    with pytest.raises(UserError, match=r"'short' must return frames as uint8 \(2, 16, 16, 3\). Got uint8 \(1,"):
        check_scramble("short")


def test_a_style_that_paints_something_else_is_refused():
    sd.style("floats", "One line.")(lambda clip, rng: lambda frame: frame / 2)
    with pytest.raises(UserError, match=r"'floats' must paint a frame as uint8 \(20, 24, 3\). Got float64"):
        restyle(clip(), "floats")


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda x: x.mean(), r"'wrong' must return a tensor \(2 clips, units\). Got \(\)"),
        (lambda x: 3, "Got int"),
        (lambda x: x[7], r"'wrong' failed on \(2, 60, 3\): IndexError"),
    ],
)
def test_a_pooling_that_returns_no_units_is_refused(function, says):
    sd.pooling("wrong", "One line.")(function)
    with pytest.raises(UserError, match=says):
        parse_layout("N C T H W").pool(torch.randn(2, 3, 3, 4, 5), 2, "wrong")


def test_a_pooling_is_given_the_part_that_it_asks_for():
    seen = []

    def look(x):
        seen.append(tuple(x.shape))
        return x.flatten(1, -2).mean(1)

    x = torch.randn(2, 1 + 3 * 4, 5)
    for of in ("positions", "patches", "first_extra", "frames"):
        sd.pooling(f"look_{of}", "One line.", of=of)(look)
        parse_layout("N (1 T=3 P) C").pool(x, 2, f"look_{of}")
    assert seen == [(2, 13, 5), (2, 12, 5), (2, 1, 5), (2, 3, 4, 5)]
    sd.pooling("look", "One line.", of="patch")(look)
    with pytest.raises(
        UserError, match=r"Unknown part of an output 'patch' in the pooling 'look'. Did you mean 'patches'"
    ):
        parse_layout("N C T H W").check_pooling("look")
    with pytest.raises(UserError, match='Pooling "look_frames" needs an axis T'):
        Recorder(PlantedModel(), {"planted": STAGES["planted"]}, pool="look_frames")


def test_a_source_that_cannot_be_opened_is_one_line():
    @sd.source("mine", "One line.")
    def mine(where, count=2):
        return FactorialVideos(count) if where != "broken" else open(where)

    assert len(sd.open_source("mine:x", count=3).videos) == 3
    assert len(sd.open_source("mine").videos) == 2
    with pytest.raises(UserError, match=r"The source 'mine' cannot open 'broken': FileNotFoundError"):
        sd.open_source("mine:broken")
    with pytest.raises(UserError, match=r"Unknown option 'counts' in mine. Did you mean 'count'"):
        sd.open_source("mine:x", counts=3)
    sd.source("nothing", "One line.")(lambda where: 3)
    with pytest.raises(UserError, match="Got 3"):
        sd.open_source("nothing:")


# --- plugins -----------------------------------------------------------------------------------------------------


def test_a_plugin_from_the_current_folder_gives_every_kind(folder):
    config = read_config(["--videos", "mine:", "--plugin", "my_parts", "--styles", "negative", "--gp", "spread"])
    assert config.plugin == ("my_parts",)
    assert config.model_dump(mode="json")["plugin"] == ["my_parts"]
    assert "negative" in list_styles()
    assert {"to_and_fro", "trail"} <= set(list_scrambles())
    assert "backwards" in sd.flow_change.names()
    assert "spread" in sd.pooling.names()
    assert "needs_direction" in estimators()
    assert len(sd.open_source(config.videos).videos) == 6


def test_plugins_are_repeated_or_have_commas_between_and_may_stand_in_a_file(folder):
    for name in ("my_a", "my_b", "my_c"):
        (folder / f"{name}.py").write_text("")
    given = ["--videos", "factorial", "--plugin", "my_a,my_b", "--plugin=my_c"]
    assert read_config(given).plugin == ("my_a", "my_b", "my_c")
    assert plugins.imported_plugins() == ("my_a", "my_b", "my_c")
    (folder / "options.yaml").write_text("videos: factorial\nplugin: [my_a, my_b]\n")
    assert read_config(["--cfg_file", "options.yaml"]).plugin == ("my_a", "my_b")
    assert Config(videos="factorial").plugin == ()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "raise RuntimeError('two\\nlines')",
            r"The plugin 'my_broken' cannot be imported: RuntimeError: two lines .*line 1",
        ),
        ("import sys\nsys.exit(3)", "SystemExit: 3 .*line 2"),
        ("def", "SyntaxError"),
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        (
            "import static_dynamic as sd\n@sd.style('ink', 'Mine.')\ndef mine(clip, rng): ...",
            "cannot be imported: The name 'ink' is that of another style",
        ),
        (None, "The plugin module 'my_broken' does not exist.*import my.module"),
    ],
)
@pytest.mark.parametrize("program", ["main", "interventions", "stylize"])
def test_a_broken_plugin_is_one_line_and_code_2(content, says, program, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "my_broken.py").write_text(content)
    run = {
        "main": lambda: read_config(["--videos", "factorial", "--plugin", "my_broken"]),
        "interventions": lambda: interventions(["--list", "--plugin", "my_broken"]),
        "stylize": lambda: stylize(["styles", "--plugin", "my_broken"]),
    }[program]
    assert command(run) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert re.search(says, complaint)


def test_what_a_plugin_imports_later_is_found_too(folder):
    (folder / "my_helper.py").write_text("STRENGTH = 3")
    (folder / "my_late.py").write_text(
        "import static_dynamic as sd\n"
        "@sd.style('late', 'One line.')\n"
        "def late(clip, rng):\n"
        "    import my_helper\n"
        "    return lambda frame: frame // my_helper.STRENGTH\n"
    )
    import_plugins(["my_late"])
    np.testing.assert_array_equal(restyle(clip(), "late"), clip() // 3)


def test_the_catalogue_and_the_sheet_show_the_entries_of_plugins(folder, capsys):
    interventions(["--list", "--plugin", "my_parts"])
    printed = capsys.readouterr().out
    assert printed.strip() == catalogue()
    for line in ("Every colour inverted.", "Forwards to the middle", "keeps the brightest", "flow of the last frame"):
        assert line in printed
    interventions(["factorial", "--plugin", "my_parts", "--styles", "negative", "--frames", "4"])
    assert (folder / "sheet.png").exists()


def test_a_style_of_a_plugin_is_rendered_in_worker_processes_and_noted(folder, capsys):
    from media import coded_frames, write_video

    write_video(folder / "clips" / "a.mp4", coded_frames(4))
    stylize(["render", "clips", "--out", "data", "--styles", "negative", "--plugin", "my_parts", "--workers", "1"])
    assert "1 clips written" in capsys.readouterr().out
    assert '"style negative"' in (folder / "data" / "run.json").read_text()


def names_there(_):
    return list_styles()


def test_worker_processes_import_the_plugins(folder):
    import_plugins(["my_parts"])
    ((_, names),) = in_processes(names_there, [0], 1)
    assert "negative" in names


def test_scrambles_of_a_plugin_are_audited(folder, capsys):
    stylize(["scrambles", "--plugin", "my_parts", "--kinds", "to_and_fro", "--lengths", "4", "--draws", "3"])
    assert "to_and_fro" in capsys.readouterr().out
    assert command(lambda: stylize(["scrambles", "--kinds", "blur", "--draws", "3"])) == 2
    assert "'blur' changes pixels" in capsys.readouterr().err


# --- what a store is made with -----------------------------------------------------------------------------------

SCALED = """
SCALE = {scale}
def half(x):
    return x.mean(1) * SCALE
def mine(x, *, shift={shift}):
    {comment}
    return half(x) + {{1.0, 2.0, {shift}}}.pop() * 0 + shift
"""


def scaled(scale=0.5, shift=0, comment="pass", name="mine_module"):
    space = {"__name__": name}
    exec(SCALED.format(scale=scale, shift=shift, comment=comment), space)
    return space["mine"]


def test_a_digest_follows_what_a_function_is_made_of():
    first = code_digest(scaled())
    assert code_digest(scaled()) == first
    assert code_digest(scaled(comment="# of no account\n    pass")) == first
    changes = [scaled(scale=0.25), scaled(shift=1), scaled(comment="x = x + 1")]
    assert len({first, *map(code_digest, changes)}) == 4

    class Power:
        def __init__(self, exponent):
            self.exponent = exponent

        def __call__(self, x):
            return x.mean(1) ** self.exponent

    assert code_digest(Power(2)) == code_digest(Power(2)) != code_digest(Power(3))
    assert code_digest(MyVideos) != code_digest(FactorialVideos)


def test_a_digest_is_the_same_in_every_process():
    """A set in the code has another order in every process."""
    code = (
        "from static_dynamic.network.fingerprint import code_digest\n"
        "def mine(x):\n    return x in {'a', 'b', 'c', 'd', 'e', 'f'}\n"
        "print(code_digest(mine))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PATH": "", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(printed) == 1


def test_a_run_goes_on_with_the_same_function_and_is_refused_with_a_changed_one(tmp_path):
    whole = measured(tmp_path, pool=scaled())
    again = measured(tmp_path, pool=scaled())
    assert again.manifest["study"] == whole.manifest["study"]
    for changed in (scaled(shift=1), scaled(scale=0.25)):
        with pytest.raises(UserError, match=r"outside.pooling mine is .* there"):
            measured(tmp_path, pool=changed)
    with pytest.raises(UserError, match="outside"):
        measured(tmp_path, pool="avg")


def test_a_scramble_that_changes_is_another_study(tmp_path):
    describe = []
    for shift in (1, 2, 2):
        sd.scramble("turned", "One line.")(lambda length, rng, shift=shift: np.roll(np.arange(length), shift))
        source = FactorialVideos(2)
        study = Study(
            Recorder(PlantedModel(), STAGES),
            source,
            source.videos,
            RECIPE,
            Conditions(("ink",), ("turned",)),
            Compute(),
        )
        describe.append(study.describe())
    assert describe[0]["outside"] != describe[1]["outside"]
    assert describe[1] == describe[2]
    Store(tmp_path, describe[0])
