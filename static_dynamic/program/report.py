"""``report``: the page and the plots of a run again."""

from pathlib import Path

from static_dynamic.common.plugins import Plugins, import_plugins


def report(run: Path, /, *, out: Path | None = None, plugin: Plugins = ()) -> None:
    """Write the page and the plots of a run again, from what lies in its folder.

    Args:
        run: Folder of a run.
        out: Folder for the page and the plots. By default that of the run.
        plugin: Your module to import first, for plots of yours; repeatable.
    """
    import_plugins(plugin)
    from static_dynamic.common.files import make_folder
    from static_dynamic.results import load

    result, folder = load(run), out or run
    make_folder(folder)
    result.report(folder / "report.html")
    result.plot(folder)
    print(f"Plots and report.html: {folder}/")
