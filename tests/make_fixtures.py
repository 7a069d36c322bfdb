"""Write what this version leaves on disk, for later versions to read: `cd tests && python -m make_fixtures`.

    golden/store_format_2      a store of merged and of separate shards, and its scores
    golden/result_format_2     a result with everything that it may hold
    golden/training_format_2   a training run: its checkpoint, its state, and outputs of the model
    golden/course              a course of two points
    golden/stylized            a stylized data set

Files of earlier formats stay as they are. Write these again only together with a new format, under its own name: a
fixture that is made by the version that reads it shows nothing. `test_fixtures.py` reads all of them.
"""

import json
import platform
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from media import write_frames
from planted import RECIPE, STAGES, PlantedModel, PlantedVideos
from tiny_models import Tiny

import static_dynamic as sd
from static_dynamic.estimators.registry import find_estimators
from static_dynamic.scoring import Scoring, score_store
from static_dynamic.shards import RUN
from static_dynamic.store import Store
from static_dynamic.variants import Variant

GOLDEN = Path(__file__).parent / "golden"
STYLES, SCORED = ("original", "ink"), "released,needs_order"
CELLS = [(style, order) for style in STYLES for order in ("intact", "shuffle")]
OPTIONS = {"recipe": RECIPE, "styles": ("1", "2"), "scoring": Scoring(replicates=20, seed=3), "seed": 3}


def store(folder):
    """A merged run of shards and two more, a video in each, and their scores."""
    draw = np.random.default_rng(0)
    videos = [f"v{number:03d}" for number in range(RUN + 2)]
    made = Store(folder, {"model": "planted", "stages": {"late": [], "early": []}, "videos": videos,
                          "styles": list(STYLES), "orders": ["intact", "shuffle"]})  # fmt: skip
    for number, video in enumerate(videos):
        keys = [Variant(video, *cell) for cell in CELLS]
        tensors = {name: torch.from_numpy(draw.normal(size=(4, 2)).astype(np.float32)) for name in ("late", "early")}
        made.write(number, keys, tensors, [{"video": video, "label": None, "problem": None, "stamp": "1 files"}])
    scores = score_store(made, Scoring(replicates=20), find_estimators(SCORED))
    for name in ("layers", "units"):
        getattr(scores, name).to_csv(folder / f"{name}.csv", index=False)


def worth(video, output):
    """What a judge says."""
    return {"mean": float(output.mean())}


def result(folder):
    """A result with twins, pictures, top clips, quality, a skipped video and the numbers on every resample."""
    videos = PlantedVideos(6, bad=(4,))
    found = sd.measure(PlantedModel(), videos, STAGES, estimators=SCORED.replace("order", "motion"), twins=2, judge=worth,
                       compute=sd.Compute(max_bad=0.5, workers=0), provenance={"checkpoint": "a.pth"}, **OPTIONS)  # fmt: skip
    found.save(folder)


def training(folder, data):
    """Two epochs on the tiny data set, and the outputs of the model for a clip of zeros."""
    from tiny import TRAIN, succeeds

    work = folder / "work"
    shutil.copytree(data, work)
    run = folder / "run"
    succeeds(
        *[str(work / word) if word in ("frames", "lists") else word for word in TRAIN], "--epochs", 2, "--out", run
    )
    for name in ("run.json", "metrics.csv", "bad_videos.csv", "checkpoint/ckpt.pth.tar", "state"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.move(run / name, folder / name)
    for place in (work, run):
        shutil.rmtree(place)
    model = Tiny().eval()
    weights = torch.load(folder / "checkpoint" / "ckpt.pth.tar", weights_only=True)["state_dict"]
    model.load_state_dict({name.removeprefix("module."): value for name, value in weights.items()})
    outputs = model(torch.zeros(1, 3, 4, 16, 16))[0].tolist()
    (folder / "outputs.json").write_text(json.dumps(outputs) + "\n")


def course(folder):
    """Two points, with untrained networks."""
    model = PlantedModel()
    tracker = sd.track(model, PlantedVideos(5), STAGES, twins=2, store=folder, every=1, **OPTIONS)
    for step in (0, 10):
        tracker(step)
        with torch.no_grad():
            for weight in model.parameters():
                weight += 0.1


def stylized(folder):
    """Two videos of four small frames in two styles."""
    from program import stylize

    draw = np.random.default_rng(0)
    for name in "ab":
        write_frames(folder / "videos" / name, draw.integers(0, 255, (4, 16, 16, 3), dtype=np.uint8), "{:05d}.png")
    stylize(["render", folder / "videos", "--out", folder / "rendered", "--styles", "original,ink", "--workers", "0",
             "--format", "png"])  # fmt: skip
    shutil.rmtree(folder / "videos")


def tiny_data(folder):
    """Frames and lists, as the fixture `prepared` makes them."""
    from tiny_data import prepared

    class Places:
        def mktemp(self, name):
            return folder

    return prepared.__wrapped__(Places())


MAKERS = {"store_format_2": store, "result_format_2": result, "course": course, "stylized": stylized}


def main(names):
    """Write those of these names, or all."""
    for name in names or [*MAKERS, "training_format_2"]:
        folder = GOLDEN / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if name in MAKERS:
            MAKERS[name](folder)
        else:
            training(folder, tiny_data(folder / "data"))
            shutil.rmtree(folder / "data")
        for path in folder.rglob("*.json"):  # what they say is read, not where they were made
            text = path.read_text().replace(str(folder), "/data").replace(platform.platform(), "a machine")
            path.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
