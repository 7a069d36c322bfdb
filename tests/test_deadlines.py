"""A video that takes too long costs a line and the limit: the run goes on, and the process ends."""

import os
import subprocess
import sys
import threading
from itertools import count
from textwrap import dedent

import pytest
from media import coded_frames, write_video
from planted import RECIPE, STAGES, STYLES, PlantedModel, PlantedVideos

import static_dynamic as sd
from static_dynamic.common import deadlines
from static_dynamic.common.compute import prefetch
from static_dynamic.common.deadlines import Deadline, in_time, most_seconds
from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.media.clip import Recipe
from static_dynamic.media.decoding import decoded_frames, read_clip

TOO_LONG = (
    r"reading this video took longer than 1 seconds\. The environment variable STATIC_DYNAMIC_MAX_SECONDS sets another"
)


@pytest.fixture
def a_second(monkeypatch):
    monkeypatch.setenv(deadlines.VARIABLE, "1")


class Hanging(PlantedVideos):
    """Videos of which one is never read."""

    def __init__(self, count, stuck):
        super().__init__(count)
        self.stuck, self.never, self.threads = stuck, threading.Event(), set()

    def read(self, video, recipe, style=None):
        self.threads.add(threading.current_thread())
        if video.name == self.stuck:
            self.never.wait()
        return super().read(video, recipe, style)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_video_that_is_never_read_is_recorded_and_the_run_goes_on(a_second, tmp_path, workers):
    def measure(source):
        options = {
            "recipe": RECIPE,
            "estimators": "released",
            "twins": 0,
            "styles": STYLES,
            "store": tmp_path / "store",
        }
        return sd.measure(PlantedModel(), source, STAGES, compute=sd.Compute(workers=workers), **options)

    source = Hanging(9, "v001")
    result = measure(source)
    problems = {record["video"]: record["problem"] for record in result.manifest["videos"]}
    assert problems.pop("v001").startswith("v001: reading this video took longer than 1 seconds.")
    assert set(problems.values()) == {None}
    # One thread for each that reads ahead, and another for the one that hangs.
    assert len(source.threads) == workers + 1
    assert threading.main_thread() not in source.threads
    source.never.set()
    for thread in source.threads:
        thread.join(5)
        assert not thread.is_alive()
    # What could not be read is tried again, also within the limit, and what can now be read is measured.
    again = measure(Hanging(9, "v001"))
    assert again.manifest["videos"][1]["problem"].startswith("v001: reading")
    assert measure(Hanging(9, None)).manifest["videos"][1]["problem"] is None


def test_a_process_ends_in_spite_of_a_reader_that_hangs():
    script = """
        import threading
        from static_dynamic.common.compute import prefetch
        from static_dynamic.common.deadlines import in_time
        def make(item):
            try:
                return in_time(threading.Event().wait if item == 1 else lambda: item, item)
            except ValueError as error:
                return str(error)
        print(list(prefetch(make, range(3), 1)))
    """
    environment = os.environ | {deadlines.VARIABLE: "1"}
    command = [sys.executable, "-c", dedent(script)]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=True).stdout
    assert said.startswith("[0, '1: reading this video took longer than 1 seconds.")
    assert said.endswith(", 2]\n")


class Failing(PlantedModel):
    def forward(self, clip):
        raise KeyboardInterrupt


def test_a_run_that_ends_early_waits_for_no_reader():
    """Its limit is 300 s."""
    source = Hanging(9, "v001")
    with pytest.raises(KeyboardInterrupt):
        sd.measure(Failing(), source, STAGES, recipe=RECIPE, compute=sd.Compute(batch_size=1, workers=2))


def test_nobody_waits_for_a_reader_when_the_run_ends():
    hangs = threading.Event()
    made = prefetch(lambda item: in_time(hangs.wait if item else lambda: item, item), [0, 1], 2)
    assert next(made) == 0
    made.close()  # returns, though the limit is 300 s


def test_readers_work_in_a_thread_that_stays_and_see_its_context():
    from static_dynamic.common.timing import accounting, spent_on

    def make(_):
        with spent_on("reading"):
            return in_time(threading.current_thread, "a video")

    with accounting() as ledger:
        threads = set(prefetch(make, range(5), 1))
    assert len(threads) == 1
    assert "reading" in ledger.seconds
    assert in_time(threading.current_thread, "a video") is threading.main_thread()


@pytest.mark.parametrize("error", [TimeoutError("the server"), BadClip("no video"), ZeroDivisionError()])
def test_errors_of_a_reader_are_its_own(error):
    def fail():
        raise error

    with pytest.raises(type(error)) as raised:
        next(prefetch(lambda _: in_time(fail, "a video"), [0], 1))
    assert raised.value is error


def test_decoding_has_a_limit_without_threads_too(a_second, tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", coded_frames(20))
    assert read_clip(path, Recipe(frames=4, rate=1, crop=16)).total == 20
    clock = count(0, 0.04)
    monkeypatch.setattr(deadlines, "monotonic", lambda: next(clock))  # goes on whenever it is asked
    assert len(list(decoded_frames(path))) == 20  # a film may be long, as long as its frames come
    with pytest.raises(BadClip, match=TOO_LONG):
        read_clip(path, Recipe(frames=20, rate=1, crop=16))
    clock = count(0, 1.1)
    with pytest.raises(BadClip, match=TOO_LONG):
        list(decoded_frames(path))


def test_a_deadline_counts_from_its_beginning_or_anew(a_second, monkeypatch):
    now = [5.0]
    monkeypatch.setattr(deadlines, "monotonic", lambda: now[0])
    deadline = Deadline("a.mp4")
    now[0] = 6.0
    deadline.check()
    deadline.restart()
    now[0] = 7.0
    deadline.check()
    now[0] = 7.1
    with pytest.raises(BadClip, match=f"^a.mp4: {TOO_LONG}"):
        deadline.check()


def test_the_environment_sets_the_limit(monkeypatch):
    monkeypatch.delenv(deadlines.VARIABLE, raising=False)
    assert most_seconds() == 300
    monkeypatch.setenv(deadlines.VARIABLE, "20")
    assert most_seconds() == 20
    for wrong in ("0", "long", "-1", "1.5", "9" * 400):
        monkeypatch.setenv(deadlines.VARIABLE, wrong)
        with pytest.raises(UserError, match="STATIC_DYNAMIC_MAX_SECONDS must be a whole number from 1 to 1000000"):
            most_seconds()
