"""The HTML page of a result: one file, no network, fit to be sent to a colleague."""

from pathlib import Path
from typing import TYPE_CHECKING

from static_dynamic.files import write_text
from static_dynamic.report.plots import plot_layers, plot_units, svg

if TYPE_CHECKING:
    from static_dynamic.results import Result


def save_page(result: "Result", path: Path) -> Path:
    """Write the page.

    Raises:
        UserError: If the folder cannot be written.
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("static_dynamic.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template("page.html").render(
        result=result,
        study=result.manifest.get("study", {}),
        manifest=result.manifest,
        stages=[(stage, rows.to_dict("records")) for stage, rows in result.layers.groupby("stage", sort=False)],
        classes=result.classes().round(1).reset_index().to_dict("records"),
        layers_svg=svg(plot_layers(result)),
        units_svg=svg(plot_units(result)),
    )
    write_text(path, page)
    return path
