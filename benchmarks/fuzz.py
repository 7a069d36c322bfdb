"""Feed the toolkit invalid inputs: every input is read, or refused in one line.

Random values for arguments, and files whose bytes are changed one by one: recipes and similar objects, options,
lists, descriptions, configurations, pickles and checkpoints, videos, images; and whole results, stores and courses in
which a file is changed, missing, or another one. Inputs that raise anything but the errors for users are counted and
shown. The current input is in the folder, so that one which ends the process is kept.
"""

import argparse
import dataclasses
import json
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from static_dynamic import load
from static_dynamic.common.compute import Compute
from static_dynamic.common.errors import UserError
from static_dynamic.common.options import read_mapping
from static_dynamic.config import read_config
from static_dynamic.estimators.pairs import PairRule
from static_dynamic.estimators.registry import find_estimators
from static_dynamic.media.clip import FlowRecipe, Recipe
from static_dynamic.media.decoding import read_clip
from static_dynamic.media.images import read_image
from static_dynamic.models import ModelError
from static_dynamic.models.weights.checkpoints import load_checkpoint
from static_dynamic.scoring import Scoring, score_store
from static_dynamic.sources.masks import read_mask
from static_dynamic.sources.rows import read_rows
from static_dynamic.store import Store
from static_dynamic.tracking import open_course

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"
"""What was left on disk, whole."""
DATA = ("--original-data-root", "davis")
Try = Callable[[random.Random, Path], object]
"""Reads one input, which is made by these draws in this folder."""

KINDS: tuple[Any, ...] = (Recipe, FlowRecipe, Scoring, Compute, PairRule)
ODD = (
    None,
    True,
    0,
    1,
    -1,
    8,
    224,
    1.5,
    float("nan"),
    float("inf"),
    2**64,
    10**5000,
    "",
    "C T H W",
    "cpu",
    b"x",
    object(),
)
EDGES = (0, 1, 0x7F, 0x80, 0xFF)


def values(draw: random.Random, depth: int = 2) -> Any:
    """Any value, or some of them in a container."""
    if not depth or draw.random() < 0.6:
        return draw.choice(
            [*ODD, draw.randint(-9, 999), draw.random(), "".join(map(chr, draw.choices(range(300), k=3)))]
        )
    parts = [values(draw, depth - 1) for _ in range(draw.randint(0, 4))]
    return draw.choice([parts, tuple(parts), {str(place): part for place, part in enumerate(parts)}])


def changed(draw: random.Random, content: bytes) -> bytes:
    """The bytes with some of them replaced, removed, repeated, or cut off."""
    data = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 4, 16])):
        place = draw.randrange(len(data) + 1)
        match draw.randrange(5):
            case 0 if place < len(data):
                data[place] ^= 1 << draw.randrange(8)
            case 1:
                data[place : place + 1] = bytes([draw.choice(EDGES)])
            case 2:
                del data[place : place + draw.randint(1, 9)]
            case 3:
                data[place:place] = data[place : place + draw.randint(1, 64)]
            case 4 if draw.random() < 0.2:
                del data[place:]
    return bytes(data)


def arguments(draw: random.Random, folder: Path) -> object:
    """An object of a kind that users make, with one or two fields of any value."""
    kind = draw.choice(KINDS)
    names = [field.name for field in dataclasses.fields(kind)]
    return kind(**{name: values(draw) for name in draw.sample(names, draw.randint(1, 2))})


def reading(seeds: list[tuple[str, bytes]], read: Callable[[Path], object]) -> Try:
    """Reads a file of one of these names, with its bytes changed."""

    def attempt(draw: random.Random, folder: Path) -> object:
        name, content = draw.choice(seeds)
        (folder / name).write_bytes(changed(draw, content))
        return read(folder / name)

    return attempt


def altering(whole: Path, read: Callable[[Path], object]) -> Try:
    """Reads a copy of a folder in which one file has its bytes changed, has another's content, or is missing."""

    def attempt(draw: random.Random, folder: Path) -> object:
        place = folder / whole.name
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(whole, place)
        paths = sorted(path for path in place.rglob("*") if path.is_file())
        path = draw.choice(paths)
        match draw.randrange(8):
            case 0:
                path.unlink()
            case 1:
                path.write_bytes(draw.choice(paths).read_bytes())
            case _:
                path.write_bytes(changed(draw, path.read_bytes()))
        return read(place)

    return attempt


def _used(folder: Path) -> object:
    """All that is read from a store."""
    store = Store.open(folder)
    for shard in store.shards():
        store.has(shard)
    if store.damaged:
        return store.damaged
    store.details()
    return score_store(store, Scoring(replicates=5), find_estimators("released"))


def targets(folder: Path) -> dict[str, Try]:
    """The targets, by name."""
    texts = [
        (
            "a.yaml",
            b"stg: 5\nfps: 1.5\nstyles: [ink, mosaic]\nnested: {a: [1, 2], b: null}\nday: 2001-01-01\n",
        ),
        ("b.yaml", b'{"model": "slow", "num": 1e3, "list": [true, false, null]}'),
    ]
    lists = [
        ("a.csv", b"path,label,start,end\na.mp4,cat,1,2.5\nb.mp4,dog,,\n"),
        ("b.tsv", b"path\tstart_frame\tend_frame\na\t0\t9\n"),
    ]
    state = nn.Linear(4, 3).state_dict()
    recipe = Recipe(frames=4, rate=1, crop=16)
    return {
        "arguments": arguments,
        "options": reading(texts, read_mapping),
        "lists": reading(lists, read_rows),
        "results": reading([("run.json", _description(folder))], lambda path: load(path.parent)),
        "configurations": reading(_configurations(), lambda path: read_config(["--cfg-file", str(path), *DATA])),
        "whole results": altering(GOLDEN / "result_format_2", lambda path: load(path).report(path / "report.html")),
        "stores": altering(GOLDEN / "store_format_2", _used),
        "courses": altering(GOLDEN / "course", lambda path: open_course(path).table),
        "checkpoints": reading(_checkpoints(folder, state), lambda path: load_checkpoint(nn.Linear(4, 3), path)),
        "videos": reading(_videos(folder), lambda path: read_clip(path, recipe)),
        "images": reading(_images(folder), read_image),
        "masks": reading(_images(folder, "P"), read_mask),
    }


def fuzz(seconds: float, seed: int, folder: Path) -> Counter[tuple[str, str]]:
    """Try inputs in turn for this many seconds; (target, outcome) → how often."""
    draw, counts, shown = random.Random(seed), Counter[tuple[str, str]](), set[str]()
    tried = targets(folder)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name, attempt in tried.items():
            outcome = _outcome(attempt, draw, folder)
            counts[name, outcome.partition("\n")[0]] += 1
            if "\n" in outcome and outcome not in shown:
                shown.add(outcome)
                print(f"--- {name}: {outcome}", flush=True)
    return counts


def _outcome(attempt: Try, draw: random.Random, folder: Path) -> str:
    """``read``, ``refused``, or the kind of the error and its origin."""
    try:
        attempt(draw, folder)
    except (UserError, ModelError) as error:
        return "refused" if "\n" not in str(error) else "several lines\n" + str(error)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}\n{last.filename}, line {last.lineno}: {str(error)[:200]}"
    return "read"


def _configurations() -> list[tuple[str, bytes]]:
    """The named runs of the package, the smallest of every kind."""
    return [(path.name, path.read_bytes()) for path in sorted((ROOT / "configs").rglob("*.json"))[:4]]


def _description(folder: Path) -> bytes:
    import pandas as pd

    for name, column in {"layers": "factor", "units": "unit"}.items():
        table = pd.DataFrame({"stage": ["a"], "estimator": ["released"], column: ["a"]})
        table.to_parquet(folder / f"{name}.parquet")
    return json.dumps({"kind": "measurement", "format": 2, "warnings": [], "study": {"model": "x"}}).encode()


def _checkpoints(folder: Path, state: dict[str, torch.Tensor]) -> list[tuple[str, bytes]]:
    import pickle

    from safetensors.torch import save

    found = [("a.safetensors", save(state))]
    for new in (True, False):
        path = folder / f"{new}.pth"
        torch.save({"model": state, "epoch": 3}, path, _use_new_zipfile_serialization=new)
        found.append((path.name, path.read_bytes()))
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    return [*found, ("a.pkl", pickle.dumps({"blobs": arrays}, 2))]


def _videos(folder: Path) -> list[tuple[str, bytes]]:
    from fractions import Fraction

    from static_dynamic.media.writing import video_file

    path = folder / "a.mp4"
    with video_file(path, Fraction(10)) as write:
        for number in range(8):
            write(np.full((32, 48, 3), 20 * number, np.uint8))
    return [(path.name, path.read_bytes())]


def _images(folder: Path, mode: str = "RGB") -> list[tuple[str, bytes]]:
    from PIL import Image

    found = []
    picture = Image.fromarray((np.arange(768).reshape(16, 16, 3) % 256).astype(np.uint8))
    picture = picture.quantize(8) if mode == "P" else picture
    for suffix in ("png", "bmp", "tif") if mode == "P" else ("png", "jpg", "webp", "bmp", "tif", "ppm"):
        path = folder / f"a.{suffix}"
        picture.save(path)
        found.append((path.name, path.read_bytes()))
    return found


def main() -> int:
    """Fuzz, and print the outcomes; the exit code is 1 if an input was neither read nor refused."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=3600, help="how long (default: 3600)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        counts = fuzz(chosen.seconds, chosen.seed, Path(folder))
    for (name, outcome), count in sorted(counts.items()):
        print(f"{name:12} {outcome:24} {count:8}")
    return int(any(outcome not in ("read", "refused") for _, outcome in counts))


if __name__ == "__main__":
    sys.exit(main())
