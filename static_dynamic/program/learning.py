"""Learn a style in steps, with intermediate checkpoints and previews."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from static_dynamic.common.errors import UserError
from static_dynamic.common.files import clear_partials, make_folder, remove, write_atomically
from static_dynamic.common.locks import locked
from static_dynamic.common.progress import progress_bar
from static_dynamic.common.runs import START_OVER
from static_dynamic.media.clip import Frames
from static_dynamic.media.reading import reduced
from static_dynamic.stylize.learning.learn import Learner
from static_dynamic.stylize.networks.learned import paint, write_style

PREVIEW_SIDE = 270
"""Short side of the frames on a preview, pixels."""


@dataclass(frozen=True)
class Plan:
    """How long a style is learned, and what is written meanwhile.

    Attributes:
        out: The style.
        steps: Steps in total.
        every: Steps between checkpoints and previews.
        preview: Folder for pictures of frames that are not learned from.
    """

    out: Path
    steps: int
    every: int
    preview: Path | None

    @property
    def checkpoint(self) -> Path:
        """The file from which a run resumes."""
        return self.out.with_suffix(".training.pt")


def learn_style(learner: Learner, plan: Plan, resume: bool, frames: Sequence[Frames]) -> None:
    """Learn from the start or from a checkpoint; ``frames`` are drawn as previews."""
    make_folder(plan.out.parent)
    with locked(plan.out.with_name(f".{plan.out.name}.lock"), plan.out):
        clear_partials([plan.out.parent])
        if resume:
            _take_up(learner, plan.out, plan.checkpoint)
        if plan.preview:
            make_folder(plan.preview)
        with _kept(learner, plan):
            _learn(learner, plan, frames)


@contextmanager
def _kept(learner: Learner, plan: Plan) -> Iterator[None]:
    """Write a checkpoint at the start, so that a place that cannot be written is noticed before the first step."""
    began = learner.step
    learner.save(plan.checkpoint)
    try:
        yield
    except BaseException:
        if began == 0 and learner.step < plan.every and not plan.out.exists():  # it is empty
            remove(plan.checkpoint)
        raise


def _learn(learner: Learner, plan: Plan, frames: Sequence[Frames]) -> None:
    """Run all remaining steps."""

    def keep(losses: Mapping[str, float]) -> None:
        if plan.preview:
            _draw_preview(learner, frames, plan.preview / f"step_{learner.step:06d}.png")
        write_style(plan.out, learner.generator, learner.facts)
        learner.save(plan.checkpoint)  # last: what a run that is stopped has not written is written by the next one
        print(f"step {learner.step}:", *(f"{name} {value:.3f}" for name, value in losses.items()), flush=True)

    with progress_bar("steps") as show:
        while learner.step < plan.steps:
            losses = learner.advance()
            show(learner.step, plan.steps, f"image {losses['image']:.3f}")
            if learner.step % plan.every == 0 or learner.step == plan.steps:
                keep(losses)
    write_style(plan.out, learner.generator, learner.facts)  # once more: all steps may have been done before


def _take_up(learner: Learner, out: Path, checkpoint: Path) -> None:
    """Resume from the checkpoint; refuse to overwrite a style that cannot be resumed."""
    if checkpoint.exists():
        learner.resume(checkpoint)
    elif out.exists():
        raise UserError(
            f"{out} exists, but {checkpoint.name} to resume from is missing. Choose another --out, or {START_OVER}."
        )


def _draw_preview(learner: Learner, frames: Sequence[Frames], path: Path) -> None:
    """Draw unseen frames, and the painted ones below them."""
    learner.generator.eval()
    rows = [frames, [paint(learner.generator, frame) for frame in frames]]
    sheet = np.concatenate([np.concatenate([reduced(image, PREVIEW_SIDE) for image in row], axis=1) for row in rows])
    write_atomically(path, lambda partial: Image.fromarray(sheet).save(partial, "PNG"))
