"""``static-dynamic evaluate``: top-1, top-5, classes and confusions of a checkpoint, on folders of frames."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from static_dynamic.common.files import write_atomically, write_text
from static_dynamic.common.runs import alone_in
from static_dynamic.common.tables import as_csv
from static_dynamic.training.data import IGNORED, loader, too_many, write_complaints
from static_dynamic.training.lists import Entry, read_categories
from static_dynamic.training.machinery import accelerator_for, held_for_all, say_notes
from static_dynamic.training.options import EvaluateOptions
from static_dynamic.training.scores import (
    TOP,
    Predictions,
    accuracies,
    class_table,
    confusion,
    order,
    predict,
    proportion,
    ranks,
)
from static_dynamic.training.setup import evaluation_clips, listed, open_model, short_videos

NAMED = 40
"""The most classes that the picture names."""


def evaluate(options: EvaluateOptions) -> dict[str, Any]:
    """Test a model with these options.

    The run's folder gets ``accuracy.json``, ``classes.csv``, ``confusion.csv`` and ``.png``, ``predictions.csv`` and
    ``bad_videos.csv``.

    Returns:
        The content of ``accuracy.json``.

    Raises:
        UserError: For any error that the user can fix, in one line.
    """
    categories = read_categories(options.list_folder)
    entries = listed(options, options.split, len(categories))
    network = open_model(options, len(categories))
    clips = evaluation_clips(options, entries, network.recipe)
    say_notes(options, *network.notes, short_videos(entries, network.recipe, options.sampling))
    accelerator = accelerator_for(options)
    model, batches = accelerator.prepare(
        network.model, loader(clips, options.batch_size, options.workers, training=False)
    )
    folder = options.folder("evaluate")
    with held_for_all(accelerator, alone_in(folder)):
        found = predict(accelerator, model, batches, options.split)
        bad = dict(found.complaints)
        too_many(bad, len(entries), options.max_bad)
        summary = {
            **_summary(found, categories),
            "listed": len(entries),
            "model": network.name,
            "checkpoint": network.checkpoint,
            "notes": list(network.notes),
            "options": options.model_dump(mode="json"),
        }
        if accelerator.is_main_process:
            write(folder, found, entries, categories)
            write_complaints(folder, bad)
            write_text(folder / "accuracy.json", json.dumps(summary, indent=2) + "\n")
            print(_shown(summary, folder))
    return summary


def _summary(found: Predictions, categories: list[str]) -> dict[str, Any]:
    """Accuracies, percent, with their 95 % intervals over videos; ``class_accuracy`` is the mean over classes."""
    right = ranks(found.logits, found.labels)[found.labels.numpy() != IGNORED]
    return {
        **accuracies(found.logits, found.labels),
        **proportion("top1", right < 1),
        **proportion("top5", right < TOP),
        "class_accuracy": float(class_table(found.logits, found.labels, categories)["top1"].mean()),
        "videos": len(right),
    }


def _shown(summary: dict[str, Any], folder: Path) -> str:
    top1, top5 = (
        f"{name} {summary[name]:.1f} [{summary[f'{name}_low']:.1f}, {summary[f'{name}_high']:.1f}]"
        for name in ("top1", "top5")
    )
    return (
        f"{top1}, {top5} percent [95 % interval], mean over classes {summary['class_accuracy']:.1f}; "
        f"{summary['videos']} of {summary['listed']} videos. Tables: {folder}/"
    )


def write(folder: Path, found: Predictions, entries: list[Entry], categories: list[str]) -> None:
    """Write the tables and the picture of the confusions."""
    read = (found.labels != IGNORED).numpy()
    logits, labels = found.logits[read], found.labels[read]
    predicted = order(logits)[:, 0]
    videos = pd.DataFrame(
        {
            "video": [entry.name for entry, was_read in zip(entries, read, strict=True) if was_read],
            "label": labels,
            "predicted": predicted,
            "probability": logits.softmax(1)[range(len(logits)), predicted],
        }
    )
    confused = confusion(logits, labels, categories)
    tables = {"predictions": videos, "classes": class_table(logits, labels, categories)}
    for name, table in tables.items():
        write_text(folder / f"{name}.csv", as_csv(table))
    write_text(folder / "confusion.csv", as_csv(confused, index=True))
    picture(folder / "confusion.png", confused)


def picture(path: Path, counts: pd.DataFrame) -> None:
    """Draw what share of every class (row) was taken for every class (column).

    Colours follow the square root, so that rare confusions are visible too; classes without videos are grey. If there
    are many classes, they are numbered.
    """
    import matplotlib
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    shares = 100 * counts.div(counts.sum(axis=1), axis=0)
    side = min(12.0, 2.5 + 0.25 * len(counts))
    figure = Figure(figsize=(1.25 * side, side))
    axes = figure.add_subplot(xlabel="taken for", ylabel="class")
    colours = matplotlib.colormaps["Blues"].with_extremes(bad="0.85")
    image = axes.imshow(shares, norm=PowerNorm(0.5, 0, 100), cmap=colours)
    if len(counts) <= NAMED:
        axes.set_xticks(range(len(counts)), counts.columns, rotation=45, ha="right", rotation_mode="anchor", fontsize=8)
        axes.set_yticks(range(len(counts)), counts.index, fontsize=8)
    ticks = [0, 5, 20, 50, 100]
    figure.colorbar(image, label="videos of the class, percent", shrink=0.8, ticks=ticks, format="%d")
    write_atomically(path, partial(figure.savefig, format="png", dpi=120, bbox_inches="tight"))
