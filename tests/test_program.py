"""The one program: its commands, its help, its switches, its completion, and where it looks for modules."""

import inspect
import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
from doors import fake
from planted import RECIPE, STAGES, PlantedModel, PlantedVideos

import static_dynamic as sd
from static_dynamic.common.commands import program, start
from static_dynamic.common.errors import UserError
from static_dynamic.common.files import whole
from static_dynamic.common.progress import EVERY, FIRST, Lines
from static_dynamic.config import Config, read_config
from static_dynamic.main import COMMANDS, app, main, run

ROOT = Path(__file__).parents[1]
FUNCTIONS = {name: target for commands in COMMANDS.values() for name, (target, _) in commands.items()}


def python(*words, cwd=ROOT, **more):
    return subprocess.run([sys.executable, *map(str, words)], cwd=cwd, capture_output=True, text=True, **more)


# ---------------------------------------------------------------- help


@pytest.mark.parametrize("name", ["", *FUNCTIONS])
def test_the_help_is_whole_at_80_columns(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in shown.replace("cuda, …", "").replace("2, …", "").replace(".jpg …", "")
    words = shown.replace("│", " ").split()
    for option in app()[name].assemble_argument_collection() if name and name != "models" else ():
        if option.index is None and option.show:
            assert option.name in words, name


def test_the_help_names_every_command_and_an_example_for_every_user(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    run([])
    shown = capsys.readouterr().out
    assert all(f"│ {name} " in shown for name in FUNCTIONS)
    run(["measure", "--help"])
    shown = capsys.readouterr().out
    for said in (
        "Your own model",
        "published model",
        "published protocol",
        "segmentation",
        "─ Videos ─",
        "default: 3000",
    ):
        assert said in shown
    assert "[choices: videos, styles]" in " ".join(shown.replace("│", " ").split())


def test_the_help_does_not_import_torch():
    code = "import sys; from static_dynamic.main import main; main(['--help']); main(['measure', '--help']); "
    heavy = "{'torch', 'pandas', 'matplotlib', 'cv2', 'av', 'scipy', 'torchvision', 'timm'}"
    done = python("-c", f"{code} print(sorted({heavy} & set(sys.modules)))")
    assert done.stdout.splitlines()[-1] == "[]"


# ---------------------------------------------------------------- flags


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--fuse"], True), (["--fuse", "True"], True), (["--fuse", "1"], True), (["--fuse=true"], True),
        (["--no-fuse"], False), (["--fuse", "False"], False), (["--fuse=False"], False), (["--fuse=0"], False),
        (["--fuse", "False", "--fuse"], True), ([], True),
    ],
)  # fmt: skip
def test_a_switch_stands_alone_or_has_a_value_or_begins_with_no(words, value):
    assert read_config(["--videos", "x", *words]).fuse is value
    assert read_config([*words, "--videos", "x"]).fuse is value


def test_published_names_are_those_of_today():
    published = ["--stg", "5", "--gp", "max", "--n_examples", "7", "--random_seed", "3", "--num_workers", "0"]
    today = ["--stages", "5", "--pool", "max", "--max-videos", "7", "--seed", "3", "--workers", "0", "--out", "here"]
    assert read_config(["--videos", "x", *published, "--save_dir", "here"]) == read_config(["--videos", "x", *today])
    given = {"stg": "5", "gp": "max", "n-examples": 7, "random_seed": 3, "num_workers": 0, "save_dir": "here"}
    assert Config(videos="x", **given) == read_config(["--videos", "x", *today])


def test_published_names_are_read_from_files(tmp_path):
    (tmp_path / "o.yaml").write_text("videos: x\nstg: 5\nn-examples: 7\nsave_dir: here\n")
    config = read_config(["--cfg_file", str(tmp_path / "o.yaml"), "--max-videos", "3"])
    assert (config.stages, config.max_videos, config.out) == (("5",), 3, Path("here"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mesure"], "Unknown command 'mesure'. Did you mean 'measure'"),
        (["--vidoes", "x"], "Unknown option '--vidoes'. Did you mean '--videos'"),
        (["--n_exampels", "3"], "Did you mean '--n_examples'"),
        (["--videos"], "The option --videos requires a value."),
        (["--interval", "stlyes"], "Unknown value 'stlyes' in --interval. Did you mean 'styles'? Allowed: videos, styles."),
        (["--videos", "x", "--batch-size", "many"], "--batch-size is invalid: a whole number is required. Got 'many'."),
        (["--videos", "x", "--batch-size", "0"], "--batch-size is invalid: must be 1 or more. Got '0'."),
        (["--videos", "x", "--fuse=maybe"], "The value of --fuse is invalid: True or False is required. Got 'maybe'."),
        (["measure", "x"], "Unexpected argument 'x'."),
        (["score"], "The argument RUN is required: folder of a run, or of a store, or its address on an object store (s3://bucket/run)."),
        (["score", "x", "--replicates", "a"], "--replicates is invalid: a whole number is required. Got 'a'."),
        (["stylize", "x"], "The option --out is required: folder of the data set."),
        (["stylize", "x", "--ouf", "y"], "Unknown option '--ouf'. Did you mean '--out'"),
        (["models", "lst"], "Unexpected argument 'lst'."),
        (["train"], "The option --model is required"),
    ],
)  # fmt: skip
def test_a_slip_is_one_line(words, said, capsys):
    assert main(words) == 2
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert captured.out == ""


def test_a_stop_by_hand_is_said(capsys, monkeypatch):
    def stopped():
        raise KeyboardInterrupt

    monkeypatch.setattr("static_dynamic.program.estimators.estimators", stopped)
    assert main(["estimators"]) == 130
    assert capsys.readouterr().err.startswith("Stopped. Nothing is half-written")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_from_outside_is_said_and_what_was_at_work_ends_in_order(number, code, capsys, monkeypatch, tmp_path):
    def stopped():
        with whole(tmp_path / "a") as place:
            place.write_text("half")
            os.kill(os.getpid(), number)
            time.sleep(10)

    before = signal.getsignal(signal.SIGTERM)
    by_hand = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    monkeypatch.setattr("static_dynamic.program.estimators.estimators", stopped)
    try:
        assert main(["estimators"]) == code
    finally:
        signal.signal(signal.SIGINT, by_hand)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Stopped. Nothing is half-written")
    assert not list(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGTERM) == before


def test_who_minds_sigterm_already_goes_on_minding_it(monkeypatch):
    told = []
    monkeypatch.setattr("static_dynamic.program.estimators.estimators", lambda: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    try:
        assert main(["estimators"]) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert told == [signal.SIGTERM]


def test_an_option_that_is_given_twice_has_its_last_value():
    assert read_config(["--videos", "x", "--stg", "1", "--stages", "2"]).stages == ("2",)


def test_an_option_of_several_words_takes_them_all():
    from static_dynamic.common.commands import Several

    def words(*, names: Several = (), more: bool = False):
        return names, more

    one = program("words")
    one.default(words)
    assert start(one, ["--names", "a", "b", "--more"]) == (("a", "b"), True)
    with pytest.raises(UserError, match="Unexpected argument 'c'"):
        start(one, ["--names", "a", "--more", "c"])


# ---------------------------------------------------------------- defaults


def test_choices_and_defaults_are_those_of_the_functions():
    from static_dynamic.flow.estimators import PRESETS as DIS
    from static_dynamic.stylize.auditing.cases import FRAMES
    from static_dynamic.stylize.learning.learn import PRESETS
    from static_dynamic.stylize.learning.smoothing import RADIUS, SIGMA
    from static_dynamic.stylize.rendering.layouts import LAYOUTS
    from static_dynamic.stylize.rendering.scrambles import DRAWS, LENGTHS
    from static_dynamic.training.syncmnist.clips import CANVASES
    from static_dynamic.training.syncmnist.digits import SETS, SPLITS

    options = {
        name: {one.name: one for one in app()[name].assemble_argument_collection()}
        for name in FUNCTIONS
        if name != "models"
    }
    choices = {(command, name): one.get_choices() for command in options for name, one in options[command].items()}
    assert choices["stylize", "--layout"] == choices["audit", "--layout"] == tuple(LAYOUTS)
    assert choices["flow", "--preset"] == tuple(DIS)
    assert choices["learn", "--preset"] == tuple(PRESETS)
    assert [tuple(choices["syncmnist", name]) for name in ("--split", "--digits", "--size")] == [
        SPLITS, SETS, tuple(map(str, CANVASES)),
    ]  # fmt: skip
    defaults = {
        (command, name): one.field_info.default for command in options for name, one in options[command].items()
    }
    assert defaults["audit", "--frames"] == FRAMES
    assert (defaults["generate", "--radius"], defaults["generate", "--sigma"]) == (RADIUS, SIGMA)
    assert (defaults["scrambles", "--draws"], defaults["scrambles", "--lengths"]) == (
        DRAWS,
        ",".join(map(str, LENGTHS)),
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_command_is_documented(name):
    module, function = FUNCTIONS[name].split(":")
    command = getattr(import_module(f"static_dynamic.program.{module}"), function)
    if name != "models":
        described = app()[name].assemble_argument_collection(parse_docstring=True)
        assert inspect.getdoc(command)
        assert all(option.parameter.help for option in described if option.show), name


# ---------------------------------------------------------------- completion and modules


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_commands_and_options(shell):
    script = app().generate_completion(shell=shell)
    assert all(word in script for word in ("measure", "stylize", "max-videos", "interval"))


def test_modules_are_those_of_the_users_folder_first(tmp_path):
    """A repository may hold packages of the names that ours have at the top of a checkout."""
    for name in ("models", "training", "stylize", "misc"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"THEIRS = {name!r}\n")
    for name in ("config", "main"):
        (tmp_path / f"{name}.py").write_text("THEIRS = True\n")
    (tmp_path / "models" / "net.py").write_text(
        "import config, main, misc, models, stylize, training\n"
        "from static_dynamic.models import create_model\n"
        "assert all(module.THEIRS for module in (config, main, misc, models, stylize, training))\n"
        "def build():\n    return create_model('tsm_r50_8f')\n"
    )
    arguments = ("stages", "models.net:build", "--depth", "0", "--size", "32", "--frames", "8")
    for door in ([ROOT / "main.py"], ["-m", "static_dynamic"]):
        done = python(*door, *arguments, cwd=tmp_path, env={"PYTHONPATH": str(ROOT) if "-m" in door else ""})
        assert done.returncode == 0, done.stderr
        assert "models.net:build on an input" in done.stdout


@pytest.mark.parametrize(
    ("door", "words"),
    [
        (["-m", "models"], ["show", "nothing"]), (["-m", "stylize"], ["render", "x"]), (["-m", "training"], ["train"]),
        (["-m", "training.truth"], ["--jobs", "0"]), (["-m", "static_dynamic.flow"], ["nowhere", "--gaps", "x"]),
        (["-m", "static_dynamic.interventions"], []), (["misc/estimate_flops_params.py"], ["--crop_size", "x"]),
        (["-m", "training.syncmnist"], ["--count", "1"]), (["-m", "training.regions"], ["--video", "x"]),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_the_names_of_before_are_doors(door, words):
    done = python(*door, *words)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


# ---------------------------------------------------------------- what is shown


def test_a_log_has_a_line_early_one_a_minute_and_one_at_the_end(capsys):
    now = 0.0
    tell = Lines("videos", lambda: now)
    times = []
    for done in range(1, 301):
        tell(done, 300, "name")
        times += [(done, now)] * len(capsys.readouterr().err.splitlines())
        now += 0.5
    assert times == [(21, FIRST), *((21 + 120 * n, FIRST + EVERY * n) for n in (1, 2)), (300, 149.5)]


def test_a_line_says_how_many_how_fast_and_how_long(capsys):
    now = 0.0
    tell = Lines("videos", lambda: now)
    tell(5, 100, "a")  # those before were there
    now = 20.0
    tell(15, 100, "b")
    assert capsys.readouterr().err == "videos: 15 of 100, 30.0 a minute, 3 min left\n"


def test_quick_work_leaves_no_line(capsys):
    tell = Lines("videos", lambda: 0.0)
    for done in (1, 2, 3):
        tell(done, 3, "name")
    assert capsys.readouterr().err == ""


NAMES = ["backbone.blocks.11.attention.output.projection", "slow.stage3+fast.stage3[of all the videos]", "b"]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_table_cuts_no_name_and_no_interval(width, capsys):
    from rich.console import Console

    from static_dynamic.program.showing import print_parts

    result = fake(1, NAMES, ("dynamic", "static", "joint", "residual"))
    print_parts(Console(width=width), result)
    shown = capsys.readouterr().out
    assert "…" not in shown
    lines = shown.splitlines()
    for name in NAMES:
        assert any(name in line for line in lines)
    for row in result.layer("released").itertuples():
        assert f"{row.share:.1f} [{row.share_low:.1f}, {row.share_high:.1f}]" in shown
    if width == 80:
        assert max(map(len, lines)) <= 80


def test_the_page_of_a_run_is_written_again(tmp_path):
    options = {"recipe": RECIPE, "styles": ("1", "2"), "scoring": sd.Scoring(replicates=20), "estimators": "released"}
    sd.measure(PlantedModel(), PlantedVideos(4), STAGES, **options, twins=0).save(tmp_path / "run")
    run(["report", str(tmp_path / "run"), "--out", str(tmp_path / "new")])
    assert (tmp_path / "new" / "report.html").is_file()
    assert not (tmp_path / "run" / "report.html").exists()
