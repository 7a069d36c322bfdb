"""What the documents show is true: blocks of Python run, messages are those that appear, the site builds."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from media import noisy_frames, write_video

from static_dynamic.common.errors import UserError

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", DOCS / "llms.txt", *sorted(DOCS.glob("*.md")), *sorted((DOCS / "notebooks").glob("*.md"))]
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.md"))


class Block(NamedTuple):
    """A fenced block: its language, what stands behind it (``raises``), and its text."""

    language: str
    note: str
    text: str


def blocks(page):
    fences = re.findall(r"^```([\w{}-]*) ?([^\n]*)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [Block(*fence) for fence in fences]


def named(page):
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(block.language == "python" for block in blocks(page))], ids=named
)
@pytest.mark.usefixtures("own_parts_forgotten")
def test_the_python_blocks_of_a_page_run_one_after_the_other(page, tmp_path, monkeypatch, capsys):
    """``raises``: the block ends in an error, whose message is the block below. ``no-run``: it needs others' files."""
    monkeypatch.chdir(tmp_path)
    for name in ("walking/a", "walking/b", "running/c"):
        write_video(tmp_path / "clips" / f"{name}.mp4", noisy_frames(20))
    space = {"__name__": "documents"}
    found = blocks(page)
    for block, after in zip(found, [*found[1:], None], strict=True):
        if block.language == "python" and block.note == "raises":
            with pytest.raises((UserError, ValueError)) as caught:
                exec(compile(block.text, page.name, "exec"), space)
            assert re.fullmatch(re.escape(after.text.strip()).replace("…", ".*"), str(caught.value))
        elif block.language == "python" and block.note != "no-run":
            assert not block.note, f"{page.name}: unknown mark {block.note!r}"
            exec(compile(block.text, page.name, "exec"), space)


def test_links_between_documents_lead_somewhere():
    for page in [*PAGES, ROOT / "CONTRIBUTING.md"]:
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_public_name_has_a_place_in_the_reference():
    import static_dynamic as sd
    from static_dynamic import models

    listed = set(re.findall(r"^   ([\w.]+)$", "".join(page.read_text() for page in (DOCS / "api").glob("*.rst")), re.M))
    for module in (sd, sd.functional, models):
        assert set(module.__all__) - {"functional"} <= listed, module.__name__


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 200


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=named)
def test_notebooks_run(notebook, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    reading = pytest.importorskip("myst_nb.core.read")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    content = reading.read_myst_markdown_notebook(notebook.read_text())
    nbclient.NotebookClient(content, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert any(cell.get("outputs") for cell in content.cells)


@pytest.mark.slow
def test_the_site_builds_without_a_warning_or_a_dead_link(tmp_path):
    pytest.importorskip("sphinx")
    build = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-b",
        "html",
        "-W",
        "--keep-going",
        str(DOCS),
        str(tmp_path / "html"),
    ]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    page = (tmp_path / "html" / "index.html").read_text()
    assert "_images/demo.png" in page
    assert not re.findall(r'<(?:script|img|link)[^>]*(?:src|href)="https?://', page)  # nothing comes from the network
    assert (tmp_path / "html" / "llms.txt").read_text() == (DOCS / "llms.txt").read_text()


DOORS = {
    "static_dynamic": [],
    "models": ["models"],
    "training": [],
    "training.regions": ["regions"],
    "training.truth": ["truth"],
    "static_dynamic.flow": ["flow"],
}
"""What ``python -m`` starts → the command of the program that it stands for."""


def command_lines(page):
    """Every line of shell, without comments and variables before it."""
    shell = "".join(block.text for block in blocks(page) if block.language in ("sh", "bash"))
    for line in shell.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"\w+=.*", words[0]):
            words.pop(0)
        if words:
            yield words


def of_the_program(words):
    """The arguments of the program that a command line starts; ``None`` if it starts something else that is there."""
    if words[0] in ("torchrun", "srun"):
        start = next(i for i, word in enumerate(words) if word in ("-m", "main.py", "static-dynamic"))
        words = [*([] if words[start] == "static-dynamic" else ["python"]), *words[start:]]
    match words:
        case ["static-dynamic", *rest] | ["python", "main.py", *rest]:
            return rest
        case ["python", "-m", module, *rest] if module in DOORS:
            return [*DOORS[module], *rest]
        case ["python", "-m", module, *_]:
            place = ROOT / module.replace(".", "/")
            assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), module
        case ["python" | "bash", script, *_]:
            assert (ROOT / script).exists(), script
        case ["make", target, *_]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
        case [first, *_]:
            assert first in ("pip", "git"), words
    return None


@pytest.mark.parametrize("page", [page for page in PAGES if any(command_lines(page))], ids=named)
def test_the_commands_of_a_page_are_understood(page, monkeypatch):
    """Every command and option exists, and every value is of its kind; nothing is run."""
    pytest.importorskip("static_dynamic.program")
    import cyclopts

    from static_dynamic.main import run

    def only_parse(app, tokens, **options):
        return app.parse_args(tokens, exit_on_error=False, print_error=False)

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(cyclopts.App, "__call__", only_parse)
    for words in command_lines(page):
        arguments = of_the_program(words)
        if arguments is not None:
            run(arguments)
