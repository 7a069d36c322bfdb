"""``score``: other scores from the activations of a run, without the model and the videos."""

from typing import Annotated, Any, Literal

from cyclopts import Parameter

from static_dynamic.common.commands import as_flags
from static_dynamic.common.plugins import Plugins, import_plugins


def score(
    run: str,
    /,
    *,
    estimators: Annotated[str | None, Parameter(show_default=lambda _: "needs_motion,released")] = None,
    interval: Literal["videos", "styles"] | None = None,
    replicates: int | None = None,
    confidence: float | None = None,
    plugin: Plugins = (),
    out: str | None = None,
) -> None:
    """Compute other scores from the activations of a run, without the model and the videos.

    A run holds its activations in RUN/store. Every estimator can be computed whose clips were shown. Without
    --out, the tables, pictures and page of the run are replaced.

    For example:
        static-dynamic score runs/i3d --estimators needs_motion,needs_order,released

    Args:
        run: Folder of a run, or of a store, or its address on an object store (s3://bucket/run).
        estimators: Names, separated by commas (`static-dynamic estimators`).
        interval: Choice that intervals cover. By default as in the run.
        replicates: Bootstrap replicates. By default as in the run.
        confidence: Confidence of the intervals. By default as in the run.
        plugin: Your module to import first, which registers estimators; may be repeated.
        out: Folder for the tables, pictures and the page. By default that of the run.
    """
    from dataclasses import replace

    from static_dynamic.common.errors import with_addresses
    from static_dynamic.common.places import local
    from static_dynamic.common.runs import alone_in
    from static_dynamic.program.showing import print_parts
    from static_dynamic.program.tables import terminal
    from static_dynamic.reopening import open_run
    from static_dynamic.results import MEASUREMENT

    import_plugins(plugin)
    opened = open_run(run)
    folder = local(out) if out else opened.folder
    MEASUREMENT.read(folder)  # a folder of another kind of run is refused first
    asked: dict[str, Any] = {"interval": interval, "replicates": replicates, "confidence": confidence}
    scoring = replace(opened.scoring, **{name: value for name, value in asked.items() if value is not None})
    with alone_in(folder):
        result = opened.score(estimators, scoring)
        result.save(folder)
        result.report(folder / "report.html")
        result.plot(folder)
    for part in result.parts:
        print(f"{part.name}: {part.described['summary']}")
    print_parts(terminal(), result)
    for warning in result.warnings:
        print(f"Note: {as_flags(warning)}")
    print(with_addresses(f"Tables, pictures and report.html: {folder}/"))
