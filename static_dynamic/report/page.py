"""The HTML page of a result: one file, no network, fit to be sent to a colleague."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from static_dynamic.common.files import write_text
from static_dynamic.report.parts import Part
from static_dynamic.report.sections import reading, section
from static_dynamic.report.tables import time_seen
from static_dynamic.sources.left_out import by_reason


def save_page(
    parts: Sequence[Part],
    manifest: Mapping[str, Any],
    warnings: Sequence[str],
    path: Path,
    quality: pd.DataFrame | None = None,
) -> Path:
    """Write the page.

    Args:
        parts: What there is to show, the headline first.
        manifest: How it was made.
        warnings: What a reader must know.
        path: The file.
        quality: What the outputs were worth under every condition.

    Raises:
        UserError: If the folder cannot be written.
    """
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader("static_dynamic.report")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.get_template("page.html").render(
        study=manifest.get("study", {}),
        manifest=manifest,
        warnings=warnings,
        time_seen=time_seen(manifest.get("seconds_seen")),
        sections=[section(part) for part in parts],
        reading=reading(parts, manifest),
        left_out=by_reason(manifest.get("left_out", [])),
        quality=[] if quality is None else quality.round(3).to_dict("records"),
    )
    write_text(path, page)
    return path
