"""The HTML page of a result: one file, no network, fit to be sent to a colleague."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from static_dynamic.common.files import write_text
from static_dynamic.report.plots import plot_layers, plot_units, svg
from static_dynamic.report.tables import class_shares, in_order, number, time_seen, with_interval
from static_dynamic.sources.left_out import by_reason


def save_page(
    layers: pd.DataFrame,
    units: pd.DataFrame,
    manifest: Mapping[str, Any],
    warnings: Sequence[str],
    path: Path,
    quality: pd.DataFrame | None = None,
) -> Path:
    """Write the page; ``quality`` is what the outputs were worth under every condition.

    Raises:
        UserError: If the folder cannot be written.
    """
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader("static_dynamic.report")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.globals |= {"number": number, "with_interval": with_interval}
    page = environment.get_template("page.html").render(
        study=manifest.get("study", {}),
        manifest=manifest,
        warnings=warnings,
        time_seen=time_seen(manifest.get("seconds_seen")),
        factors=in_order(layers, "factor"),
        stages=[(stage, rows.to_dict("records")) for stage, rows in layers.groupby("stage", sort=False)],
        left_out=by_reason(manifest.get("left_out", [])),
        classes=class_shares(units).round(1).reset_index().to_dict("records"),
        quality=[] if quality is None else quality.round(3).to_dict("records"),
        layers_svg=svg(plot_layers(layers)),
        units_svg=svg(plot_units(units)),
    )
    write_text(path, page)
    return path
