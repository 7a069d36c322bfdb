"""The predictions of a model for clips, and how often they are correct."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import nn
from torch.utils.data import DataLoader

from static_dynamic.common.errors import UserError
from static_dynamic.media.inputs import Inputs, in_one_line, tensors_of
from static_dynamic.training.data import IGNORED, Batch, Complaint
from static_dynamic.training.machinery import shown

TOP = 5


class Predictions(NamedTuple):
    """Logits ``(M, classes)`` float32 and labels ``(M,)``, in the order of the data, and the unreadable videos."""

    logits: torch.Tensor
    labels: torch.Tensor
    complaints: list[Complaint]


@torch.no_grad()
def predict(accelerator: Accelerator, model: nn.Module, batches: DataLoader[Batch], what: str) -> Predictions:
    """The predictions of a model for all clips, with logits averaged over the views of a video; on every process.

    Args:
        accelerator: The accelerator that prepared the model and the batches.
        model: The model, which is left in eval mode.
        batches: The batches; unreadable clips have the label ``IGNORED``.
        what: Label of the progress bar.

    Raises:
        UserError: If the model does not return class scores, or some that are not finite.
    """
    model.eval()
    parts, complaints = [], list[Complaint]()
    for batch in shown(batches, what, accelerator):
        with in_one_line(batch.clips):
            logits = _mean_of_views(model, batch.clips)
        check_output(logits, batch.labels)
        parts.append([part.cpu() for part in accelerator.gather_for_metrics((logits.float(), batch.labels))])
        complaints += batch.complaints
    logits, labels = (torch.cat(column) for column in zip(*parts, strict=True))
    if bad := int((~logits[labels != IGNORED].isfinite()).any(1).sum()):
        raise UserError(f"The scores of {bad} videos are infinite or not a number.")
    return Predictions(logits, labels, gather_object(complaints))


def check_output(logits: Any, labels: torch.Tensor) -> None:
    """Raise a UserError unless a model returned scores for every class of the labels."""
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != len(labels):
        got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise UserError(f"The model must return (clips, classes). Got {got} for {len(labels)} clips.")
    if int(labels.max()) >= logits.shape[1]:
        raise UserError(f"The model has {logits.shape[1]} classes, but there is a clip of class {int(labels.max())}.")


def accuracies(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Mean cross-entropy (nats), top-1 and top-5 accuracy (percent) of the clips that could be read.

    Raises:
        UserError: If no clip could be read.
    """
    read = labels != IGNORED
    if not read.any():
        raise UserError("No video of the list could be read.")
    logits, labels = logits[read], labels[read]
    right = ranks(logits, labels)
    loss = F.cross_entropy(logits, labels).item()
    return {"loss": loss, "top1": 100 * float(np.mean(right < 1)), "top5": 100 * float(np.mean(right < TOP))}


def ranks(logits: torch.Tensor, labels: torch.Tensor) -> npt.NDArray[np.int64]:
    """How many classes score higher than the right one, per clip; of equal scores the first class counts as higher."""
    return (order(logits) == labels[:, None]).int().argmax(1).numpy()


def order(logits: torch.Tensor) -> torch.Tensor:
    """Classes from the highest score to the lowest, per clip."""
    return logits.argsort(dim=1, descending=True, stable=True)


def class_table(logits: torch.Tensor, labels: torch.Tensor, names: list[str]) -> pd.DataFrame:
    """Per class: videos, top-1 accuracy (percent) with its 95 % interval (Wilson), and top-5."""
    right = ranks(logits, labels)
    rows = []
    for number, name in enumerate(names):
        of_class = right[labels.numpy() == number]
        row = {"class": name, "videos": len(of_class), **proportion("top1", of_class < 1)}
        rows.append(row | {"top5": 100 * float(np.mean(of_class < TOP)) if len(of_class) else float("nan")})
    return pd.DataFrame(rows)


def proportion(name: str, hits: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Percent of hits, and its 95 % interval (Wilson), under a name, with ``_low`` and ``_high``."""
    from scipy.stats import binomtest

    if not len(hits):
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), float("nan"))
    interval = binomtest(int(hits.sum()), len(hits)).proportion_ci(method="wilson")
    return {name: 100 * float(hits.mean()), f"{name}_low": 100 * interval.low, f"{name}_high": 100 * interval.high}


def confusion(logits: torch.Tensor, labels: torch.Tensor, names: list[str]) -> pd.DataFrame:
    """Videos of every class (rows) that were taken for every class (columns)."""
    counts = torch.zeros(len(names), len(names), dtype=torch.int64)
    counts.index_put_((labels, order(logits)[:, 0]), torch.ones_like(labels), accumulate=True)
    return pd.DataFrame(counts.numpy(), index=pd.Index(names, name="class"), columns=names)


def _mean_of_views(model: nn.Module, clips: Inputs) -> torch.Tensor:
    pathways = list(tensors_of(clips))
    if pathways[0].ndim == 5:  # N C T H W; views come between N and C
        scores: torch.Tensor = model(clips)
        return scores
    flat = [pathway.flatten(0, 1) for pathway in pathways]
    scores = model(flat[0] if isinstance(clips, torch.Tensor) else flat)
    return scores.unflatten(0, (-1, pathways[0].shape[1])).mean(1)
