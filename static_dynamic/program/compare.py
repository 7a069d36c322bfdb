"""``compare``: differences between networks, over the same videos."""

from static_dynamic.common.errors import UserError
from static_dynamic.program.tables import print_table, terminal


def compare(
    first: str, /, *others: str, stages: str | None = None, other_clips: bool = False, out: str | None = None
) -> None:
    """Compare every further run with the first: differences of layers and units, paired over videos.

    For example:
        static-dynamic compare runs/random runs/trained --out differences/
        static-dynamic compare runs/i3d runs/timesformer --stages stage5=block11

    Args:
        first: Folder of the run that the others are compared with, or its address on an object store (s3://bucket/run).
        others: Folders of the other runs, or their addresses.
        stages: Stages to pair, e.g. stage5=block11. By default those of the same name.
        other_clips: Also compare runs that saw other clips.
        out: Folder for layers.csv, units.csv and the page report.html.
    """
    import pandas as pd

    from static_dynamic.common.files import write_text
    from static_dynamic.common.places import local
    from static_dynamic.common.runs import alone_in
    from static_dynamic.common.tables import as_csv
    from static_dynamic.comparison import compare as compare_runs
    from static_dynamic.comparison import save_comparisons

    if not others:
        raise UserError(f"A comparison requires two runs or more. Got {first}.")
    console = terminal()
    layers, units, comparisons = [], [], []
    for other in others:
        found = compare_runs(first, other, stages=_stages(stages), other_clips=other_clips)
        title = f"{found.names[1]} less {found.names[0]}"
        heading = f"{title}{'' if found.paired else ' (not paired)'}"
        print_table(console, heading, list(found.layers.columns), found.layers.round(2).map(str).to_numpy().tolist())
        for note in found.notes:
            print(f"Note: {note}")
        comparisons.append(found)
        layers.append(found.layers.assign(comparison=title))
        units.append(found.units.assign(comparison=title))
    if out:
        folder = local(out)
        with alone_in(folder):
            for name, tables in (("layers", layers), ("units", units)):
                write_text(folder / f"{name}.csv", as_csv(pd.concat(tables, ignore_index=True)))
            save_comparisons(comparisons, folder / "report.html")
        print(f"Differences of layers and units, and report.html: {out.rstrip('/')}/")


def _stages(text: str | None) -> dict[str, str] | None:
    """``"a=b,c=d"`` → ``{"a": "b", "c": "d"}``."""
    if text is None:
        return None
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(here and there for here, _, there in pairs):
        raise UserError(f"--stages must be pairs such as stage5=block11,stage4=block8. Got {text!r}.")
    return {here.strip(): there.strip() for here, _, there in pairs}
