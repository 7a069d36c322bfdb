"""Stores and results on object stores: as in a folder, whatever happens on the way, and nothing leads out of the copy."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from media import coded_frames, write_video
from planted import RECIPE, STAGES, PlantedModel, PlantedVideos
from program import door
from quick import quick
from test_hostile_media import address, called, listener  # noqa: F401

import static_dynamic as sd
from static_dynamic import collect, shards
from static_dynamic.common import errors, files, places
from static_dynamic.common.commands import command
from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.common.places import is_address, local
from static_dynamic.config import read_config
from static_dynamic.sources import VideoFiles, open_source
from static_dynamic.store import Store

ROOT = Path(__file__).resolve().parents[1]


class Died(BaseException):
    """What stands for the end of a process: nothing catches it."""


class Cloud(MemoryFileSystem):
    """An object store for tests, which counts what is asked of it and fails as it is told."""

    protocol = "cloud"
    store, pseudo_dirs = {}, [""]
    done, left, error, extra = [], None, None, ()

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("cloud://"))

    def _next(self, what, path):
        kind = type(self)
        if kind.left is not None and kind.left <= 0:
            raise kind.error
        kind.done.append(f"{what} {path}")
        kind.left = None if kind.left is None else kind.left - 1

    def put_file(self, lpath, rpath, **options):
        self._next("put", rpath)
        super().put_file(lpath, rpath, **options)

    def pipe_file(self, path, value, **options):
        self._next("pipe", path)
        super().pipe_file(path, value, **options)

    def get_file(self, rpath, lpath, **options):
        self._next("get", rpath)
        super().get_file(rpath, lpath, **options)

    def rm_file(self, path):
        self._next("rm", path)
        super().rm_file(path)

    def ls(self, path, detail=True, **options):
        self._next("ls", path)
        return [*super().ls(path, detail=detail, **options), *self.extra]


fsspec.register_implementation("cloud", Cloud)


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine on which no address was used before; called, it is another one."""

    def another():
        monkeypatch.setattr(places, "_copies", [])
        monkeypatch.setattr(files, "followers", [])
        monkeypatch.setattr(places, "followers", files.followers)
        monkeypatch.setattr(errors, "STAND_INS", {})
        monkeypatch.setattr(places, "STAND_INS", errors.STAND_INS)
        places._top.cache_clear()

    monkeypatch.setattr(Cloud, "store", {})
    monkeypatch.setattr(Cloud, "pseudo_dirs", [""])
    monkeypatch.setattr(Cloud, "done", [])
    monkeypatch.setattr(Cloud, "left", None)
    monkeypatch.setattr(Cloud, "extra", ())
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
    another()
    yield another
    places._top.cache_clear()


@pytest.fixture
def runs_of_two(monkeypatch):
    """A shard holds one video, and two of them are merged."""
    monkeypatch.setattr(collect, "VIDEOS_PER_SHARD", 1)
    monkeypatch.setattr(shards, "RUN", 2)


def measure(place, count=12, **options):
    options = {"recipe": RECIPE, "styles": ("1", "2"), "estimators": "released", "twins": 1, **options}
    scoring = sd.Scoring(sd.PairRule(), replicates=20)
    return sd.measure(PlantedModel(), PlantedVideos(count), STAGES, store=place, scoring=scoring, **options)


def in_folder(folder):
    found = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def in_cloud(path, system="cloud"):
    system = fsspec.filesystem(system)
    found = system.find(path)
    return {name.removeprefix(f"/{path.strip('/')}/"): system.cat_file(name) for name in found}


def same(one, other):
    for name in ("layers", "units", "twins"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))


def refused(call, says):
    with pytest.raises(UserError) as caught:
        call()
    assert says in str(caught.value), str(caught.value)
    assert "\n" not in str(caught.value)
    assert ".part" not in str(caught.value), "it names the copy, not the address"


@pytest.mark.parametrize("system", ["memory", "cloud"])
def test_a_store_at_an_address_is_that_in_a_folder_bit_for_bit(tmp_path, runs_of_two, system):
    here, there = measure(tmp_path / "store", 5), measure(f"{system}://bucket/run/store", 5)
    same(here, there)
    assert in_cloud("bucket/run/store", system) == in_folder(tmp_path / "store")
    names = {"00000-00001.parquet", "00002-00003.safetensors", "00004.json", "pictures.parquet", "twin-1/00004.json"}
    assert names < in_cloud("bucket/run/store", system).keys()


def test_a_result_at_an_address_is_that_in_a_folder(tmp_path, machine):
    result = measure(tmp_path / "run" / "store")
    for place in (str(tmp_path / "run"), "cloud://bucket/run"):
        result.save(place)
        result.report(f"{place}/report.html")
        result.plot(place, kind="layers", format="svg")
        result.plot(f"{place}/own.png", kind="units")
    kept = {name: content for name, content in in_folder(tmp_path / "run").items() if not name.startswith("store/")}
    assert in_cloud("bucket/run") == kept
    assert {"report.html", "layers.svg", "own.png", "run.json"} < kept.keys()
    machine()
    same(sd.load("cloud://bucket/run"), sd.load(tmp_path / "run"))
    assert "get /bucket/run/report.html" not in Cloud.done, "a result is read without its pages and figures"


def test_what_a_new_result_lacks_is_removed(tmp_path, machine):
    result = measure(tmp_path)
    result.save("cloud://bucket/run")
    assert "/bucket/run/twins.csv" in fsspec.filesystem("cloud").find("bucket/run")
    machine()
    measure(tmp_path / "other", twins=0).save("cloud://bucket/run/")
    assert "/bucket/run/twins.csv" not in fsspec.filesystem("cloud").find("bucket/run")
    assert sd.load("cloud://bucket/run").twins is None


def test_a_stopped_run_goes_on_at_another_machine(tmp_path, machine):
    whole = measure(tmp_path / "store", 20)

    def stop(done, total, name):
        if name == "v013":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure("cloud://bucket/store", 20, on_video=stop)
    assert 0 < len(in_cloud("bucket/store")) < len(in_folder(tmp_path / "store"))
    machine()
    model = PlantedModel()
    options = {"recipe": RECIPE, "styles": ("1", "2"), "estimators": "released", "twins": 1}
    scoring = sd.Scoring(sd.PairRule(), replicates=20)
    same(sd.measure(model, PlantedVideos(20), STAGES, store="cloud://bucket/store", scoring=scoring, **options), whole)
    assert model.forwards == (20 - 8) * 4  # the first shard of 8 videos is not measured again
    assert in_cloud("bucket/store") == in_folder(tmp_path / "store")


@pytest.mark.parametrize("every", quick(7, among=[7, 1]))
def test_a_run_that_dies_at_any_request_goes_on_at_another_machine(machine, monkeypatch, runs_of_two, every):
    whole = measure("cloud://bucket/whole", 3, twins=0)
    requests = len(Cloud.done)
    assert requests > 25
    monkeypatch.setattr(Cloud, "error", Died())
    for left in range(0, requests, every):
        Cloud.store.clear()
        machine()
        monkeypatch.setattr(Cloud, "left", left)
        with pytest.raises(Died):
            measure("cloud://bucket/store", 3, twins=0)
        monkeypatch.setattr(Cloud, "left", None)
        machine()
        there = in_cloud("bucket/store").keys()
        for name in (name for name in there if name[0].isdecimal() and name.endswith(".parquet")):
            assert {name.replace("parquet", kind) for kind in shards.KINDS} <= there, "what counts is whole"
        again = measure("cloud://bucket/store", 3, twins=0)
        pd.testing.assert_frame_equal(again.layers, whole.layers)
        pd.testing.assert_frame_equal(again.units, whole.units)
        store = Store.open("cloud://bucket/store")
        assert (store.shards(), store.damaged) == ([0, 1, 2], [])
        assert ".static-dynamic.lock" not in in_cloud("bucket/store")


class Odd(Exception):
    """An exception of a library, of two lines."""


@pytest.mark.parametrize("error", [Odd("no\npermission"), PermissionError(13, "Forbidden"), KeyError("x"), OSError()])
def test_whatever_an_object_store_raises_is_one_line_and_nothing_half_written_counts(machine, monkeypatch, error):
    result = measure(None)
    for left in (0, 1, 2, 4, 6):
        Cloud.store.clear()
        machine()
        monkeypatch.setattr(Cloud, "error", error)
        monkeypatch.setattr(Cloud, "left", left)
        refused(lambda: measure("cloud://bucket/store"), "cloud://bucket/store")
        refused(lambda: result.save("cloud://bucket/run"), "cloud://bucket/run")
        monkeypatch.setattr(Cloud, "left", None)
        assert not [name for name in in_cloud("bucket") if name.endswith("run.json")], "the description comes last"
        assert not [name for name in in_cloud("bucket") if name.endswith("00000.parquet")]
    machine()
    monkeypatch.setattr(Cloud, "left", 0)
    refused(lambda: sd.load("cloud://bucket/run"), "Cannot read cloud://bucket/run")
    refused(lambda: sd.score("cloud://bucket/store"), "Cannot read cloud://bucket/store")


def test_scores_report_and_comparison_of_remote_runs(tmp_path, machine, capsys):
    for name, seed in (("one", 0), ("two", 1)):
        for place in (str(tmp_path / name), f"cloud://bucket/{name}"):
            measure(f"{place}/store", provenance={"seed": seed}).save(place)
    machine()
    same(sd.score("cloud://bucket/one", "released"), sd.score(tmp_path / "one", "released"))
    same(sd.score("cloud://bucket/one/store", "released"), sd.score(tmp_path / "one" / "store", "released"))
    here, there = sd.compare(tmp_path / "one", tmp_path / "two"), sd.compare("cloud://bucket/one", "cloud://bucket/two")
    pd.testing.assert_frame_equal(here.layers, there.layers)
    assert there.names == here.names
    there.report("cloud://bucket/differences.html")
    assert "differences.html" in in_cloud("bucket")

    machine()
    Cloud.done.clear()
    assert command(lambda: door("report")(["cloud://bucket/one"])) == 0
    assert "report.html: cloud://bucket/one/" in capsys.readouterr().out
    assert not [said for said in Cloud.done if "safetensors" in said and "store" in said], "no store for a page"
    assert command(lambda: door("compare")(["cloud://bucket/one", "cloud://bucket/two", "--out", "cloud://d/e"])) == 0
    assert "report.html: cloud://d/e/" in capsys.readouterr().out
    assert in_cloud("d/e").keys() == {"layers.csv", "units.csv", "report.html"}
    words = ["cloud://bucket/one", "--estimators", "released", "--out", "cloud://bucket/again"]
    assert command(lambda: door("score")(words)) == 0
    assert "report.html: cloud://bucket/again/" in capsys.readouterr().out
    machine()
    same(sd.load("cloud://bucket/again"), sd.score("cloud://bucket/one", "released"))
    assert command(lambda: door("score")(["cloud://bucket/none"])) == 2
    assert capsys.readouterr().err.startswith("error: cloud://bucket/none does not contain a run: neither run.json")


def test_a_store_is_fetched_once_and_again_only_where_it_changed(machine):
    measure("cloud://bucket/store", twins=0)
    Cloud.done.clear()
    sd.score("cloud://bucket/store", "released")
    assert not [said for said in Cloud.done if said.startswith("get")], "what was written here is here"
    machine()
    first = Store.open("cloud://bucket/store").stage("planted")
    assert len([said for said in Cloud.done if said.startswith("get")]) == len(in_cloud("bucket/store"))
    Cloud.done.clear()
    Store.open("cloud://bucket/store")
    assert not [said for said in Cloud.done if said.startswith("get")]
    system, name = fsspec.filesystem("cloud"), "/bucket/store/00000.safetensors"
    content = bytearray(system.cat_file(name))
    content[-4:] = np.float32(123).tobytes()
    system.pipe_file(name, bytes(content))  # as another machine does: of the same size
    again = Store.open("cloud://bucket/store").stage("planted")
    assert [said for said in Cloud.done if said.startswith("get")] == [f"get {name}"]
    assert (again != first).sum() == 1
    system.rm_file("/bucket/store/00001.parquet")
    assert Store.open("cloud://bucket/store").shards() == [0]


@pytest.mark.parametrize("kind", shards.KINDS)
@pytest.mark.parametrize("change", ["damaged", "missing"])
def test_a_damaged_or_missing_object_is_named_and_measured_again(machine, kind, change):
    whole, system, name = measure("cloud://bucket/store"), fsspec.filesystem("cloud"), f"/bucket/store/00000.{kind}"
    content = in_cloud("bucket/store")
    system.pipe_file(name, b"{") if change == "damaged" else system.rm_file(name)
    machine()
    if (kind, change) != ("parquet", "missing"):  # without it, the shard does not count
        refused(lambda: Store.open("cloud://bucket/store").check(), "Shard 00000 of cloud://bucket/store is damaged")
    again = measure("cloud://bucket/store")
    same(again, whole)
    assert in_cloud("bucket/store") == content


def test_a_damaged_or_missing_result_is_one_line(machine):
    measure(None).save("cloud://bucket/run")
    fsspec.filesystem("cloud").pipe_file("/bucket/run/units.parquet", b"PAR1")
    refused(lambda: sd.load("cloud://bucket/run"), "No result can be read from cloud://bucket/run")
    fsspec.filesystem("cloud").pipe_file("/bucket/run/run.json", b"{")
    refused(lambda: sd.load("cloud://bucket/run"), "cloud://bucket/run/run.json, line 1")
    refused(lambda: sd.load("cloud://bucket/none"), "Cannot read cloud://bucket/none/run.json: the file does not exist")
    refused(lambda: sd.score("cloud://bucket/none"), "cloud://bucket/none does not contain a run")


def test_another_study_is_refused_and_starting_over_fetches_nothing(machine):
    measure("cloud://bucket/store")
    content = in_cloud("bucket/store")
    machine()
    refused(lambda: measure("cloud://bucket/store", seed=5), "cloud://bucket/store belongs to another study: seed is 0")
    assert in_cloud("bucket/store") == content
    machine()
    Cloud.done.clear()
    measure("cloud://bucket/store", 6, resume=False)
    assert not [said for said in Cloud.done if "get" in said and "study.json" not in said]
    assert "00001.parquet" not in in_cloud("bucket/store")
    fsspec.filesystem("cloud").pipe_file("/bucket/other/letter.txt", b"mine")
    machine()
    refused(lambda: measure("cloud://bucket/other"), "cloud://bucket/other holds 'letter.txt', but study.json")
    assert in_cloud("bucket/other") == {"letter.txt": b"mine"}


def test_a_failure_before_the_first_video_leaves_no_file_and_may_be_repeated(tmp_path):
    for _ in range(2):  # a file system with folders keeps empty ones
        refused(
            lambda: sd.measure(
                PlantedModel(),
                PlantedVideos(2, bad=(0, 1)),
                STAGES,
                recipe=RECIPE,
                twins=1,
                store=f"file://{tmp_path}/store",
            ),
            "broken on purpose",
        )
        assert not in_folder(tmp_path)


def test_names_that_lead_out_of_the_copy_are_left_alone(tmp_path, machine, monkeypatch):
    measure("cloud://bucket/store", twins=0)
    machine()
    top = "/bucket/store"
    names = ["../../out", "/etc/out", "..", ".", "", "a/../../../out", "a\\..\\out", "C:out", "x\0y", "../00007"]
    found = [f"{top}/{name}.{kind}" for name in names for kind in ("parquet", "json")] + ["/elsewhere/00009.parquet"]
    monkeypatch.setattr(Cloud, "extra", [{"name": name, "size": 4, "type": "file"} for name in found])
    Cloud.done.clear()
    store = Store.open("cloud://bucket/store")
    assert store.shards() == [0, 1]
    got = {said.split()[1] for said in Cloud.done if said.startswith("get")}
    assert got == {f"{top}/{path.name}" for path in store.folder.iterdir()}
    assert {path.name for path in (store.folder / "..").iterdir()} == {"store"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("s4://bucket/run", "Unknown kind of address 's4' in s4://bucket/run. Did you mean 's3'"),
        ("simplecache::s3://bucket/run", "Unknown kind of address 'simplecache::s3'"),
        ("oci://bucket/run", "oci://bucket/run requires a package that is not installed: Install ocifs"),
        ("https://host/run", "https://host/run can be neither listed nor written: download it"),
        ("HTTP://host/run", "can be neither listed nor written"),
        ("cloud://bucket/../run", "must name a folder, without '.', '..' or empty parts. Got 'cloud://bucket/../run'."),
        ("cloud://bucket//run", "must name a folder"),
        ("cloud://", "must name a folder"),
        (
            Path("cloud://bucket/run"),
            "'cloud:/bucket/run' is an address of cloud, which cannot be used as a path: give it",
        ),
    ],
)
def test_an_address_that_cannot_be_used_is_one_line_everywhere(tmp_path, monkeypatch, given, says):
    monkeypatch.chdir(tmp_path)
    result = measure(None)
    for use in (sd.load, sd.score, Store.open, measure, result.save, lambda place: sd.compare(place, place)):
        refused(lambda use=use: use(given), says)
    assert not [*tmp_path.iterdir()]


def test_a_path_is_a_path_whatever_it_looks_like(tmp_path, monkeypatch, listener):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    for given in ("C:\\runs\\a", "c://runs/a", "C:/runs/a", "factorial:24", "mine:s3", "mine:s3://b", "a://b"[1:]):
        assert not is_address(given)
        assert local(given) == Path(given)
    assert local("~/runs") == Path.home() / "runs"
    with pytest.raises(UserError, match="does not exist"):
        open_source(f"http:/{address(listener)}/a.mp4")
    assert not called(listener)
    assert not places._copies


def test_a_registered_source_keeps_its_name(own_parts_forgotten):
    given = []

    @sd.source("s3", "Of the user.")
    def mine(rest):
        given.append(rest)
        return PlantedVideos(2)

    assert open_source("s3://bucket/clips").name == "Planted"
    assert given == ["//bucket/clips"]


def test_a_run_on_this_machine_is_respected_and_one_elsewhere_told(machine):
    system, lock = fsspec.filesystem("cloud"), "/bucket/store/.static-dynamic.lock"
    seen = []
    measure("cloud://bucket/store", on_video=lambda *said: seen.append(system.cat_file(lock).decode()))
    assert seen[0].startswith(f"process {os.getpid()} on ")
    assert not system.exists(lock)
    assert not [said for said in Cloud.done if "twin-1/.static-dynamic.lock" in said], "one lock tells enough"
    machine()
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    system.pipe_file(lock, seen[0].replace(str(os.getpid()), str(other.pid), 1).encode())
    refused(lambda: measure("cloud://bucket/store"), "Another run is at work in cloud://bucket/store: process")
    assert system.exists(lock), "it is the other's"
    other.communicate(b"\n")
    measure("cloud://bucket/store")  # it has ended
    assert not system.exists(lock)
    system.pipe_file(lock, b"process 1 on another-machine since 2026-01-01 00:00:00")
    with pytest.warns(UserWarning, match=r"in cloud://bucket/store and has not ended.*another-machine"):
        measure("cloud://bucket/store")
    assert not system.exists(lock)


@pytest.fixture
def clips(tmp_path):
    for name, length in (("a/one.mp4", 12), ("b/two.mp4", 9), ("b/.hidden.mp4", 9)):
        (tmp_path / "clips" / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(tmp_path / "clips" / name, coded_frames(length))
    system = fsspec.filesystem("cloud")
    system.put(str(tmp_path / "clips"), "/bucket/clips", recursive=True)
    system.pipe_file("/bucket/clips/readme.txt", b"two clips")
    return tmp_path / "clips"


def test_what_writes_to_folders_alone_says_so(clips, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in (("stylize", clips, "--styles", "ink"), ("sheet", clips / "a" / "one.mp4")):
        run = door(words[0])
        refused(
            lambda run=run, words=words: run([*words[1:], "--out", "cloud://bucket/x.png"]), "is an address of cloud"
        )
    assert {path.name for path in tmp_path.iterdir()} == {"clips"}


def test_videos_at_an_address_are_those_in_a_folder(clips):
    here, there = VideoFiles(clips, labels="folders"), open_source("cloud://bucket/clips/", labels="folders")
    assert there.videos == here.videos
    recipe = sd.Recipe(frames=4, rate=2, crop=16)
    for video in here.videos:
        np.testing.assert_array_equal(there.read(video, recipe).frames, here.read(video, recipe).frames)
    assert not [path for path in places._top().rglob("*") if path.is_file()], "each is removed after it was read"
    before = there.stamp(there.videos[0])
    assert open_source("cloud://bucket/clips").stamp(there.videos[0]) == before
    fsspec.filesystem("cloud").put_file(str(clips / "b" / "two.mp4"), "/bucket/clips/a/one.mp4")
    assert open_source("cloud://bucket/clips").stamp(there.videos[0]) != before
    json.dumps(there.describe())


def test_a_remote_video_that_is_bad_or_gone_costs_one_line(clips, monkeypatch):
    source, recipe = open_source("cloud://bucket/clips"), sd.Recipe(frames=4, rate=2, crop=16)
    system = fsspec.filesystem("cloud")
    system.rm_file("/bucket/clips/a/one.mp4")
    with pytest.raises(BadClip, match=r"Cannot read cloud://bucket/clips/a/one\.mp4: FileNotFoundError"):
        source.read(source.videos[0], recipe)
    system.pipe_file("/bucket/clips/b/two.mp4", b"no video")
    with pytest.raises(BadClip, match=r"cloud://bucket/clips/b/two\.mp4"):
        source.read(source.videos[1], recipe)
    monkeypatch.setattr(Cloud, "left", 0)
    monkeypatch.setattr(Cloud, "error", ConnectionError("reset"))
    with pytest.raises(UserError, match=r"Cannot read .*/two\.mp4: ConnectionError: reset") as caught:
        source.read(source.videos[1], recipe)
    assert not isinstance(caught.value, BadClip), "a network that fails is no bad video"
    with monkeypatch.context() as patched:
        patched.setattr(Cloud, "find", Cloud.ls)
        refused(lambda: open_source("cloud://bucket/clips"), "Cannot read cloud://bucket/clips: ConnectionError: reset")
    refused(lambda: open_source("cloud://bucket/none"), "No video below cloud://bucket/none")


def test_the_options_of_a_run_keep_the_address():
    config = read_config(["--videos", "factorial:4", "--out", "cloud://bucket/run"])
    assert config.model_dump(mode="json")["out"] == "cloud://bucket/run"
    assert config.folder == local("cloud://bucket/run")
    assert read_config(["--videos", "factorial:4", "--out", "~/run"]).folder == Path.home() / "run"


def program(*words, **options):
    command = [sys.executable, "main.py", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **options)


@pytest.fixture
def temporary(tmp_path):
    """Where a program makes its copies."""
    (tmp_path / "tmp").mkdir()
    yield {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    assert not [*(tmp_path / "tmp").glob(".static-dynamic*")], "no copy is left"


def test_the_program_compares_runs_at_an_address(tmp_path, temporary):
    measure(tmp_path / "one" / "store").save(tmp_path / "one")
    remote = f"file://{tmp_path}/one"
    done = program("compare", remote, remote, "--out", f"file://{tmp_path}/two", env=temporary)
    assert done.returncode == 0, done.stderr
    assert f"report.html: file://{tmp_path}/two/" in done.stdout
    assert in_folder(tmp_path / "two").keys() == {"layers.csv", "units.csv", "report.html"}


@pytest.mark.slow
def test_the_program_measures_and_scores_at_an_address(tmp_path, temporary):
    options = ("--model", "truth_cnn_both", "--videos", "factorial:4", "--twins", 0, "--replicates", 20)
    remote = f"file://{tmp_path}/remote/run"
    for place in (str(tmp_path / "run"), remote):
        done = program("measure", *options, "--out", place, env=temporary)
        assert done.returncode == 0, done.stderr
        assert f"report.html: {place}/" in done.stdout
    here, there = in_folder(tmp_path / "run"), in_folder(tmp_path / "remote" / "run")
    assert here.keys() == there.keys()
    differing = {name for name in here if here[name] != there[name]}
    assert differing <= {"run.json", "report.html"}, "the time, and the place"
    assert json.loads(there["run.json"])["options"]["out"] == remote
    done = program("score", remote, "--estimators", "needs_order", env=temporary)
    assert done.returncode == 0, done.stderr
    assert sd.load(tmp_path / "remote" / "run").estimators == ["needs_order"]


def test_the_copy_of_a_killed_process_is_removed_by_the_next(tmp_path):
    code = (
        "import sys; from static_dynamic.common.places import local; print(local('memory://a/b')); sys.stdout.flush()"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    kill = f"{code}; import os; os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", kill], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    assert Path(done.stdout.strip()).parents[1].is_dir()
    assert len([*tmp_path.iterdir()]) == 1
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, capture_output=True)
    assert not [*tmp_path.iterdir()]
