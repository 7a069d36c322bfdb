"""Train one network by its recipe, test it, and write its weights."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from static_dynamic import models
from static_dynamic.common.files import write_atomically
from static_dynamic.common.seeds import derive_seed, generator
from static_dynamic.training.truth.clips import Pool, as_input, draw_pool
from static_dynamic.training.truth.recipe import Recipe

TELLS = 10
"""How often progress is reported."""
Tell = Callable[[str], object]


class Trained(NamedTuple):
    """The result of training a network.

    Attributes:
        network: Its name.
        seed: Seed of all random choices.
        seen: Clips seen in training.
        cpu_seconds: Processor time, rendering and testing included.
        wall_seconds: Wall-clock time.
        accuracy: Head → share of new clips with the correct answer; ``shortcut``, where there was one, with the answer
            that the appearance gives.
        rounded: The accuracy of the weights as they are written.
    """

    network: str
    seed: int
    seen: int
    cpu_seconds: float
    wall_seconds: float
    accuracy: dict[str, float]
    rounded: dict[str, float]


def train(recipe: Recipe, weights: Path, tell: Tell = print) -> Trained:
    """Train a network in one thread; the same machine and recipe give the same file.

    Args:
        recipe: Recipe of the network.
        weights: File for the weights: safetensors of float16.
        tell: Called with lines about progress.
    """
    torch.set_num_threads(1)
    clock, cpu = time.perf_counter(), time.process_time()
    model = models.create_model(recipe.network, pretrained=False, seed=recipe.seed)
    _order_kernels(model)
    _learn(model, recipe, lambda line: tell(f"{recipe.network}: {line}, {time.process_time() - cpu:.0f} s"))
    test = draw_pool(derive_seed(recipe.seed, "truth", "test"), range(recipe.test))
    accuracy = test_on(model, test, recipe)
    state = rounded(model)
    _write(state, weights)
    model.load_state_dict(state, strict=False)
    trained = Trained(
        recipe.network,
        recipe.seed,
        recipe.steps * recipe.batch,
        round(time.process_time() - cpu, 1),
        round(time.perf_counter() - clock, 1),
        accuracy,
        test_on(model, test, recipe),
    )
    tell(f"{recipe.network}: done, " + ", ".join(f"{head} {part:.3f}" for head, part in trained.rounded.items()))
    return trained


def _order_kernels(model: nn.Module) -> None:
    """Store the kernels of 3-D convolutions in the memory layout of the clips: a third faster."""
    for weight in model.parameters():
        if weight.ndim == 5:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last_3d)


def _learn(model: nn.Module, recipe: Recipe, tell: Tell) -> None:
    """AdamW with one cycle of the learning rate; the loss is the mean cross-entropy of the heads."""
    pool = draw_pool(derive_seed(recipe.seed, "truth", "training"), range(recipe.pool), recipe.shortcut)
    optimiser = torch.optim.AdamW(model.parameters(), recipe.rate, weight_decay=recipe.decay)
    course = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, total_steps=recipe.steps, pct_start=recipe.rise
    )
    model.train()
    every = max(1, recipe.steps // TELLS)
    for step, batch in enumerate(_batches(pool, recipe), start=1):
        loss = loss_of(model, batch, recipe.bfloat16)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        course.step()
        if step % every == 0:
            tell(f"{100 * step // recipe.steps} %, loss {loss.item():.3f}")


def _batches(pool: Pool, recipe: Recipe) -> Iterator[Pool]:
    """Every clip once, in random order, then again; each batch shifted on the torus that a frame is."""
    draw = generator(recipe.seed, "truth", "batches")
    order = np.concatenate([draw.permutation(recipe.pool) for _ in range(-(-recipe.seen // recipe.pool))])
    for step in range(recipe.steps):
        rows = torch.from_numpy(order[step * recipe.batch : (step + 1) * recipe.batch])
        shift = draw.integers(pool.clips.shape[-2], size=2).tolist()
        clips = pool.clips[rows].roll(shift, (2, 3))
        yield Pool(clips, {factor: levels[rows] for factor, levels in pool.levels.items()})


def loss_of(model: nn.Module, batch: Pool, bfloat16: bool = False) -> Tensor:
    """The mean cross-entropy of the heads."""
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        logits = model(as_input(batch.clips)).float()
    losses = [F.cross_entropy(logits[:, part], batch.levels[factor]) for factor, part in heads_of(model).items()]
    return torch.stack(losses).mean()


def test_on(model: nn.Module, test: Pool, recipe: Recipe) -> dict[str, float]:
    """Share of correct answers of every head and, with a shortcut, of answers that follow it."""
    answers = answers_of(model, test.clips)
    right = {factor: test.levels[factor] for factor in answers}
    if recipe.shortcut:
        right["shortcut"], answers["shortcut"] = recipe.shortcut.kind(test.levels), answers["kind"]
    return {head: (answers[head] == level).float().mean().item() for head, level in right.items()}


def answers_of(model: nn.Module, clips: Tensor) -> dict[str, Tensor]:
    """Head → the level that the network sees in each clip, ``(N,)``; the network is left in eval mode."""
    model.eval()
    with torch.inference_mode():
        logits = torch.cat([model(as_input(part)) for part in clips.split(100)])
    return {factor: logits[:, part].argmax(1) for factor, part in heads_of(model).items()}


def heads_of(model: nn.Module) -> dict[str, slice]:
    """Factor → columns of the output."""
    heads: dict[str, slice] = vars(model)["heads"]
    return heads


def rounded(model: nn.Module) -> dict[str, Tensor]:
    """The weights as float16; batch norm's counters are left out, since nothing reads them."""
    return {
        name: weight.half().contiguous() for name, weight in model.state_dict().items() if weight.is_floating_point()
    }


def _write(state: dict[str, Tensor], path: Path) -> None:
    from safetensors.torch import save_file

    write_atomically(path, lambda partial: save_file(state, partial))
