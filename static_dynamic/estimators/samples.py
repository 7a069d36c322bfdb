"""The numbers on every resample, in a file: differences, ratios and intervals can be formed from them later."""

import json
from collections.abc import Mapping

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from static_dynamic.estimators.numbers import Sample

UNITS, FEWER = "units", "fewer."


def samples_as_bytes(samples: Mapping[tuple[str, str], Sample]) -> bytes:
    """Samples as the content of a safetensors file."""
    arrays, about = {}, []
    for number, ((estimator, stage), sample) in enumerate(samples.items()):
        about.append([estimator, stage, list(sample.videos), sample.replicates])
        arrays[f"{number}.{UNITS}"] = np.ascontiguousarray(sample.units)
        arrays |= {f"{number}.{column}": np.ascontiguousarray(values) for column, values in sample.layer.items()}
        fewer = sample.fewer_styles
        arrays |= {f"{number}.{FEWER}{column}": np.ascontiguousarray(values) for column, values in fewer.items()}
    return bytes(save(arrays, {"samples": json.dumps(about)}))


def read_samples(content: bytes) -> dict[tuple[str, str], Sample]:
    """Undo :func:`samples_as_bytes`.

    Raises:
        ValueError: If the content is none.
    """
    try:
        size = int.from_bytes(content[:8], "little")
        about = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["samples"])
        arrays = load(content)
        found = {}
        for number, (estimator, stage, videos, replicates) in enumerate(about):
            own = {name.partition(".")[2]: array for name, array in arrays.items() if name.startswith(f"{number}.")}
            units = own.pop(UNITS)
            layer = {name: values for name, values in own.items() if not name.startswith(FEWER)}
            fewer = {name.removeprefix(FEWER): values for name, values in own.items() if name.startswith(FEWER)}
            found[estimator, stage] = Sample(tuple(videos), replicates, layer, units, fewer)
        return found
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"the numbers on resamples cannot be read ({error}). Score the store again: `static-dynamic score RUN`"
        ) from None
