"""The HTML page of a result: one file that needs no network and can be sent to a colleague."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from static_dynamic.common.files import write_bytes
from static_dynamic.common.tables import rows_of
from static_dynamic.report.answer import answer
from static_dynamic.report.atlas import atlas
from static_dynamic.report.made import cost, made
from static_dynamic.report.parts import Part
from static_dynamic.report.sections import reading, section
from static_dynamic.report.seen import OLD, counted, seen, takes_flow
from static_dynamic.report.tables import time_seen
from static_dynamic.sources.left_out import by_reason

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

Manifest = Mapping[str, Any]

LISTED = 1000
"""Largest number of videos that are listed."""


def save_page(
    parts: Sequence[Part],
    manifest: Manifest,
    warnings: Sequence[str],
    path: Path,
    *,
    quality: pd.DataFrame | None = None,
    pictures: pd.DataFrame | None = None,
    top_clips: pd.DataFrame | None = None,
) -> Path:
    """Write the page.

    Args:
        parts: The parts to show, the headline first.
        manifest: How it was made.
        warnings: Notes for the reader.
        path: The file; its folder names the run.
        quality: Quality of the outputs under every condition.
        pictures: Frames that the model was shown, see `static_dynamic.report.strips`.
        top_clips: The clips to which units respond most.

    Raises:
        UserError: If the folder cannot be written.
    """
    shown = [part for part in parts if not part.layer.empty]
    sections = [section(part) for part in shown]
    levels = {each["part"].name: each["thresholds"] for each in sections if each["thresholds"]}
    records = manifest.get("videos", [])
    content = {
        "run": path.resolve().parent.name,
        "model": str(manifest.get("study", {}).get("model") or "A model"),
        "study": manifest.get("study", {}),
        "manifest": manifest,
        "warnings": warnings,
        "answer": answer(shown),
        "seen_in_all": counted(manifest, max((int(part.layer["videos"].max()) for part in shown), default=0)),
        "time_seen": time_seen(manifest.get("seconds_seen")),
        "sections": sections,
        "titles": {part.name: part.title for part in shown},
        "reading": reading(shown, manifest),
        "flow": takes_flow(manifest),
        "samples": "sequences" if takes_flow(manifest) else "videos",
        "seen": seen(pictures, manifest),
        "not_seen": OLD,
        "left_out": by_reason(manifest.get("left_out", [])),
        "skipped": [record for record in records if record.get("problem")],
        "most": LISTED,
        "quality": [] if quality is None else rows_of(quality.round(3)),
        "cost": cost(manifest),
        "made": made(manifest),
        "data": embedded({"atlas": atlas(shown, top_clips), "thresholds": levels}),
    }
    return save_html("page.html", content, path, ["script.js", "atlas.js"])


def save_html(template: str, content: Mapping[str, Any], path: Path, scripts: Sequence[str]) -> Path:
    """Fill a template of this package, and write it.

    Raises:
        UserError: If the folder cannot be written.
    """
    texts = [_part(name) for name in scripts]
    page = (
        _environment()
        .get_template(template)
        .render(content, style=_part("style.css"), scripts=texts, policy=policy(texts))
    )
    # Bytes of a name that are not UTF-8 are shown as a mark.
    write_bytes(path, page.encode(errors="replace"))
    return path


def policy(scripts: Sequence[str]) -> str:
    """The content security policy of the page: run these scripts alone, show embedded pictures, and fetch nothing."""
    digests = " ".join(f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in scripts)
    return f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; img-src data:"


def embedded(data: object) -> "Markup":
    """Plain data as JSON for a ``script`` element that runs nothing; its texts cannot end the element.

    Example:
        >>> print(embedded({"name": "</script><b>"}))
        {"name":"\\u003c/script\\u003e\\u003cb\\u003e"}
    """
    from markupsafe import Markup

    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader("static_dynamic.report")
    return Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)


def _part(name: str) -> "Markup":
    """Read a file of this package that is not a template."""
    from markupsafe import Markup

    return Markup(files("static_dynamic.report").joinpath("templates", name).read_text(encoding="utf-8"))
