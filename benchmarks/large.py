"""Time and memory for scoring a store, by the number of its videos.

    python -m benchmarks.large --sizes 200x64,2000x64,20000x64 --dtype float32

Stores are simulated: eight clips a video, one stage, activations of a content that all clips of a video share, with
noise of the clip; written as `static_dynamic.store` writes runs of shards. Each is scored in a separate process. One
row per store and estimator: seconds of the processor (not of the wall: machines are shared) for reading the index and
for scoring, and the peak of the memory of the whole process; then the same for all that `static-dynamic score` does:
to open the store, score it, save the result and write its page. Rows of other stores are kept. A line through the rows
of one number of units gives the cost of a further video, from which `docs/large.md` projects.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from static_dynamic.shards import KEY, RUN, Shards
from static_dynamic.store import STUDY
from static_dynamic.variants import Cell

TABLE = Path(__file__).with_name("large.csv")
STAGE, PER_SHARD = "stage", 8
CELLS = [
    *(Cell("original", order, replicate) for order in ("intact", "freeze") for replicate in (0, 1)),
    *(Cell(style, order) for style in ("original", "ink") for order in ("intact", "shuffle")),
    Cell("ink", "freeze"),
]
CELLS = list(dict.fromkeys(CELLS))
STUDIED = {"stages": {STAGE: []}, "styles": ["original", "ink"], "orders": ["intact", "shuffle"]}

SCORE = """
import json, sys, time
from static_dynamic.estimators.registry import find_estimators
from static_dynamic.scoring import Scoring, score_store
from static_dynamic.store import Store
started = time.process_time()
store = Store.open(sys.argv[1])
store.keys()
read = time.process_time()
scores = score_store(store, Scoring(), find_estimators(sys.argv[2]))
done = time.process_time()
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
told = {"index_s": read - started, "score_s": done - read, "peak_mib": peak()}
del store, scores
import static_dynamic as sd
begun = time.process_time()
result = sd.score(sys.argv[1], sys.argv[2])
result.save(sys.argv[3])
result.report(sys.argv[3] + "/report.html")
print(json.dumps(told | {"whole_s": time.process_time() - begun, "whole_peak_mib": peak()}))
"""


def simulate(folder: Path, videos: int, units: int, dtype: str) -> None:
    """Write a store; the numbers of each run of shards are those of the first, moved on by some units."""
    from safetensors.numpy import save_file

    STUDY.write(folder, {**STUDIED, "videos": [_name(number) for number in range(videos)]})
    draw, many = np.random.default_rng(0), RUN * PER_SHARD
    content = draw.standard_normal((many, 1, units), np.float32)
    noise = draw.standard_normal((many, len(CELLS), units), np.float32)
    first = (content + np.linspace(0.1, 1, units, dtype=np.float32) * noise).astype(dtype)
    for start in range(0, videos, many):
        names = [_name(number) for number in range(start, min(start + many, videos))]
        files = Shards(folder, start // PER_SHARD, start // PER_SHARD + RUN - 1)
        x = np.roll(first[: len(names)], 7 * (start // many), axis=2).reshape(-1, units)
        save_file({STAGE: np.ascontiguousarray(x)}, files.path("safetensors"))
        files.path("json").write_text(json.dumps(_members(files, names)))
        keys = [(name, *cell) for name in names for cell in CELLS]
        pd.DataFrame(keys, columns=KEY).to_parquet(files.path("parquet"), index=False)


def _name(number: int) -> str:
    return f"class_{number % 400:03d}/video_{number:07d}.mp4"


def _record(name: str) -> dict[str, object]:
    """What is recorded of a video."""
    read = {"total": 250, "fps": 25.0, "frames": [*range(93, 157, 8)], "seconds": 2.28}
    return {"video": name, "label": name[:9], "sequence": None, "source": f"/data/{name}", **read, "problem": None}


def _members(files: Shards, names: list[str]) -> list[dict[str, object]]:
    """The content of the .json of a run about its shards."""
    parts = [names[place * PER_SHARD : (place + 1) * PER_SHARD] for place in range(RUN)]
    return [
        {
            "shard": files.first + place,
            "rows": len(part) * len(CELLS),
            "records": [_record(name) for name in part],
        }
        for place, part in enumerate(parts)
    ]


def measure(videos: int, units: int, dtype: str, estimators: list[str]) -> pd.DataFrame:
    """One row per estimator."""
    rows = []
    with TemporaryDirectory() as folder, TemporaryDirectory() as out:
        simulate(Path(folder), videos, units, dtype)
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        for estimator in estimators:
            command = [sys.executable, "-c", SCORE, folder, estimator, out]
            found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            told = {"videos": videos, "units": units, "dtype": dtype, "estimator": estimator, "store_gb": size / 1e9}
            rows.append(told | found)
            print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def main() -> None:
    """Measure, save the table, and print the cost of a further video."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sizes", default="200x64,2000x64,20000x64")
    options.add_argument("--dtype", default="float32")
    options.add_argument("--estimators", default="needs_motion,released")
    chosen = options.parse_args()
    for size in chosen.sizes.split(","):
        videos, units = map(int, size.split("x"))
        found = measure(videos, units, chosen.dtype, chosen.estimators.split(","))
        before = [pd.read_csv(TABLE)] if TABLE.exists() else []
        table = pd.concat([*before, found.round(3)]).drop_duplicates(list(found)[:4], keep="last")
        table.sort_values(["estimator", "units", "videos"]).to_csv(TABLE, index=False)
    print(slopes(pd.read_csv(TABLE)).to_string(index=False))


def slopes(table: pd.DataFrame) -> pd.DataFrame:
    """Milliseconds that a further video costs, by estimator and units, from a line through more than one store."""
    rows = []
    for (estimator, units), some in table.groupby(["estimator", "units"]):
        if len(some) > 1:
            slope, offset = np.polyfit(some["videos"], some["index_s"] + some["score_s"], 1)
            rows.append({"estimator": estimator, "units": units, "ms_per_video": 1000 * slope, "fixed_s": offset})
    return pd.DataFrame(rows)


if __name__ == "__main__":
    main()
