"""``report``: rewrite the page and the plots of a run."""

from static_dynamic.common.plugins import Plugins, import_plugins


def report(run: str, /, *, out: str | None = None, plugin: Plugins = ()) -> None:
    """Rewrite the page and the plots of a run from the files in its folder.

    Args:
        run: Folder of a run, or its address on an object store (s3://bucket/run).
        out: Folder for the page and the plots. By default that of the run.
        plugin: Your module to import first, for your own plots; may be repeated.
    """
    import_plugins(plugin)
    from static_dynamic.common.errors import with_addresses
    from static_dynamic.common.places import local
    from static_dynamic.common.runs import alone_in
    from static_dynamic.results import load

    result, folder = load(run), local(out or run)
    with alone_in(folder):
        result.report(folder / "report.html")
        result.plot(folder)
    print(with_addresses(f"Plots and report.html: {folder}/"))
