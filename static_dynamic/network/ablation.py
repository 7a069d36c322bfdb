"""The causal check: remove units of a model, or give them the values of another clip, and measure the effect.

A score describes what a unit responds to. Whether the model needs the unit shows only when it is removed, compared with
random units of the same variance (`static_dynamic.network.controls`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.seeds import check_seed, generator
from static_dynamic.media.inputs import Inputs, batch_size, in_dtype_of, in_one_line
from static_dynamic.network.intercepting import Change, Place, intercepted
from static_dynamic.network.selections import Selection, Units, selection
from static_dynamic.network.stages import Stages, check_model_kind, is_compiled, naming, resolve_stages

WAYS = ("zero", "mean", "resample")
"""Allowed replacements of units."""
BATCHES = "Give several batches as a loader or an iterator: `reference=iter([first, second])`."

Content = Callable[[str, Selection, torch.Tensor], torch.Tensor]
"""Stage, the selected part of it, and its output ``(N, …, C)`` → the replacement, ``(N, …, k)``."""


@contextmanager
def ablate(
    model: nn.Module,
    units: Mapping[str, Units],
    *,
    how: str = "mean",
    reference: Inputs | Iterable[Inputs] | None = None,
    stages: Stages | None = None,
    layout: str | None = None,
    seed: int = 0,
) -> Iterator[nn.Module]:
    """In the block, the model runs without some units of its stages, or without a subspace of them.

    With ``x``, ``(N, …, C)``, the output of a stage and ``r`` its replacement, units ``U`` become ``r[U]``. Of a
    subspace with the orthonormal basis ``B``, ``(k, C)``, the component within it does: ``x + (r - x) Bᵀ B``.

    * ``zero``: ``r = 0``.
    * ``mean``: ``r`` is the mean of ``x`` over the reference clips, at every position separately.
    * ``resample``: ``r`` is ``x`` of another clip of the batch: the same clip at every stage, and in every batch of
      that size.

    Every position changes, extra tokens too. Inside the block the model is in evaluation mode; once it ends, the modes,
    the hooks and the global random state are as before, also after an error. Gradients flow through what is kept, and
    not through ``r``. Blocks may be nested: an inner block sees the changes of the outer one. So
    ``static_dynamic.record`` within a block gives the changed activations, and means of an inner block are those of the
    model as the outer block changed it.

    Args:
        model: Any module that is not compiled. Call it as usual.
        units: Stage → numbers of units, a mask over all units, or directions ``(k, C)``, which need not be orthonormal.
        how: ``zero``, ``mean`` or ``resample``.
        reference: For ``mean``: the input of the model (a tensor, or a list, tuple or dict of tensors), or any other
            iterable of such batches (a loader, a generator). The model runs on it once, when the block opens.
        stages: Where stages are, as for ``static_dynamic.record``; ``None``: the declared ones, or module paths.
        layout: Layout of stages named by module path.
        seed: Seed that draws the other clips.

    Yields:
        The model.

    Raises:
        UserError: When the block opens, if a stage, `how` or form of units is unknown or the reference is missing; in a
            forward pass, if the stage lacks these units, its output does not fit, or ``resample`` gets one clip.

    Source: Meyes et al., Ablation Studies in Artificial Neural Networks, 2019; means: Morcos et al., ICLR 2018.

    Example:
        >>> model = nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU())
        >>> with ablate(model, {"0": [1, 2]}, how="zero", layout="N C T H W") as without:
        ...     without(torch.rand(2, 3, 4, 8, 8)).amax((0, 2, 3, 4))[1:3].tolist()
        [0.0, 0.0]
    """
    places = _places(model, units, stages, layout)
    if how not in WAYS:
        raise unknown("way to ablate", how, WAYS, where="how")
    check_seed(seed)
    content: Content = _zero
    if how == "resample":
        content = _of_another_clip(seed)
    if how == "mean":
        if reference is None:
            raise UserError('Means need clips: give `reference=clips`, or choose `how="zero"` or `how="resample"`.')
        content = _means(model, places, reference)
    with intercepted(model, places, _replace(content)):
        yield model


@contextmanager
def patch(
    model: nn.Module,
    units: Mapping[str, Units],
    donor: Inputs,
    *,
    stages: Stages | None = None,
    layout: str | None = None,
) -> Iterator[nn.Module]:
    """In the block, some units have the values that they have on other clips: an interchange intervention.

    As :func:`ablate`, with ``r = x`` of the donor, clip by clip and position by position. If motion is what the units
    carry, then on a clip whose donor is the same clip frozen the model responds as if nothing moved.

    Args:
        model: Any module that is not compiled.
        units: See :func:`ablate`.
        donor: Input of the model, with the same number of clips as every batch in the block: the other element of each
            pair. The model runs on it once, when the block opens.
        stages: See :func:`ablate`.
        layout: See :func:`ablate`.

    Yields:
        The model.

    Raises:
        UserError: As :func:`ablate`; also if a batch has another number of clips or of positions than the donor.

    Source: Geiger et al., Causal Abstractions of Neural Networks, NeurIPS 2021.

    Example:
        >>> model, clips = nn.Sequential(nn.Conv3d(3, 4, 1), nn.ReLU()), torch.rand(2, 3, 4, 8, 8)
        >>> frozen = clips[:, :, :1].expand_as(clips)
        >>> with patch(model, {"0": range(4)}, frozen, layout="N C T H W"):
        ...     patched = model(clips)
        >>> torch.allclose(patched, model(frozen))
        True
    """
    places = _places(model, units, stages, layout)
    donated: dict[str, torch.Tensor] = {}

    def keep(stage: str, chosen: Selection, x: torch.Tensor) -> None:
        donated[stage] = chosen.part(x)

    def content(stage: str, _chosen: Selection, x: torch.Tensor) -> torch.Tensor:
        given, wanted = donated[stage].shape[:-1], x.shape[:-1]
        if given != wanted:
            raise UserError(
                f"The donor must have as many clips and positions as the batch: {tuple(wanted)}. Got {tuple(given)}."
            )
        return donated[stage]

    _watch(model, places, [donor], keep, remedy="")
    with intercepted(model, places, _replace(content)):
        yield model


def _places(
    model: nn.Module, units: Mapping[str, Units], stages: Stages | None, layout: str | None
) -> dict[str, Place]:
    """The place of each stage, and the selected part of it."""
    check_model_kind(model)
    if is_compiled(model):
        raise UserError(
            "A compiled model cannot be changed: torch.compile may keep the effect of hooks. Give the original module "
            "(model._orig_mod)."
        )
    if not isinstance(units, Mapping) or not units:
        raise UserError(
            f"`units` must be a mapping from stages to units, e.g. units={{'late': [0, 3]}}. Got {units!r:.80}."
        )
    known = resolve_stages(model, list(units) if stages is None else stages, layout)
    places = {}
    for stage, given in units.items():
        if stage not in known:
            raise unknown("stage", stage, known, where="units")
        if len(known[stage]) > 1:
            raise UserError(f"Stage {stage!r} joins several tensors: give the units of each under its own name.")
        with naming(stage):
            places[stage] = Place(known[stage][0], selection(given))
    return places


def _replace(content: Content) -> Change:
    return lambda stage, chosen, x: chosen.put(x, content(stage, chosen, x))


def _zero(_stage: str, _chosen: Selection, x: torch.Tensor) -> torch.Tensor:
    return x.new_zeros(())


def _of_another_clip(seed: int) -> Content:
    def content(_stage: str, chosen: Selection, x: torch.Tensor) -> torch.Tensor:
        return chosen.part(x.detach())[torch.from_numpy(_others(len(x), seed)).to(x.device)]

    return content


def _others(clips: int, seed: int) -> npt.NDArray[np.int64]:
    """Choose another clip for every clip, each once: in a random circle, each takes the clip before it."""
    if clips < 2:
        raise UserError('`how="resample"` takes the units of another clip: a batch must have at least 2 clips. Got 1.')
    circle = generator(seed, "resample", clips).permutation(clips)
    others = np.empty_like(circle)
    others[circle] = np.roll(circle, 1)
    return others


def _means(model: nn.Module, places: Mapping[str, Place], reference: Inputs | Iterable[Inputs]) -> Content:
    """The mean over all reference clips, at every position separately."""
    sums: dict[str, torch.Tensor] = {}

    def add(stage: str, chosen: Selection, x: torch.Tensor) -> None:
        part = chosen.part(x)
        total = part.sum(0, dtype=torch.promote_types(part.dtype, torch.float32)).cpu().double()
        _check_positions(x, sums.setdefault(stage, torch.zeros_like(total)))
        sums[stage] += total

    if not isinstance(reference, Iterable):
        raise UserError(f"The `reference` must be an input of the model, or batches of inputs. Got {reference!r:.80}.")
    batches = [reference] if isinstance(reference, torch.Tensor | Mapping | list | tuple) else reference
    clips = _watch(model, places, batches, add, remedy=BATCHES)
    if not clips:
        raise UserError("Means need clips, but the `reference` is empty.")
    if broken := [stage for stage, total in sums.items() if not total.isfinite().all()]:
        raise UserError(
            f"Stage {broken[0]!r}: these units are NaN or infinite on the `reference` clips, so they have no mean. "
            'Leave such clips out, or choose `how="zero"`.'
        )

    def content(stage: str, _chosen: Selection, x: torch.Tensor) -> torch.Tensor:
        _check_positions(x, sums[stage])
        return (sums[stage] / clips).to(torch.promote_types(x.dtype, torch.float32)).to(x.device)

    return content


def _watch(
    model: nn.Module,
    places: Mapping[str, Place],
    batches: Iterable[Inputs],
    see: Callable[[str, Selection, torch.Tensor], None],
    remedy: str,
) -> int:
    """Run the model on batches, pass its stages on, and return the number of clips."""
    clips = 0
    with torch.no_grad(), intercepted(model, places, see):
        for batch in batches:
            with in_one_line(batch, remedy=remedy):
                model(in_dtype_of(model, batch))
            clips += batch_size(batch)
    return clips


def _check_positions(x: torch.Tensor, means: torch.Tensor) -> None:
    given, wanted = tuple(x.shape[1:-1]), tuple(means.shape[:-1])
    if given != wanted:
        raise UserError(f"Every clip must give the positions of the reference, {wanted}. Got {given}.")
