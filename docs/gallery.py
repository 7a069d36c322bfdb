"""Draw the pictures of docs/gallery.md again: `python docs/gallery.py`, a minute on one core, no data, no download."""

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from PIL import Image

import static_dynamic as sd
from static_dynamic import models
from static_dynamic.interventions import contact_sheet
from static_dynamic.sources.factorial import DIRECTIONS

PICTURES = ROOT / "docs" / "images" / "gallery"
STYLES = ["ink", "neon", "mosaic"]
TARGETS = [
    sd.Target("speed", "number", levels={"slow": 1, "medium": 2, "fast": 3}),
    sd.Target("kind", "angle", levels=DIRECTIONS),
    "background",
]


def sheet() -> None:
    """A clip in some styles and in every scramble."""
    source = sd.open_source("factorial:1,kind=right,speed=fast,seed=5")
    clip = source.read(source.videos[0], sd.Recipe(frames=8, rate=1, crop=96))
    drawn = Image.fromarray(contact_sheet(clip.frames[clip.sample.pathways[0]], STYLES, seed=3))
    drawn.save(PICTURES / "sheet.jpg", quality=60)


def plots(name: str, videos: str, estimators: str) -> None:
    """The figures of one network, under its name."""
    result = sd.measure(models.create_model(name), videos, estimators=estimators)
    with TemporaryDirectory() as folder:
        for path in result.plot(folder):
            if path.suffix == ".png":
                shutil.copy(path, PICTURES / f"{name}-{path.name}")


def probes(name: str) -> None:
    """What can be read out of every stage of a network."""
    found = sd.probe(models.create_model(name), "factorial:200", TARGETS, folds=4, controls=3)
    found.plot(PICTURES / f"{name}-probes.png")
    (PICTURES / f"{name}-probes.data.csv").unlink(missing_ok=True)


if __name__ == "__main__":
    PICTURES.mkdir(parents=True, exist_ok=True)
    sheet()
    plots("truth_cnn_both", "factorial:100", "needs_motion,released")
    plots("truth_cnn_appearance", "factorial:100", "needs_motion")
    plots("truth_timesformer_both", "factorial:50x2x2x2", "factorial_shares")
    probes("truth_cnn_motion")
