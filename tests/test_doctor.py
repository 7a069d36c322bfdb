"""The doctor says what works here; the adapters say the same in their errors."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement

from static_dynamic import models
from static_dynamic.common.errors import UserError
from static_dynamic.optional import OPTIONAL, Finding, Library, check, check_optional, need
from static_dynamic.program.doctor import CORE, findings
from static_dynamic.program.doctor import doctor as show

ROOT = Path(__file__).parents[1]
STATES = {"usable", "not installed", "not available", "broken"}


def test_the_extras_of_the_project_are_the_libraries_that_an_index_has():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    modules = {"scikit-learn": "sklearn"}
    asked = {
        modules.get(name, name.replace("-", "_")): f"pip install 'static-dynamic[{extra}]'"
        for extra in extras.keys() - {"test", "dev", "docs"}
        for name in (Requirement(requirement).name for requirement in extras[extra])
        if name != "static-dynamic"
    }
    assert {name: library.install for name, library in OPTIONAL.items() if "git+" not in library.install} == asked


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes a package of one module ``part`` onto the import path."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, text):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("__version__ = '1.2'")
        (tmp_path / name / "part.py").write_text(text)
        return Library("Models of it", f"pip install {name}", (name, f"{name}.part:build"))

    yield write
    for name in ("whole", "torn", "empty", "quiet"):
        for module in (name, f"{name}.part"):
            sys.modules.pop(module, None)


def test_a_library_that_works_is_named_with_its_version(package):
    assert check("whole", package("whole", "def build(): pass")) == Finding("whole", "usable", "1.2")


def test_a_library_that_is_not_there_is_named_with_what_installs_it():
    finding = check("missing", Library("Models of it", "pip install missing", ("not_there_at_all",)))
    assert finding == Finding("missing", "not installed", "Models of it require it: pip install missing")


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("torn", "raise OSError('undefined symbol: _ZN3c10.\\nmore')", "OSError: undefined symbol: _ZN3c10. Try: pip"),
        ("empty", "", "AttributeError: "),
        ("quiet", "raise RuntimeError", "RuntimeError: RuntimeError"),
    ],
)
def test_a_broken_library_says_why_in_one_line(package, name, text, why):
    found, state, detail = check(name, package(name, text))
    assert (found, state) == (name, "broken")
    assert detail.startswith(why)
    assert detail.endswith(f"pip install {name}")
    assert "\n" not in detail


def test_adapters_and_doctor_read_one_list(package, monkeypatch):
    library = package("torn", "raise OSError('undefined symbol')")
    monkeypatch.setitem(OPTIONAL, "torn", library)
    monkeypatch.setitem(OPTIONAL, "not_there_at_all", Library("Models named 'x:…'", "pip install x", ("x",)))
    with pytest.raises(
        models.ModelError, match=r"^Models of it require torn, which is broken here \(undefined symbol\): pip"
    ):
        need("torn.part", models.ModelError)
    with pytest.raises(
        models.ModelError, match=r"^Models named 'x:…' require not_there_at_all, which is not installed: pip"
    ):
        need("not_there_at_all", models.ModelError)
    assert need("torn", UserError).__version__ == "1.2"
    assert [finding.name for finding in check_optional()] == list(OPTIONAL)


def test_every_name_of_another_library_needs_what_the_list_says(monkeypatch):
    named = [library.use.split("'")[1].replace("…", "anything") for library in OPTIONAL.values() if "'" in library.use]
    needed = [name for name, library in OPTIONAL.items() if "'" in library.use]
    for name, model in [("torchvision", "torchvision:r3d_18"), *zip(needed, named, strict=True)]:
        library = OPTIONAL[name]
        for module in (name, *(part.partition(":")[0] for part in library.parts)):
            monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
        with pytest.raises(models.ModelError) as caught:
            models.create_model(model)
        assert str(caught.value).endswith(library.install)
        assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- the report


def test_the_report_goes_from_python_to_the_optional_libraries():
    found_all = findings()
    assert [finding.name for finding in found_all] == ["python", *CORE, "cuda", "mps", *OPTIONAL]
    assert all(finding.state in STATES and finding.detail and "\n" not in finding.detail for finding in found_all)
    found = {finding.name: finding for finding in found_all}
    assert found["python"].detail.startswith(".".join(map(str, sys.version_info[:3])))
    assert found["torch"] == Finding("torch", "usable", str(torch.__version__))
    assert "FFmpeg with " in found["av"].detail
    assert "h264" in found["av"].detail


def test_a_line_is_a_finding_however_narrow_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setitem(sys.modules, "detectron2", None)
    show()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(findings())
    assert lines[-1].split() == ["detectron2", "not", "installed", *lines[-1].split()[3:]]
    assert lines[-1].endswith(OPTIONAL["detectron2"].install)


def test_what_nearly_every_run_needs_is_an_error(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match="Nearly every run requires opencv: see above"):
        show()
    assert "pip install opencv-python-headless" in capsys.readouterr().out


@pytest.mark.parametrize(("error", "state"), [(None, "usable"), (RuntimeError("no kernel image\nmore"), "broken")])
def test_a_gpu_is_tried(monkeypatch, error, state):
    def ones(*shape, device):
        if error:
            raise error
        return torch.zeros(shape)

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: f"card {i}")
    monkeypatch.setattr(torch, "ones", ones)
    finding = next(finding for finding in findings() if finding.name == "cuda")
    assert finding == Finding("cuda", state, "RuntimeError: no kernel image more" if error else "card 0, card 1")


def test_without_torch_the_doctor_still_answers():
    """The devices are left out: only torch knows them."""
    code = "import sys, runpy; sys.modules['torch'] = None; sys.argv = ['main.py', 'doctor']; runpy.run_path('main.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: Nearly every run requires torch: see above.\n"
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["python", *CORE, *OPTIONAL]


def test_the_command_takes_no_other_words():
    done = subprocess.run(
        [sys.executable, "main.py", "doctor", "--fix"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
