"""Examples of factorial clips, and how fast they are drawn: `python -m benchmarks.truth.clips`.

Writes docs/images/factorial.png, and clips.csv: clips a second on one thread, 32 x 32 pixels and 8 frames.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from static_dynamic.report.theme import house_style, save_figure
from static_dynamic.sources.factorial import CONTENTS, draw_scenes, one_scene, render, true_flow

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLE = Path(__file__).with_name("clips.csv")
PICTURE = Path(__file__).parents[2] / "docs" / "images" / "factorial.png"
CLIPS, ROUNDS = 400, 5
RED = {"colour": "red", "shape": "ring", "texture": "stripes", "background": "grid", "speed": "fast"}
SHOWN = {
    "a motion": one_scene({**RED, "kind": "clockwise"}, x=0.5, y=0.5, size=0.7),
    "another motion\nof the same thing": one_scene({**RED, "kind": "left"}, x=0.5, y=0.5, size=0.7),
    "the same motion\nof another thing": one_scene(
        {
            "colour": "cyan",
            "shape": "cross",
            "texture": "plain",
            "background": "bars",
            "kind": "clockwise",
            "speed": "fast",
        },
        x=0.5,
        y=0.5,
        size=0.7,
    ),
    "content=dots": one_scene(
        {"colour": "yellow", "background": "bars", "kind": "expand", "speed": "medium", "coherence": "full"}
    ),
    "content=noise": one_scene({"colour": "green", "shape": "disc", "kind": "right", "speed": "fast"}, size=0.7),
}


def picture(frames: int = 6, size: int = 96) -> "Figure":
    """A row per clip, with its true optical flow."""
    from matplotlib.figure import Figure

    with house_style():
        figure = Figure(figsize=(12, 1.72 * len(SHOWN)), layout="constrained")
        grid = figure.subplots(len(SHOWN), frames + 1)
    for (label, scene), row in zip(SHOWN.items(), grid, strict=True):
        for axes, frame in zip(row, render(scene, frames, size)[0].numpy(), strict=False):
            axes.imshow(frame)
        flow = true_flow(scene, frames, size)[0, frames // 2].nan_to_num().numpy()
        row[-1].imshow(np.full((size, size, 3), 245, np.uint8))
        points = np.arange(size // 16, size, size // 8)
        x, y = np.meshgrid(points, points)
        row[-1].quiver(x, y, *flow[y, x].transpose(2, 0, 1), angles="xy", color="#0072B2", width=0.012)
        row[0].set_ylabel(label, rotation=0, ha="right", va="center")
        for axes in row:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(visible=False)
    grid[0, -1].set_title("true flow")
    return figure


def speeds() -> pd.DataFrame:
    """The fastest of several rounds, for every content."""
    torch.set_num_threads(1)
    rows = []
    for content, parts in CONTENTS.items():
        seconds = []
        for seed in range(ROUNDS):
            begun = time.process_time()
            render(draw_scenes(parts, seed, range(CLIPS)))
            seconds.append(time.process_time() - begun)
        rows.append({"content": content, "clips_per_second": round(CLIPS / min(seconds))})
    return pd.DataFrame(rows)


def main() -> None:
    """Draw and measure."""
    save_figure(picture(), PICTURE)
    table = speeds()
    table.to_csv(TABLE, index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
