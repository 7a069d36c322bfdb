"""``report``: rewrite the page and the plots of a run."""

from pathlib import Path

from static_dynamic.common.plugins import Plugins, import_plugins


def report(run: Path, /, *, out: Path | None = None, plugin: Plugins = ()) -> None:
    """Rewrite the page and the plots of a run from the files in its folder.

    Args:
        run: Folder of a run.
        out: Folder for the page and the plots. By default that of the run.
        plugin: Your module to import first, for your own plots; may be repeated.
    """
    import_plugins(plugin)
    from static_dynamic.common.runs import alone_in
    from static_dynamic.results import load

    result, folder = load(run), out or run
    with alone_in(folder):
        result.report(folder / "report.html")
        result.plot(folder)
    print(f"Plots and report.html: {folder}/")
