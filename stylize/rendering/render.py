"""From videos to a stylized data set: every video in every style, in several processes; stopped runs are resumed."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from static_dynamic.common.compute import pick_device
from static_dynamic.common.errors import BadClip, UserError, one_line
from static_dynamic.common.processes import in_processes
from static_dynamic.common.progress import OnDone, untold
from static_dynamic.common.runs import alone_in
from static_dynamic.media.reading import bad_clip
from static_dynamic.media.writing import Write, image_folder, video_file
from static_dynamic.stylize.rendering.films import Film, VideoFilm, find_films, folder_of_films
from static_dynamic.stylize.rendering.layouts import VIDEO
from static_dynamic.stylize.rendering.looks import count_film, fit_look
from static_dynamic.stylize.rendering.reel import Reel
from static_dynamic.stylize.rendering.settings import Note, Settings, claim, data_set


@dataclass(frozen=True)
class Job:
    """One film in some styles.

    Attributes:
        film: The film.
        clips: Style → path of the clip.
        settings: Settings of the data set.
    """

    film: Film
    clips: dict[str, Path]
    settings: Settings


@dataclass
class RenderReport:
    """The result of `render`.

    Attributes:
        written: Clips (a video in a style) that were rendered.
        kept: Clips that existed already.
        problems: Name of an unreadable video → why.
    """

    written: int = 0
    kept: int = 0
    problems: dict[str, str] = field(default_factory=dict)


def render(
    videos: str | Path,
    out: str | Path,
    settings: Settings,
    workers: int = 2,
    on_clips: OnDone = untold,
) -> RenderReport:
    """Render every video in every style, or resume an earlier run.

    A clip is whole or absent, however a run ends, and its bytes depend on the video and the settings alone. Videos are
    played: once for every statistic that a style is fitted to, and once to paint all styles. Only short ones are kept
    in memory.

    Args:
        videos: Video files, frame folders, or a data set in the layout of DAVIS.
        out: Folder of the data set.
        settings: Settings of the data set.
        workers: Processes; with 0, this one.
        on_clips: Called with the number of clips that are done, of all, and the name of the video.

    Raises:
        UserError: If two videos would have the same path, ``out`` holds another run or is among the videos, a file
            cannot be written, or none of the videos can be read.
    """
    from static_dynamic.measurement import versions
    from static_dynamic.media.decoding import versions as decoder_versions

    if workers < 0:
        raise UserError(f"The 'workers' must be 0 or more. Got {workers}.")
    source, target = Path(videos), Path(out)
    films = find_films(source, settings.short_side, settings.fps)
    _refuse_among(source, target)
    jobs = _jobs(films, target, settings)
    places = [place for job in jobs for place in job.clips.values()]
    kind = data_set(place.relative_to(target).parts[0] for place in places)
    with alone_in(target, kind, {place.parent for place in places}):
        note = Note(
            source=one_line(source.resolve()),
            settings=settings.describe(),
            videos={film.name: (one_line(film.source.absolute()), film.stamp) for film in films},
            versions={**versions(), **decoder_versions(), "device": str(pick_device("auto"))},
        )
        claim(target, kind, note, lambda name: _has_clips(target, settings, name))
        report = _render(jobs, workers, on_clips)
        note.model_copy(update={"problems": report.problems, "finished": True}).write(target)
    if not report.written + report.kept:
        raise UserError(f"None of the videos can be read. The first: {next(iter(report.problems.values()))}")
    return report


def paint_film(job: Job) -> str | None:
    """Paint one film in all styles of a job, and report why if it cannot be read."""
    film = Reel(job.film)
    try:
        with bad_clip(f"{job.film.source}: this video cannot be rendered"), ExitStack() as clips:
            census = count_film(film)
            paints = [fit_look(look, census, job.settings.seed) for look in job.clips]
            writers = [clips.enter_context(_writer(job, place)) for place in job.clips.values()]
            for frame in film:
                for paint, write in zip(paints, writers, strict=True):
                    write(paint(frame))
    except BadClip as problem:
        return str(problem)
    return None


def _has_clips(target: Path, settings: Settings, name: str) -> bool:
    """Whether a clip of a video of this name exists, in any style."""
    film = VideoFilm(name, Path(name))
    places = (settings.layout.places([film], style_id, settings.kind) for style_id in settings.style_ids.values())
    return any((target / place).exists() for by_name in places for place in by_name.values())


def _writer(job: Job, place: Path) -> AbstractContextManager[Write]:
    film, settings = job.film, job.settings
    if settings.kind == VIDEO:
        return video_file(place, film.rate)
    return image_folder(place, lambda number: settings.layout.frame_name(film, number, settings.kind))


def _jobs(films: Sequence[Film], target: Path, settings: Settings) -> list[Job]:
    places = {
        look: settings.layout.places(films, style_id, settings.kind) for look, style_id in settings.style_ids.items()
    }
    return [
        Job(film, {look: target / by_name[film.name] for look, by_name in places.items()}, settings) for film in films
    ]


def _render(jobs: Sequence[Job], workers: int, on_clips: OnDone) -> RenderReport:
    total = sum(len(job.clips) for job in jobs)
    todo = [replace(job, clips={look: at for look, at in job.clips.items() if not at.exists()}) for job in jobs]
    done = total - sum(len(job.clips) for job in todo)
    report = RenderReport(kept=done)
    on_clips(done, total, "")
    for job, problem in in_processes(paint_film, list(spread(todo, workers)), workers):
        done += len(job.clips)
        if problem is None:
            report.written += len(job.clips)
        else:
            report.problems[job.film.name] = problem
        on_clips(done, total, job.film.name)
    return report


def spread(jobs: Sequence[Job], workers: int) -> Iterator[Job]:
    """Jobs that keep every worker busy: styles share the decoding of a film, unless there are too few films."""
    jobs = [job for job in jobs if job.clips]
    parts = -(-workers // len(jobs)) if workers and jobs else 1
    for job in jobs:
        clips = list(job.clips.items())
        yield from (replace(job, clips=dict(clips[part::parts])) for part in range(min(parts, len(clips))))


def _refuse_among(source: Path, target: Path) -> None:
    """Refuse an output that a resumed run would take for videos."""
    if source.is_dir() and target.resolve().is_relative_to(folder_of_films(source).resolve()):
        raise UserError(f"The output must not be among the videos. Got {target} for the videos in {source}.")
