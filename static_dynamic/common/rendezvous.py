"""The ranks of one run meet in a folder that all of them see, and watch each other there.

Files take the place of a process group: a rank that dies cannot hang the others in a collective, and machines share
nothing but the folder. Rank 0 calls, the others answer, and rank 0 names those that take part:

    .static-dynamic.ranks/0.json    its token; once all have answered, the tokens of all, and the plan
    .static-dynamic.ranks/1.json    its token, and that of the call which it answers
    .static-dynamic.ranks/result    what rank 0 made of the work of all

Every process draws a new token, so files of an earlier run are never taken for those of this one. Each rank rewrites
its file every second, with a number that rises. One that fails says so in its file. One whose number rests is lost if
its process has ended, or, where that is not visible because it is on another machine, after some minutes.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar
from uuid import uuid4

from static_dynamic.common.errors import UserError, reason
from static_dynamic.common.files import host_name, is_alive, make_folder, partial_path, remove
from static_dynamic.common.progress import duration
from static_dynamic.common.ranks import Rank
from static_dynamic.common.runs import RANKS

POLL, BEAT = 0.2, 1.0
"""Seconds between two looks of a rank that waits, and between signs of life."""
QUIET, SILENT = 5.0, 300.0
"""Seconds without a sign of life after which a rank is lost: if its process has ended, and in any case."""
PATIENCE = 600.0
"""Seconds within which all ranks must have come."""
AT_WORK, DONE, GIVEN, LEFT = "at work", "done", "given", "left"
RESUMES = "What is stored stays, and the same command resumes."
SAME_FOLDER = (
    "All processes that torchrun or srun starts must measure into one folder, on a file system that all of them see. "
    "To measure in each process by itself, use `alone=True`."
)

State = dict[str, Any]
Thing = TypeVar("Thing")


class Group:
    """The ranks of one run, as one of them sees it.

    Args:
        folder: The folder of the run, which all of them see.
        rank: This one.
    """

    def __init__(self, folder: Path, rank: Rank) -> None:
        self.folder, self.rank = folder, rank
        self._place = folder / RANKS
        self._own: State = {
            "token": uuid4().hex,
            "ranks": rank.count,
            "launch": rank.launch,
            "process": os.getpid(),
            "host": host_name(),
            "at": AT_WORK,
            "done": 0,
            "beat": 0,
        }
        self._others = range(1) if rank.number else range(1, rank.count)
        self._seen: dict[int, State] = {}
        self._rose: dict[int, float] = {}
        self._told = -BEAT
        self._exchanging = threading.Lock()

    @contextmanager
    def lead(self, plan: Mapping[str, Any]) -> Iterator[None]:
        """As rank 0: meet the others, give them a plan, and work with them until the block ends.

        Args:
            plan: What they need to know, as plain data.

        Raises:
            UserError: If one does not come, fails, or is lost.
        """
        make_folder(self._place)
        with self._stating():
            self._wait(lambda: len(self._seen) == len(self._others), self._absent)
            self._own |= {"plan": plan, "members": {str(one): seen["token"] for one, seen in self._seen.items()}}
            with self._beating():
                yield
                self._wait(lambda: all(self._has_left(one) for one in self._others), checked=False)
        remove(self._place)

    @contextmanager
    def follow(self) -> Iterator[Any]:
        """As another rank: answer the call of rank 0; the plan that it gives is that of the block.

        Raises:
            UserError: If it does not call.
        """
        with self._stating():
            self._answer()
            with self._beating():
                yield self._seen[0]["plan"]

    def tell(self, done: int) -> int:
        """State how much of the own share is done; how much is done in all, as far as this rank knows."""
        self._own["done"] = done
        return self._done()

    def _done(self) -> int:
        return self._own["done"] + sum(seen["done"] for one, seen in self._seen.items() if one)

    def check(self) -> None:
        """Make sure that the ranks that this one depends on are at work: rank 0 on all, the others on rank 0.

        Raises:
            UserError: If one failed or is lost.
        """
        for one, seen in list(self._seen.items()):
            who = f"Rank {one} of {self.rank.count}"
            if "failed" in seen:
                raise UserError(f"{who} failed: {seen['failed']}")
            if seen["at"] != LEFT and self._is_lost(one):
                where = f"process {seen['process']} on {seen['host']}"
                raise UserError(f"{who} is lost: {where} gives no sign of life. {RESUMES}")

    def gather(self, progress: Callable[[int], object]) -> None:
        """As rank 0: wait until the others have done their shares.

        Args:
            progress: Called with how much is done in all, whenever that changes.

        Raises:
            UserError: If one failed or is lost.
        """
        self._state(DONE)
        told = self._own["done"]

        def all_done() -> bool:
            nonlocal told
            if (done := self._done()) > told:
                progress(told := done)
            return all(seen["at"] != AT_WORK for seen in self._seen.values())

        self._wait(all_done)

    def finish(self) -> None:
        """As another rank: state that the own share is done."""
        self._state(DONE)

    def give(self, save: Callable[[Path], object]) -> None:
        """As rank 0: save to a folder what the others receive."""
        save(self._place / "result")
        self._state(GIVEN)

    def receive(self, load: Callable[[Path], Thing]) -> Thing:
        """As another rank: what rank 0 gives, once it does.

        Raises:
            UserError: If rank 0 failed or is lost.
        """
        self._wait(lambda: self._seen[0]["at"] in (GIVEN, LEFT))
        return load(self._place / "result")

    def _answer(self) -> None:
        """Answer every call that may be for this rank, until one names it."""
        began, beats = monotonic(), set[tuple[str, int]]()
        while True:
            call = self._read(0) or {}
            if call.get("members", {}).get(str(self.rank.number)) == self._own["token"]:
                self._seen[0], self._rose[0] = call, monotonic()
                return
            if self._is_of_this_launch(call):
                if "members" not in call:
                    self._own["to"] = call["token"]
                    self._exchange()
            elif call:
                beats.add((call.get("token", ""), call.get("beat", 0)))
            if len(beats) > 2:  # more than what a killed run left, or a run that is just ending
                raise UserError(
                    f"Another run is at work in {self.folder}: process {call.get('process')} on {call.get('host')}. "
                    "Wait until it ends, or choose another place."
                )
            if monotonic() - began > PATIENCE:
                raise UserError(
                    f"Rank 0 did not begin in {self.folder} within {duration(PATIENCE)}, and {self.rank} waited. "
                    f"{SAME_FOLDER}"
                )
            sleep(POLL)

    def _is_of_this_launch(self, call: State) -> bool:
        return all(call.get(name) == self._own[name] for name in ("ranks", "launch"))

    def _absent(self) -> str:
        names = ", ".join(str(one) for one in self._others if one not in self._seen)
        return (
            f"Of {self.rank.count} ranks these did not come to {self.folder} within {duration(PATIENCE)}: {names}. "
            f"{SAME_FOLDER}"
        )

    def _wait(self, met: Callable[[], bool], late: Callable[[], str] | None = None, checked: bool = True) -> None:
        """Wait until a condition is met.

        Args:
            met: The condition.
            late: The message if it is not met in time; without one there is no limit while all ranks live.
            checked: Whether a rank that fails ends the wait.
        """
        began = monotonic()
        while True:
            self._exchange()
            if checked:
                self.check()
            if met():
                return
            if late is not None and monotonic() - began > PATIENCE:
                raise UserError(late())
            sleep(POLL)

    def _has_left(self, one: int) -> bool:
        seen = self._seen[one]
        return seen["at"] == LEFT or "failed" in seen or self._is_lost(one)

    def _is_lost(self, one: int) -> bool:
        seen, still = self._seen[one], monotonic() - self._rose[one]
        return still > SILENT or (still > QUIET and seen["host"] == host_name() and not is_alive(seen["process"]))

    @contextmanager
    def _stating(self) -> Iterator[None]:
        """State how the block ended, where others wait for that."""
        try:
            yield
        except BaseException as error:
            self._own["failed"] = reason(error) if isinstance(error, Exception) else f"it was stopped. {RESUMES}"
            raise
        else:
            self._own["at"] = LEFT
        finally:
            if self.rank.number == 0 or "to" in self._own:
                self._write()

    @contextmanager
    def _beating(self) -> Iterator[None]:
        """Exchange signs of life with the others until the block ends."""
        self._exchange(now=True)
        over = threading.Event()

        def beat() -> None:
            while not over.wait(BEAT):
                self._exchange()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _state(self, at: str) -> None:
        self._own["at"] = at
        self._exchange(now=True)

    def _exchange(self, now: bool = False) -> None:
        """Give a sign of life if it is time, and see those of the others."""
        with self._exchanging:
            if now or monotonic() - self._told >= BEAT:
                self._own["beat"] += 1
                self._write()
                self._told = monotonic()
            for one in self._others:
                seen, before = self._read(one), self._seen.get(one)
                if seen is not None and self._is_member(one, seen):
                    if before is None or before["beat"] != seen["beat"]:
                        self._rose[one] = monotonic()
                    self._seen[one] = seen

    def _is_member(self, one: int, seen: State) -> bool:
        """Whether a file is that of a rank of this run."""
        if self.rank.number:
            return seen.get("token") == self._own.get("to") and "members" in seen
        members = self._own.get("members")
        return seen.get("to") == self._own["token"] and (members is None or members[str(one)] == seen["token"])

    def _read(self, one: int) -> State | None:
        try:
            found = json.loads((self._place / f"{one}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _write(self) -> None:
        """Write the own file, unless the folder is gone: the run is over then."""
        path = self._place / f"{self.rank.number}.json"
        partial = partial_path(path)
        try:
            partial.write_text(json.dumps(self._own), encoding="utf-8")
            os.replace(partial, path)
        except OSError:
            remove(partial)
