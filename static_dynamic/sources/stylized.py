"""Restyled versions of a data set on disk, in the three published layouts."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from static_dynamic.common.errors import UserError, one_line, unknown
from static_dynamic.common.files import as_path, stamp
from static_dynamic.common.seeds import generator
from static_dynamic.media.clip import ORIGINAL, Clip, Recipe, Video
from static_dynamic.media.images import read_images
from static_dynamic.media.reading import sampled
from static_dynamic.sources.base import known
from static_dynamic.sources.left_out import summary
from static_dynamic.sources.stylized_layouts import LAYOUTS, Entry

T = TypeVar("T")

ORIGINAL_FOLDERS = ("style_0", "original", "normal")


class _LeftOutError(Exception):
    """A rule of the data set leaves this video out."""


class Stylized:
    """A published stylized data set: ``root/style_<k>/<video>/<frame>`` next to an annotation file.

    Frames are images of any supported kind; their names and numbering are detected in every style separately.
    Three things differ from the published loaders, on purpose. A clip starts at the same frame in every style (drawn
    per video from the seed and the video's name; frame 0 is a start like any other); frames are counted in all styles,
    not in the first; and Diving48 starts at its ``start_frame``. A video that is shorter than a clip loops from its own
    start. Frames keep their size, since the published transform resizes in float.

    Args:
        root: The folder with the annotation file and the ``style_<k>`` folders.
        dataset: ``"StylizedActivityNet"``, ``"ssv2"`` or ``"Diving48"``.
        styles: The ``k`` of the style folders to read.
        split: Split of the annotations; ``None`` is the one the published code measures on.
        seed: Seed of the starts.
        use_normal_app: Require the original videos too (``style_0``, ``original`` or ``normal``).
        limit: Stop after this many usable videos; every video left out before that is counted and named.
        annotations: The annotation file; ``None`` searches for the published names in ``root``.

    Attributes:
        left_out: ``(name, reason)`` of every video that a rule leaves out.

    Raises:
        UserError: If the data set is unknown, a folder or the annotation file is missing, an annotation lacks
            a field or has an invalid value, a video's id leads out of the folder, or no video is left.
    """

    name = "Stylized"

    def __init__(
        self,
        root: str | Path,
        dataset: str,
        styles: Sequence[str | int] = ("1", "2", "3", "4"),
        split: str | None = None,
        seed: int = 1,
        use_normal_app: bool = False,
        limit: int | None = None,
        annotations: str | Path | None = None,
    ) -> None:
        if dataset not in LAYOUTS:
            raise unknown("data set", dataset, LAYOUTS)
        self.root, self.dataset, self.seed = as_path(root), dataset, seed
        self.layout = LAYOUTS[dataset]
        self.split = split or self.layout.split
        self.styles = tuple(str(style) for style in styles)
        self._folders = style_folders(self.root, self.styles, use_normal_app)
        self._counted = (*self.styles, ORIGINAL) if use_normal_app else self.styles
        self.original = use_normal_app
        self._naming = {style: self.layout.naming_in(folder) for style, folder in self._folders.items()}
        self._annotations = None if annotations is None else as_path(annotations)

        self.left_out: list[tuple[str, str]] = []
        self._spans: dict[str, range] = {}
        entries = self.layout.read(self.root, self.split, self._annotations)
        self.videos = list(islice(self._usable(entries), limit))
        if not self.videos:
            raise self._nothing_left()

    def read(self, video: Video, recipe: Recipe, style: str | None = None) -> Clip:
        """The clip of one video in one style; the same frame numbers in every style.

        Returns:
            Frames ``(T, H, W, 3)`` uint8 RGB at the size they have on disk.

        Raises:
            BadClip: If a frame is missing, cannot be read or differs in size.
            UserError: If the style is not one of ``styles``, or the original videos are missing.
        """
        span = known(self._spans, video, self.name)
        folder = in_style(self._folders, style, self.root) / self.layout.folder.format(video.name)
        naming, start = in_style(self._naming, style, self.root), self._start(video.name, span, recipe)
        sample = sampled(recipe, span, folder, start, self.layout.fps)
        paths = (naming.path(folder, number) for number in sample.numbers)
        return Clip(read_images(paths), sample, one_line(folder), len(span), self.layout.fps)

    def stamp(self, video: Video) -> str:
        """Its segment, and the stamp of its files in all styles, see `static_dynamic.common.files.stamp`."""
        span = known(self._spans, video, self.name)
        files = stamp(*(folder / self.layout.folder.format(video.name) for folder in self._folders.values()))
        return f"frames {span.start} to {span.stop}; {files}"

    def describe(self) -> dict[str, object]:
        """Everything that decides which frames are read."""
        return {
            "kind": self.name,
            "root": one_line(self.root),
            "dataset": self.dataset,
            "split": self.split,
            "styles": list(self.styles),
            "original": self._folders[ORIGINAL].name if ORIGINAL in self._folders else None,
            "annotations": None if self._annotations is None else str(self._annotations),
            "frames": {
                style: f"{self.layout.folder.format('<video>')}/{naming.stem(0)}"
                for style, naming in self._naming.items()
            },
            "clip": "drawn once per video" if self.layout.anywhere else "start of the first segment",
            "seed": self.seed,
            "videos": len(self.videos),
            "left_out": len(self.left_out),
        }

    def _start(self, name: str, span: range, recipe: Recipe) -> int:
        spare = len(span) - recipe.covered(self.layout.fps)
        if not self.layout.anywhere or spare <= 0:
            return span.start
        draw = generator(self.seed, "start", name)
        return span.start + int(draw.integers(spare + 1))

    def _usable(self, entries: Iterator[Entry]) -> Iterator[Video]:
        for entry in entries:
            try:
                span = self._spans[entry.name] = self._span(entry)
            except _LeftOutError as reason:
                self.left_out.append((entry.name, str(reason)))
            else:
                yield Video(entry.name, entry.label, {"first": span.start, "frames": len(span)})

    def _span(self, entry: Entry) -> range:
        """The first annotated segment, unless a rule of the data set leaves the video out."""
        if entry.name in self._spans:
            raise _LeftOutError("annotated more than once")
        if not entry.spans:
            raise _LeftOutError("no annotated segment")
        for span in entry.spans:
            if span.start < 0:
                raise _LeftOutError(f"a segment that begins before its video (frame {span.start})")
            if span.stop < span.start:
                raise _LeftOutError(f"a segment that ends before it begins (frames {span.start} to {span.stop})")
        announced = [] if entry.frames is None else [entry.frames]
        frames = min(announced + [self._count(entry.name, style) for style in self._counted])
        if frames < self.layout.shortest_video:
            raise _LeftOutError(f"fewer than {self.layout.shortest_video} frames ({frames})")
        spans = [range(span.start, min(span.stop, frames)) for span in entry.spans]
        shortest = min(map(len, spans))
        if shortest < self.layout.shortest_span:
            raise _LeftOutError(f"a segment of fewer than {self.layout.shortest_span} frames ({shortest})")
        return spans[0]

    def _count(self, name: str, style: str) -> int:
        """Frames of a video in one style, up to the last."""
        folder = in_style(self._folders, style, self.root) / self.layout.folder.format(name)
        if not folder.is_dir():
            raise _LeftOutError(f"no folder in style {style}")
        return max(in_style(self._naming, style, self.root).numbers(folder), default=-1) + 1

    def _nothing_left(self) -> UserError:
        if not self.left_out:
            return UserError(f"The annotations of {self.dataset} in {self.root} do not name any video.")
        return UserError(f"No video of {self.dataset} in {self.root} can be used. {summary(self.left_out, used=0)}")


def in_style(by_style: Mapping[str, T], style: str | None, root: Path) -> T:
    """The value for a style of the data at ``root``; ``None`` is the original videos.

    Raises:
        UserError: If the style is unknown.
    """
    style = ORIGINAL if style is None else style
    if style in by_style:
        return by_style[style]
    if style == ORIGINAL:
        raise _no_original(root)
    raise unknown("style", style, by_style, where=str(root))


def styles_in(root: Path) -> list[str]:
    """The ``k`` of every folder ``style_<k>``, sorted."""
    return sorted(path.name.removeprefix("style_") for path in root.glob("style_*") if path.is_dir())


def style_folders(root: Path, styles: Sequence[str], as_filmed: bool) -> dict[str, Path]:
    """The folder of every requested style, and of the original videos if they exist.

    Raises:
        UserError: If one is missing.
    """
    on_disk = styles_in(root)
    if not on_disk:
        raise UserError(f"No stylized data in {root}. Searched for the folders style_<k>.")
    if not styles and not as_filmed:
        raise UserError(f"At least one style is required. Got none. Available in {root}: {', '.join(on_disk)}.")
    for style in styles:
        if style not in on_disk:
            raise unknown("style", style, on_disk, where=f"{root / 'style_<k>'}")
    folders = {style: root / f"style_{style}" for style in styles}
    original = next((root / name for name in ORIGINAL_FOLDERS if (root / name).is_dir()), None)
    if original is None and as_filmed:
        raise _no_original(root)
    return folders | ({ORIGINAL: original} if original else {})


def _no_original(root: Path) -> UserError:
    return UserError(
        f"No original videos in {root}: `use_normal_app=True`, an audit and built-in styles require them. "
        f"Searched for the folders {', '.join(ORIGINAL_FOLDERS)}."
    )
