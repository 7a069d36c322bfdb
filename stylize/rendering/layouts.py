"""Where rendered clips go: the published layouts, as :mod:`static_dynamic.sources` reads them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from static_dynamic.common.errors import UserError
from static_dynamic.media.clip import ORIGINAL
from static_dynamic.sources.stylized_layouts import LAYOUTS as PUBLISHED
from static_dynamic.sources.stylized_layouts import README_NAMING, FrameNaming
from static_dynamic.stylize.rendering.films import Film
from static_dynamic.stylize.rendering.looks import AS_FILMED, label

VIDEO = "mp4"
"""The format with one file for a clip."""


@dataclass(frozen=True)
class Places:
    """The layout of a stylized data set on disk.

    Attributes:
        folder: Folder of a clip below the data set; ``{style}`` and ``{video}`` are filled in.
        formats: Allowed formats of clips.
        naming: How frames are named; ``None`` keeps the names of the original's.
        numbered: Styles are numbered from 1 in the order in which they are given, and the originals are style 0;
            otherwise styles go by their names.
        flat: Whether folders of a video are ignored, so that its name is its last part.
        prefix: Beginning of the folder of a video, which is not part of the id.
        annotations: Files that its readers require in addition to the frames, and that are not written.
        fps: Frames per second in which the annotations count, if they do.
    """

    folder: str
    formats: Sequence[str] = ("jpg",)
    naming: FrameNaming | None = README_NAMING
    numbered: bool = True
    flat: bool = True
    prefix: str = ""
    annotations: tuple[str, ...] = ()
    fps: float | None = None

    def style_ids(self, looks: Iterable[str]) -> dict[str, str]:
        """Style → its name on disk."""
        if not self.numbered:
            return {look: label(look) for look in looks}
        painted = [look for look in looks if look != ORIGINAL]
        return {look: str(painted.index(look) + 1) if look in painted else AS_FILMED[0] for look in looks}

    def places(self, films: Iterable[Film], style_id: str, kind: str) -> dict[str, Path]:
        """Name of a film → path of its clip, relative to the data set: a folder, or a file if it is encoded.

        Raises:
            UserError: If two films would have the same path, or one lies in the other's.
        """
        taken: dict[PurePosixPath, Film] = {}
        for film in films:
            place = PurePosixPath(self.folder.format(style=style_id, video=self.video_id(film)))
            if place in taken:
                raise _one_place(taken[place], film)
            taken[place] = film
        for place, film in taken.items():
            for parent in place.parents:
                if parent in taken:
                    raise _one_place(taken[parent], film)
        return {film.name: Path(f"{place}.{VIDEO}" if kind == VIDEO else place) for place, film in taken.items()}

    def video_id(self, film: Film) -> str:
        """The name of a film on disk."""
        name = PurePosixPath(film.name).name if self.flat else film.name
        return name.removeprefix(self.prefix)

    def frame_name(self, film: Film, number: int, kind: str) -> str:
        """The file of the 0-based frame ``number``."""
        stem = film.stem(number) if self.naming is None else self.naming.stem(number)
        return f"{stem}.{kind}"


def _one_place(first: Film, second: Film) -> UserError:
    return UserError(
        f"Two videos would be rendered to one place: {first.source} and {second.source}. Rename one of them."
    )


def _published(name: str) -> Places:
    layout = PUBLISHED[name]
    return Places(
        folder=f"style_{{style}}/{layout.folder.format('{video}')}",
        naming=layout.naming,
        prefix=layout.folder.partition("{")[0],
        annotations=(layout.annotations[0].format(split=layout.split),),
        fps=layout.fps,
    )


LAYOUTS: Mapping[str, Places] = {
    "folders": Places("style_{style}/{video}", formats=("jpg", "png", VIDEO), flat=False),
    **{name: _published(name) for name in PUBLISHED},
    "DAVIS": Places("JPEGImages/{style}/{video}", naming=None, numbered=False, flat=False),
}
