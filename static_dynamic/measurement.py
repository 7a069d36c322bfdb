"""The whole flow in one call: videos → variants → activations → pairs → scores."""

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn

from static_dynamic.clip import ORIGINAL, Recipe
from static_dynamic.collect import Study, collect
from static_dynamic.compute import Compute
from static_dynamic.errors import UserError
from static_dynamic.inputs import declared_recipe, named_axes
from static_dynamic.interventions import STRONG
from static_dynamic.pairs import make_pairs
from static_dynamic.recorder import Recorder, Stages
from static_dynamic.results import Result
from static_dynamic.score import Scoring, score
from static_dynamic.sources import Source, open_source
from static_dynamic.store import Store
from static_dynamic.variants import Conditions

VERSIONED = (
    "static-dynamic",
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "opencv-python-headless",
    "av",
    "safetensors",
    "pyarrow",
)


def measure(
    model: nn.Module,
    videos: str | Path | Source,
    stages: Stages | None = None,
    *,
    recipe: Recipe | Mapping[str, Any] | None = None,
    layout: str | None = None,
    pool: str = "avg",
    styles: Sequence[str] = STRONG,
    scrambles: Sequence[str] = ("shuffle",),
    max_videos: int | None = None,
    seed: int = 0,
    compute: Compute | None = None,
    scoring: Scoring | None = None,
    store: str | Path | None = None,
    resume: bool = True,
    provenance: Mapping[str, Any] | None = None,
    on_video: Callable[[str], None] = lambda name: None,
) -> Result:
    """Measure how static and how dynamic the stages and units of a model are.

    Args:
        model: Any module; it is left as it was found.
        videos: A video file, a folder of videos or of frame folders, ``"synthetic"``, or a source.
        stages: Names, globs or ``{name: (module path, layout[, item])}``; ``None`` means every declared stage.
        recipe: The model's input; ``None`` means the one that it declares.
        layout: Layout of stages named by module path.
        pool: How positions become one number per unit; see :meth:`static_dynamic.layout.Layout.pool`.
        styles: Static conditions: built-in styles, image files, ``"original"``, styles on disk.
        scrambles: Dynamic conditions beside the intact order.
        max_videos: Use the first so many videos.
        seed: Draws styles and scrambles.
        compute: Batch size, device, precision, workers.
        scoring: Pairs, threshold, intervals.
        store: Folder for the activations, which can be resumed; a temporary one if ``None``.
        resume: Go on with what the store holds; otherwise start over.
        provenance: What else the manifest should say, e.g. the checkpoint.
        on_video: Called with the name of every video that is done.

    Returns:
        Tables per stage and unit with intervals, and the manifest.

    Raises:
        UserError: For anything that the caller can mend, in one line.

    Example:
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU())
        >>> result = measure(net, "synthetic:4", {"relu": ("1", "N C T H W")}, recipe=Recipe(frames=8, rate=2, crop=32))
        >>> result.stages
        ['relu']
    """
    started = time.perf_counter()
    if names := named_axes(model):
        raise UserError(
            f"This model takes {' and '.join(names)}, not clips, which no source gives yet: "
            "record its stages with sd.record(model, {name: tensor, ...})."
        )
    source, scoring = open_source(videos), scoring or Scoring(seed=seed)
    conditions = Conditions(_with_original(styles, scoring), tuple(scrambles), seed)
    conditions.check(source)
    recorder, input_recipe = Recorder(model, stages, layout, pool), declared_recipe(model, recipe)
    study = Study(recorder, source, list(source.videos)[:max_videos], input_recipe, conditions, compute or Compute())
    # Pairs that cannot be formed are found now rather than after hours of forwards.
    make_pairs(study.variants(), scoring.rule, {video.name: video.label for video in study.videos})
    described = study.describe()
    with ExitStack() as stack:
        folder = store or stack.enter_context(TemporaryDirectory(prefix="static-dynamic-"))
        activations = Store(Path(folder), described, resume)
        collect(study, activations, on_video)
        scores, records = score(activations, scoring), activations.records()
    manifest = {
        **(provenance or {}),
        "study": described,
        "compute": asdict(study.compute),
        "scoring": asdict(scoring),
        "versions": versions(),
        "machine": platform.platform(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "seconds": round(time.perf_counter() - started, 2),
        "left_out": [list(entry) for entry in getattr(source, "left_out", [])],
        "videos": records,
    }
    return Result(scores.layers, scores.units, manifest, _skipped(records) + scores.warnings)


def versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    found = {"python": platform.python_version()}
    for package in VERSIONED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _with_original(styles: Sequence[str], scoring: Scoring) -> tuple[str, ...]:
    """The styles, and the video as filmed if the static pairs are made of it."""
    return (*styles, *([ORIGINAL] if scoring.rule.normal_static and ORIGINAL not in styles else []))


def _skipped(records: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"Skipped {record['video']}: {record['problem']}" for record in records if record["problem"]]
