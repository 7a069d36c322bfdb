"""The clips that the model saw, in words and pictures of a page."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import pandas as pd

from static_dynamic.common.tables import rows_of
from static_dynamic.media.clip import INTACT, ORIGINAL

OLD = (
    "This result does not contain pictures of the clips: its run began with an earlier version. A new run with "
    "another store creates them."
)
LARGE = 96
"""Pixels to which smaller frames are enlarged."""
WHAT = {
    INTACT: "original",
    "freeze": "frozen: the middle frame throughout",
    "shuffle": "shuffled: all frames in random order",
    "reverse": "backwards",
}
"""Changes to the frames of a clip."""
FLOW = {
    INTACT: "image, and its optical flow as computed",
    "jitter": "flow jitter: colours of the flow changed at random",
    "freeze": "flow frozen: no motion at all",
    "rotate": "flow rotated: all motion turned by one angle",
    "scale": "flow scaled: all motion slower",
    "swap": "flow of another clip",
}
"""Changes to the flow of an image."""
AGAIN = "replicate: moved by a pixel, with mild noise"


def takes_flow(manifest: Mapping[str, Any]) -> bool:
    """Whether the model of a result takes images and their optical flow."""
    recipe = manifest.get("study", {}).get("recipe")
    return isinstance(recipe, Mapping) and "flows" in recipe


def in_words(style: str, order: str, replicate: int, flow: bool = False) -> str:
    """Describe a variant in words.

    Example:
        >>> in_words("original", "freeze", 0), in_words("ink", "intact", 0)
        ('frozen: the middle frame throughout', 'restyled: ink')
    """
    known = FLOW if flow else WHAT
    dynamics = known.get(order, f"{'flow ' if flow else ''}{order.replace('_', ' ')}")
    if replicate:
        return AGAIN if order == INTACT else f"{dynamics}; {AGAIN}"
    if style == ORIGINAL:
        return dynamics
    return f"restyled: {style}" if order == INTACT else f"restyled: {style}; {dynamics}"


def seen(pictures: pd.DataFrame | None, manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every video with its strips: ``words``, ``source`` (a data URL), ``frames``, and the size of a frame."""
    if pictures is None or pictures.empty:
        return []
    flow = takes_flow(manifest)
    return [
        {"video": str(video), "strips": [_strip(row, flow) for row in rows_of(rows)]}
        for video, rows in pictures.groupby("video", sort=False)
    ]


def _strip(row: Mapping[str, Any], flow: bool) -> dict[str, Any]:
    larger = max(1, round(LARGE / row["height"]))
    return {
        "words": in_words(row["style"], row["order"], row["replicate"], flow),
        "source": f"data:image/jpeg;base64,{b64encode(row['picture']).decode()}",
        "frames": row["frames"],
        "width": larger * row["width"],
        "height": larger * row["height"],
        "pixelated": larger > 1,
        "plays": not flow and row["frames"] > 1,
    }


def counted(manifest: Mapping[str, Any], videos: int) -> str:
    """The amount of data that was seen: clips, or frames of sequences.

    Args:
        manifest: Manifest of the result.
        videos: The text if the manifest does not name videos.
    """
    records = [record for record in manifest.get("videos", []) if not record.get("problem")]
    if not takes_flow(manifest):
        count = len(records) or videos
        return f"{count} video" + "s" * (count != 1)
    sequences = len({record.get("sequence") or record.get("video") for record in records}) or videos
    frames = f"{len(records)} frame" + "s" * (len(records) != 1)
    return f"{frames} of {sequences} sequence" + "s" * (sequences != 1)
