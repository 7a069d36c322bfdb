"""Videos made on the spot, appearance and motion independent: no download, and the truth is known."""

from dataclasses import fields

from static_dynamic.common.errors import UserError
from static_dynamic.common.seeds import generator
from static_dynamic.media.clip import Clip, Recipe, Video
from static_dynamic.media.reading import sampled
from static_dynamic.sources.base import known, only_as_filmed
from static_dynamic.sources.scene import LEVELS, Appearance, Motion, render

__all__ = ["LEVELS", "Appearance", "Motion", "SyntheticVideos", "factors", "render"]


class SyntheticVideos:
    """A textured shape that moves before a textured background; every factor is drawn on its own.

    ``Video.label`` is the pattern of motion, ``Video.details`` holds the level of each of ``LEVELS``. Frame
    ``t`` of a video depends on nothing but ``(seed, index, t)``, and only the frames asked for are rendered.

    Args:
        count: Number of videos.
        seed: Seed of the factors.
        size: Side of the square frames, pixels.
        frames: Length of every video.

    Raises:
        UserError: If a number is too small.
    """

    name = "SyntheticVideos"
    styles: tuple[str, ...] = ()

    def __init__(self, count: int = 16, seed: int = 0, size: int = 128, frames: int = 64) -> None:
        given = {"count": (count, 1), "seed": (seed, 0), "size": (size, 1), "frames": (frames, 2)}
        for option, (value, least) in given.items():
            if value < least:
                raise UserError(f"The '{option}' of synthetic videos must be at least {least}. Got {value}.")
        self.count, self.seed, self.size, self.frames = count, seed, size, frames
        self._factors = {f"synthetic_{index:04d}": _draw(seed, index) for index in range(count)}
        self.videos = [
            Video(name, str(LEVELS["pattern"][levels["pattern"]]), levels) for name, levels in self._factors.items()
        ]

    def read(self, video: Video, recipe: Recipe, style: str | None = None) -> Clip:
        """The clip in the middle of one video.

        Returns:
            Frames ``(T, size, size, 3)`` uint8 RGB.

        Raises:
            BadClip: If the recipe's rate meets the length so that every frame sampled is the same one.
            UserError: If the video is not of this source, or a style other than ``"original"`` is asked for.
        """
        only_as_filmed(style, self.name)
        appearance, motion = factors(known(self._factors, video, self.name))
        sample = sampled(recipe, self.frames, video.name)
        return Clip(render(appearance, motion, sample.numbers, self.size), sample, video.name, self.frames)

    def describe(self) -> dict[str, object]:
        """The four numbers that say everything."""
        return {
            "kind": self.name,
            "count": self.count,
            "drawn": self.seed,  # it makes the videos; a ``seed`` draws among them
            "size": self.size,
            "frames": self.frames,
        }


def factors(levels: dict[str, int]) -> tuple[Appearance, Motion]:
    """The factors that ``Video.details`` stands for."""
    values = {factor: LEVELS[factor][level] for factor, level in levels.items()}
    appearance, motion = ({field.name: values[field.name] for field in fields(kind)} for kind in (Appearance, Motion))
    return Appearance(**appearance), Motion(**motion)  # type: ignore[arg-type]


def _draw(seed: int, index: int) -> dict[str, int]:
    draw = generator(seed, "factors", index)
    return {factor: int(draw.integers(len(levels))) for factor, levels in LEVELS.items()}
