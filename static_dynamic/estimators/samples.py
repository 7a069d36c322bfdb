"""The numbers on every resample, as a file from which differences, ratios and intervals can be formed later."""

import json
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from static_dynamic.estimators.numbers import Sample

UNITS, FEWER, NAMES = "units", "fewer.", "names."
MOST_NAMES = 10_000
"""Up to this number, videos are named in the header of each sample; above it, once as a tensor."""


def samples_as_bytes(samples: Mapping[tuple[str, str], Sample]) -> bytes:
    """Samples as the content of a safetensors file."""
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    about: list[list[object]] = []
    lists: dict[tuple[str, ...], int] = {}
    for number, ((estimator, stage), sample) in enumerate(samples.items()):
        many = len(sample.videos) > MOST_NAMES
        names = lists.setdefault(sample.videos, len(lists)) if many else list(sample.videos)
        about.append([estimator, stage, names, sample.replicates])
        arrays[f"{number}.{UNITS}"] = np.ascontiguousarray(sample.units)
        arrays |= {f"{number}.{column}": np.ascontiguousarray(values) for column, values in sample.layer.items()}
        fewer = sample.fewer_styles
        arrays |= {f"{number}.{FEWER}{column}": np.ascontiguousarray(values) for column, values in fewer.items()}
    for listed, number in lists.items():
        arrays[f"{NAMES}{number}"] = np.frombuffer(json.dumps(listed).encode(), np.uint8)
    return bytes(save(arrays, {"samples": json.dumps(about)}))


def read_samples(content: bytes) -> dict[tuple[str, str], Sample]:
    """Undo :func:`samples_as_bytes`.

    Raises:
        ValueError: If the content is not samples.
    """
    try:
        size = int.from_bytes(content[:8], "little")
        about = json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["samples"])
        arrays = load(content)
        lists = {name: tuple(json.loads(array.tobytes())) for name, array in arrays.items() if name.startswith(NAMES)}
        found = {}
        for number, (estimator, stage, videos, replicates) in enumerate(about):
            own = {name.partition(".")[2]: array for name, array in arrays.items() if name.startswith(f"{number}.")}
            units = own.pop(UNITS)
            names = lists[f"{NAMES}{videos}"] if isinstance(videos, int) else tuple(videos)
            layer = {name: values for name, values in own.items() if not name.startswith(FEWER)}
            fewer = {name.removeprefix(FEWER): values for name, values in own.items() if name.startswith(FEWER)}
            found[estimator, stage] = Sample(names, replicates, layer, units, fewer)
        return found
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"the numbers on resamples cannot be read ({error}). Score the store again: `static-dynamic score RUN`"
        ) from None
