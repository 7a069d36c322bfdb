"""Do the tests notice when the measuring code is wrong? One fault at a time, in a copy of the checkout.

    make mutants                                      all of them
    python -m benchmarks.mutants --only scoring twins  those of some modules
    python -m benchmarks.mutants --survivors           those that survived, and new ones

Half of the faults are written down in mutants.toml, each with what it stands for; the other half are drawn from all
small changes that `mutants_drawn` finds in the same files, so that the score is not only over faults that were
thought of. A fault is killed if a test of its file fails. The table is mutants.csv. Its column "before" is the verdict
of the tests before these parts had their own tests.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from benchmarks.mutants_drawn import drawn

HERE = Path(__file__).parent
ROOT = HERE.parent
TABLE = HERE / "mutants.csv"
SHARE = 0.12
"""The share of all small changes that is drawn."""
WANTED = 0.85
KEYS = ["module", "kind", "what"]

TESTS = {
    "functional/released": ["released"],
    "functional/contrasts": ["contrasts"],
    "functional/additive": ["large", "contrasts", "released"],
    "functional/needs_motion": ["needs_motion"],
    "functional/nulls": ["nulls"],
    "functional/resampling": ["resampling", "large"],
    "functional/factorial": ["factorial"],
    "functional/four_pair": ["four_pair"],
    "functional/pairwise": ["pairwise"],
    "functional/mutual_information": ["pairwise"],
    "functional/segmentation": ["segmentation"],
    "functional/probing": ["probing"],
    "functional/questions": ["probing"],
    "estimators/base": ["estimators", "estimators_pairs", "estimators_released"],
    "estimators/design": ["estimators", "estimators_pairs"],
    "estimators/streaming": ["large"],
    "estimators/reading": ["large", "score", "estimators", "estimators_released"],
    "estimators/numbers": ["estimators", "estimators_released", "estimators_pairs", "score", "comparison"],
    "estimators/needs_motion": ["estimators"],
    "estimators/factorial": ["factorial"],
    "estimators/four_pair": ["estimators_pairs"],
    "estimators/pairwise": ["estimators_pairs"],
    "estimators/mutual_information": ["estimators_pairs"],
    "estimators/pearson_within": ["estimators_pairs"],
    "estimators/released": ["estimators_released", "score", "large"],
    "estimators/samples": ["estimators"],
    "estimators/pairs": ["pairs"],
    "scoring": ["score", "estimators"],
    "top_clips": ["large"],
    "twins": ["twins", "reopening"],
    "comparison": ["comparison"],
    "planning": ["comparison"],
    "reopening": ["reopening"],
    "network/recorder": ["recorder", "stages"],
    "network/pending": ["pending"],
    "network/stages": ["stages", "recorder"],
    "network/layout": ["layout", "stages"],
    "network/poolings": ["layout", "stages"],
    "network/fingerprint": ["fingerprint"],
    "network/twins": ["twins"],
    "store": ["store", "damage", "large"],
    "shards": ["store", "damage", "large"],
    "collect": ["collect"],
    "forwards": ["collect", "pending"],
    "common/seeds": ["draws", "variants"],
    "variants/clips": ["variants", "nuisance", "pixel_scrambles"],
    "variants/conditions": ["variants"],
    "variants/images": ["variants"],
    "variants/keys": ["variants"],
    "variants/nuisance": ["nuisance"],
    "variants/prepared": ["variants", "nuisance"],
    "media/clip": ["clip", "recipe"],
    "interventions/scrambles": ["interventions", "pixel_scrambles"],
    "media/decoding": ["decoding", "sources", "containers", "orientation", "seeking"],
    "media/packets": ["decoding", "bitstreams", "containers", "seeking"],
    "media/bitstreams": ["bitstreams", "seeking"],
    "media/reading": ["source_rules", "recipe", "sources"],
    "sources/base": ["source_rules", "sources", "video_list"],
    "sources/frame_folders": ["sources", "walk", "video_list"],
    "sources/walk": ["walk"],
    "media/inputs": ["inputs", "recipe"],
    "common/compute": ["compute"],
    "common/deadlines": ["deadlines"],
    "results": ["results"],
    "report/tables": ["results"],
    "network/ablation": ["ablation"],
    "network/intercepting": ["ablation"],
    "network/selections": ["ablation", "controls"],
    "network/controls": ["controls"],
    "sources/factorial/levels": ["factorial_source"],
    "sources/factorial/draws": ["factorial_source"],
    "sources/factorial/motion": ["factorial_source"],
    "sources/factorial/looks": ["factorial_source"],
    "sources/factorial/rendering": ["factorial_source"],
    "sources/factorial/noise": ["factorial_source"],
    "sources/factorial/dots": ["factorial_source"],
    "sources/factorial/truth": ["factorial_source"],
    "sources/factorial/videos": ["factorial_source"],
}
"""Module of `static_dynamic` → the files of tests that are about it."""
HEAVY = (
    "torch.utils.data",
    "scipy.stats",
    "cv2",
    "av",
    "hypothesis.extra.numpy",
    "pyarrow.parquet",
    "safetensors.torch",
)


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        module: The module that holds it.
        kind: ``hand`` or ``drawn``.
        what: Its description.
        source: The file with the fault.
        equivalent: Why no test could notice it; empty if one could.
    """

    module: str
    kind: str
    what: str
    source: str
    equivalent: str = ""

    @property
    def path(self) -> Path:
        """The file, from the root of the checkout."""
        return Path("static_dynamic", f"{self.module}.py")


def mutants() -> Iterator[Mutant]:
    """All of them, written and drawn.

    Raises:
        SystemExit: If the list names text that its file does not hold exactly once: the list has to stay true.
    """
    listed = tomllib.loads((HERE / "mutants.toml").read_text(encoding="utf-8"))
    reasons = {(entry["module"], entry["what"]): entry["why"] for entry in listed.get("equivalent", [])}
    for entry in listed["mutant"]:
        source = (ROOT / "static_dynamic" / f"{entry['module']}.py").read_text(encoding="utf-8")
        if (times := source.count(entry["old"])) != 1:
            sys.exit(
                f"mutants.toml: {entry['module']}.py holds this text {times} times instead of once: {entry['old']}"
            )
        yield Mutant(entry["module"], "hand", entry["what"], source.replace(entry["old"], entry["new"]))
    for module in TESTS:
        for what, source in drawn(ROOT / "static_dynamic" / f"{module}.py", SHARE):
            yield Mutant(module, "drawn", what, source, reasons.pop((module, what), ""))
    if reasons:
        sys.exit(f"mutants.toml: these are called equivalent, but not drawn: {sorted(reasons)}")


def copied(folder: Path) -> Path:
    """The checkout without what git ignores."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    for name in filter(None, names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


class FirstFailure:
    """A plugin of pytest that notes which test failed first."""

    name = ""

    def pytest_runtest_logreport(self, report: object) -> None:
        """A test ran."""
        self._note(report)

    def pytest_collectreport(self, report: object) -> None:
        """A file was read."""
        self._note(report)

    def _note(self, report: object) -> None:
        if getattr(report, "failed", False) and not self.name:
            self.name = str(getattr(report, "nodeid", "")).removeprefix("tests/")


def run_tests(folder: Path, files: Sequence[str], limit: float) -> tuple[bool, str, float]:
    """Whether the tests pass, the first that fails, and seconds; in a child process with imported libraries."""
    begun, (reader, writer) = time.monotonic(), os.pipe()
    child = os.fork()
    if not child:
        _test(folder, files, writer)
    os.close(writer)
    status = None
    while status is None and time.monotonic() - begun < limit:
        ended, code = os.waitpid(child, os.WNOHANG)
        status = code if ended else None
        time.sleep(0.02)
    if status is None:
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with os.fdopen(reader) as text:
        name = "time is up" if status is None else text.read()
    return status == 0, name, time.monotonic() - begun


def _test(folder: Path, files: Sequence[str], writer: int) -> None:
    os.setsid()
    os.chdir(folder)
    log = os.open(folder / ".log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    import pytest
    from hypothesis import Phase, settings

    # A failing example is enough: it need not be minimal. The draws are the same for every mutant.
    phases = (Phase.explicit, Phase.generate)
    settings.register_profile("mutants", derandomize=True, deadline=None, database=None, phases=phases)
    settings.load_profile("mutants")
    failure = FirstFailure()
    code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", *files], plugins=[failure])
    os.write(writer, failure.name.encode())
    sys.stdout.flush()
    os._exit(int(code))


def verdicts(folder: Path, found: Sequence[Mutant]) -> Iterator[dict[str, object]]:
    """One row per mutant; the mutants of a module must follow each other.

    Raises:
        SystemExit: If the tests fail without any fault.
    """
    limits: dict[str, float] = {}
    for mutant in found:
        files = [name for test in TESTS[mutant.module] if (folder / (name := f"tests/test_{test}.py")).exists()]
        if mutant.module not in limits:
            passed, name, seconds = run_tests(folder, files, 600) if files else (True, "", 0.0)
            if not passed:
                sys.exit(
                    f"The tests of {mutant.module} fail without any fault: {name}\n{(folder / '.log').read_text()}"
                )
            limits[mutant.module] = 20 + 5 * seconds
        whole = (folder / mutant.path).read_text(encoding="utf-8")
        (folder / mutant.path).write_text(mutant.source, encoding="utf-8")
        passed, name, seconds = run_tests(folder, files, limits[mutant.module]) if files else (True, "", 0.0)
        (folder / mutant.path).write_text(whole, encoding="utf-8")
        verdict = "survived" if passed else "killed"
        if passed and mutant.equivalent:
            verdict, name = "equivalent", mutant.equivalent
        print(f"{verdict:10} {seconds:5.1f} s  {mutant.module}: {mutant.what}", flush=True)
        yield {
            "module": mutant.module,
            "kind": mutant.kind,
            "what": mutant.what,
            "verdict": verdict,
            "seconds": round(seconds, 1),
            "by": name,
        }


def _module(mutants_of_one: Sequence[Mutant]) -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        return list(verdicts(copied(Path(folder)), mutants_of_one))


def settled() -> set[tuple[str, str]]:
    """Module and change of those that are killed or equivalent in the table."""
    table = pd.read_csv(TABLE)
    return {*table.loc[table["verdict"] != "survived", ["module", "what"]].itertuples(index=False, name=None)}


def keep(rows: Sequence[dict[str, object]], found: Sequence[Mutant]) -> None:
    """The table with these rows in place of those of the same mutants, and without mutants that no longer exist."""
    kept, new = pd.read_csv(TABLE), pd.DataFrame(rows)
    new = new.merge(kept[[*KEYS, "before"]], on=KEYS, how="left")
    table = pd.concat([new, kept], ignore_index=True).drop_duplicates(KEYS)
    known = pd.MultiIndex.from_tuples([(mutant.module, mutant.kind, mutant.what) for mutant in found])
    table = table[pd.MultiIndex.from_frame(table[KEYS]).isin(known)]
    places = {module: place for place, module in enumerate(TESTS)}
    order = (table["kind"] == "drawn").astype(int) * len(places) + table["module"].map(places)
    table = table.iloc[order.argsort(kind="stable")][[*KEYS, "before", "verdict", "seconds", "by"]]
    table.to_csv(TABLE, index=False)


def summary(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """How many are killed, of those that a test could detect, by kind and in all."""
    real = table[(table["verdict"] != "equivalent") & table[column].notna()]
    killed = real[column].eq("killed").groupby(real["kind"]).agg(["sum", "count"])
    killed.loc["all"] = killed.sum()
    return killed.assign(percent=(100 * killed["sum"] / killed["count"]).round(1)).rename(columns={"sum": "killed"})


def main() -> int:
    """Run them, save the table, and fail if fewer than 85 % are killed."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", nargs="*", choices=list(TESTS), default=list(TESTS), metavar="MODULE")
    options.add_argument("--jobs", type=int, default=1, help="modules at a time")
    options.add_argument("--survivors", action="store_true", help="only those that survived, or are not in the table")
    chosen = options.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True
    found = list(mutants())
    but = settled() if chosen.survivors else set()
    modules = [
        [mutant for mutant in found if mutant.module == module and (module, mutant.what) not in but]
        for module in chosen.only
    ]
    for name in ("pytest", *HEAVY):  # imported once, inherited by every child
        import_module(name)
    with get_context("fork").Pool(chosen.jobs) as pool:
        for rows in pool.imap(_module, filter(None, modules)):
            keep(rows, found)
    table = pd.read_csv(TABLE)
    print(table.loc[table["verdict"] == "survived", ["module", "kind", "what"]].to_string(index=False))
    for column in ("before", "verdict"):
        print(f"\n{column}\n{summary(table, column).to_string()}")
    return int(summary(table, "verdict")["percent"].min() < 100 * WANTED)


if __name__ == "__main__":
    sys.exit(main())
