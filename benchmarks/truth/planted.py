"""The accuracy of every estimator on units whose dependence on appearance and motion is known.

    python -m benchmarks.truth.planted

The truth of the planted units (`benchmarks.truth.units`) is enumerated first: `planted_truth.csv`. Then every estimator
gets the clips that it requires, through the package's own styles, scrambles, replicates and scores: 16 to 1000 videos,
or blocks of 400, 1600 and 4000 clips that cross appearance and motion; and again with noise added to every response.

    planted.csv        per estimator, clips and noise: units put into the right class, and errors of the numbers
    confusion.csv      which class the units of every true class were given
    estimates.csv      what is drawn: every unit's numbers from 200 videos, or from 1600 crossed clips
    planted.png        the same as a picture
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.truth.enumeration import crossed_responses, population_shares, share_table, true_needs_motion
from benchmarks.truth.judging import READINGS, Answers, ask, confusion, joined, judge, noisy
from benchmarks.truth.responses import Responses, collected, crossed, drawn_blocks, needed, subsets
from benchmarks.truth.units import NAMES, RECIPE, STAGES, planted_model
from static_dynamic.common.seeds import generator
from static_dynamic.estimators.base import Estimator
from static_dynamic.estimators.registry import find_estimators
from static_dynamic.interventions import STRONG

HERE = Path(__file__).parent
Array = npt.NDArray[np.float64]
CROSSED = "factorial_shares"
"""The estimator that is given blocks."""
VIDEOS, CLIPS, SHAPES = (16, 50, 100, 200, 1000), (400, 1600, 4000), ((2, 2), (4, 4))
DRAWS, CROSSED_DRAWS = 5, 10
NOISE = (0.0, 0.5, 0.8)
"""Standard deviations of the noise that is added to every response, in those of the unit. At 1 the reliability of every
unit is one half, which is the border of `needs_motion` itself, and no class could be called right."""
SHOWN = {"videos": 200, "2x2x2": 200}
"""Design → the sample of it whose numbers are drawn."""


class Sample(NamedTuple):
    """The answers of an estimator from some draws of clips.

    Attributes:
        key: Estimator, design, size of the sample, forward passes and noise.
        answers: One per draw.
    """

    key: dict[str, Any]
    answers: list[Answers]


def enumerated() -> tuple[pd.DataFrame, Array]:
    """The truth of the planted units, and their responses to all clips of the enumeration, ``(384, 24, 4, U)``."""
    model = planted_model()
    (table,) = crossed_responses(model, STAGES, RECIPE).values()
    shares = share_table("", *population_shares(table))
    return joined(shares, true_needs_motion(model, STAGES, RECIPE), NAMES), table


def with_noise(x: Array, spread: Array, level: float, *names: object) -> Array:
    """Responses ``(…, U)`` with noise of ``level`` times the ``spread`` of every unit."""
    noise: Array = generator(0, "noise", level, *names).standard_normal(x.shape)
    return x + level * spread * noise


def of_videos(
    estimators: Sequence[Estimator], there: Responses, spread: Array, sizes: Sequence[int], levels: Sequence[float]
) -> Iterator[Sample]:
    """The answers of estimators from random videos."""
    responses = {level: with_noise(there.x.astype(float), spread, level).astype(np.float32) for level in levels}
    for size in sizes:
        draw = generator(0, "videos", size)
        designs = [there.of(some) for some in subsets(there.design.videos, size, DRAWS, draw)]
        for one in estimators:
            forwards = size * len(one.cells(needed([one], STRONG, ("shuffle",))))
            for level, x in responses.items():
                key = {"estimator": one.name, "design": "videos", "sample": size, "forwards": forwards, "noise": level}
                yield Sample(key, [ask(one, design, x) for design in designs])


def of_blocks(
    estimator: Estimator, table: Array, spread: Array, sizes: Sequence[int], levels: Sequence[float]
) -> Iterator[Sample]:
    """The answers of the estimator of crossed clips from random blocks."""
    for shape in SHAPES:
        for clips in sizes:
            blocks, design = round(clips / (2 * np.prod(shape))), f"{shape[0]}x{shape[1]}x2"
            for level in levels:
                answers = []
                for number in range(CROSSED_DRAWS):
                    some = drawn_blocks(table, shape, blocks, generator(0, "blocks", *shape, clips, number))
                    dealt = crossed(with_noise(some, spread, level, *shape, clips, number))
                    answers.append(ask(estimator, dealt.design, dealt.x))
                forwards = int(2 * np.prod(shape) * blocks)
                key = {"design": design, "sample": blocks, "forwards": forwards, "noise": level}
                yield Sample({"estimator": estimator.name} | key, answers)


def tables(samples: Sequence[Sample], truth: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Their accuracy, the classes that they gave, and the numbers of every unit where they are shown."""
    right, classes, numbers = [], [], []
    truths = {level: noisy(truth, level) for level in {sample.key["noise"] for sample in samples}}
    for key, answers in samples:
        true, name = truths[key["noise"]], key["estimator"]
        right += [key | row for row in judge(name, answers, true)]
        classes += [key | row for row in confusion(name, answers, true)]
        if not key["noise"] and key["sample"] == SHOWN.get(key["design"]):
            numbers += list(shown(name, answers, true))
    return pd.DataFrame(right), pd.DataFrame(classes), pd.DataFrame(numbers)


def shown(estimator: str, answers: Sequence[Answers], truth: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The numbers and class of every unit from the first draw, and in how many draws, percent, its class is right."""
    reading, first = READINGS[estimator], answers[0]
    true_class = truth[reading.question.right].to_numpy()
    right = 100 * np.mean([one.classes == true_class for one in answers], 0)
    for quantity, column in reading.numbers.items():
        for i, unit in enumerate(truth["unit"]):
            yield {
                **{"estimator": estimator, "quantity": quantity, "unit": unit},
                **{"truth": round(truth[column][i], 3), "estimate": round(float(first.numbers[quantity][i]), 3)},
                **{"true_class": true_class[i], "class": first.classes[i], "right": round(right[i])},
            }


def run(estimators: Sequence[Estimator], store: Path, videos: Sequence[int], clips: Sequence[int]) -> None:
    """Write all tables and the picture."""
    from benchmarks.truth.picture import draw

    truth, table = enumerated()
    spread = np.sqrt(truth["variance"].to_numpy())
    styled = [one for one in estimators if one.name != CROSSED]
    there = collected(store, max(videos), needed(styled, STRONG, ("shuffle",)))
    samples = list(of_videos(styled, there, spread, videos, NOISE))
    for one in estimators:
        if one.name == CROSSED:
            samples += of_blocks(one, table, spread, clips, NOISE)
    right, classes, numbers = tables(samples, truth)
    truth.round(4).to_csv(HERE / "planted_truth.csv", index=False)
    right.to_csv(HERE / "planted.csv", index=False)
    classes.to_csv(HERE / "confusion.csv", index=False)
    numbers.to_csv(HERE / "estimates.csv", index=False)
    draw(numbers, truth, HERE / "planted.png")
    print(right.to_string(index=False))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--estimators", default=",".join(READINGS))
    options.add_argument("--videos", type=int, nargs="+", default=VIDEOS)
    options.add_argument("--clips", type=int, nargs="+", default=CLIPS)
    options.add_argument("--store", type=Path, help="keep the responses here, and reuse those that exist")
    chosen = options.parse_args()
    started = time.process_time()
    with TemporaryDirectory() as folder:
        store = chosen.store or Path(folder) / "store"
        run(find_estimators(chosen.estimators), store, chosen.videos, chosen.clips)
    print(f"{time.process_time() - started:.0f} CPU seconds")


if __name__ == "__main__":
    main()
