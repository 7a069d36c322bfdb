"""Does a video model work from appearance or from motion? Layer by layer, unit by unit.

import static_dynamic as sd

result = sd.measure(model, videos="clips/", stages=["stage*"])
result.layers, result.units
result.save("runs/mine")
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from static_dynamic import functional
    from static_dynamic.common.compute import Compute
    from static_dynamic.common.errors import BadClip, UserError
    from static_dynamic.common.progress import progress_bar
    from static_dynamic.common.ranks import rank
    from static_dynamic.comparison import compare
    from static_dynamic.estimators.pairs import PairRule
    from static_dynamic.estimators.registry import estimator
    from static_dynamic.interventions.flow_changes import flow_change
    from static_dynamic.interventions.scrambles import scrambling as scramble
    from static_dynamic.interventions.styles import style
    from static_dynamic.measurement import measure
    from static_dynamic.media.clip import Clip, FlowRecipe, Recipe, Video
    from static_dynamic.network.ablation import ablate, patch
    from static_dynamic.network.controls import matched_directions, matched_units, strongest, variance_share
    from static_dynamic.network.poolings import pooling
    from static_dynamic.network.recorder import Recorder, record
    from static_dynamic.network.testing import check_model
    from static_dynamic.planning import needed, sweep
    from static_dynamic.probes.probe import probe, probe_activations
    from static_dynamic.probes.result import ProbeResult
    from static_dynamic.probes.targets import Target
    from static_dynamic.reopening import open_run, score
    from static_dynamic.report.figures import draw
    from static_dynamic.report.own import plot
    from static_dynamic.results import Result, load
    from static_dynamic.scoring import Scoring
    from static_dynamic.sources import open_source, source
    from static_dynamic.tracking import track

__version__ = "0.1.0"

# If links of a checkout are text files (Windows without developer mode), their targets are found next to the package.
if Path(__file__).with_name("models").is_file():
    __path__.insert(0, str(Path(__file__).parents[1]))

# Name → module, or module:name there; loaded on first use, so that `import static_dynamic` costs nothing.
_HOMES = {
    "BadClip": "common.errors",
    "Clip": "media.clip",
    "Compute": "common.compute",
    "FlowRecipe": "media.clip",
    "PairRule": "estimators.pairs",
    "ProbeResult": "probes.result",
    "Recipe": "media.clip",
    "Recorder": "network.recorder",
    "Result": "results",
    "Scoring": "scoring",
    "Target": "probes.targets",
    "UserError": "common.errors",
    "Video": "media.clip",
    "ablate": "network.ablation",
    "check_model": "network.testing",
    "compare": "comparison",
    "draw": "report.figures",
    "estimator": "estimators.registry",
    "flow_change": "interventions.flow_changes",
    "load": "results",
    "matched_directions": "network.controls",
    "matched_units": "network.controls",
    "measure": "measurement",
    "needed": "planning",
    "open_run": "reopening",
    "open_source": "sources",
    "patch": "network.ablation",
    "plot": "report.own",
    "pooling": "network.poolings",
    "probe": "probes.probe",
    "probe_activations": "probes.probe",
    "progress_bar": "common.progress",
    "rank": "common.ranks",
    "record": "network.recorder",
    "score": "reopening",
    "strongest": "network.controls",
    "sweep": "planning",
    "scramble": "interventions.scrambles:scrambling",
    "source": "sources",
    "style": "interventions.styles",
    "track": "tracking",
    "variance_share": "network.controls",
}

__all__ = [
    "BadClip",
    "Clip",
    "Compute",
    "FlowRecipe",
    "PairRule",
    "ProbeResult",
    "Recipe",
    "Recorder",
    "Result",
    "Scoring",
    "Target",
    "UserError",
    "Video",
    "ablate",
    "check_model",
    "compare",
    "draw",
    "estimator",
    "flow_change",
    "functional",
    "load",
    "matched_directions",
    "matched_units",
    "measure",
    "needed",
    "open_run",
    "open_source",
    "patch",
    "plot",
    "pooling",
    "probe",
    "probe_activations",
    "progress_bar",
    "rank",
    "record",
    "score",
    "scramble",
    "source",
    "strongest",
    "style",
    "sweep",
    "track",
    "variance_share",
]


def __getattr__(name: str) -> Any:
    if name == "functional":
        return import_module("static_dynamic.functional")
    if name not in _HOMES:
        raise AttributeError(f"module 'static_dynamic' has no attribute {name!r}")
    module, _, other = _HOMES[name].partition(":")
    return getattr(import_module(f"static_dynamic.{module}"), other or name)


def __dir__() -> list[str]:
    return __all__
