"""``measure``, also used by the published commands: measure a model, and write tables, plots and the page."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING
from warnings import catch_warnings, simplefilter

from static_dynamic.common.commands import as_flags
from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.options import takes
from static_dynamic.common.plugins import import_plugins
from static_dynamic.common.progress import progress_bar
from static_dynamic.common.ranks import rank
from static_dynamic.common.timing import accounting, spent_on
from static_dynamic.config import Config, input_recipe, open_data

if TYPE_CHECKING:
    from torch.nn import Module

    from static_dynamic import FlowRecipe, Recipe, Result
    from static_dynamic.estimators.base import Estimator
    from static_dynamic.models import ModelSpec
    from static_dynamic.sources import Source
    from static_dynamic.stylize.auditing.trust import Judged

NUM_CLASSES = {"StylizedActivityNet": 400, "ssv2": 174, "Diving48": 48}
"""Classes of the models that the published study measured on each data set."""


@takes(Config)
def measure(config: Config) -> None:
    """Measure how static and how dynamic a video model is, stage by stage and unit by unit.

    For example:
        Your own model, from the folder of its code:
            static-dynamic measure --model my_package.net:build --videos clips/
        A published model, with its published weights:
            static-dynamic measure --model slow_r50_8x8 --pretrained --videos clips/
        The published protocol:
            static-dynamic measure --model i3d --stages 5 --dataset Diving48
              --stylized-data-dir DATA --checkpoint I3D.pyth
        On four GPUs, or in the tasks of a SLURM job:
            torchrun --nproc-per-node 4 -m static_dynamic measure --model i3d
              --videos clips/
            srun static-dynamic measure --model i3d --videos clips/ --out runs/i3d
        A segmentation model:
            static-dynamic measure --cfg-file configs/rtnet_davis.json
              --original-data-root DAVIS
    """
    import_plugins(config.plugin)
    from static_dynamic.common.compute import keep_freed_memory
    from static_dynamic.common.runs import alone_in
    from static_dynamic.program.saving import save
    from static_dynamic.program.showing import show, show_spent
    from static_dynamic.results import MEASUREMENT

    keep_freed_memory()
    MEASUREMENT.read(config.folder)  # a folder of another kind of run is refused before hours of work
    # Of several ranks the first alone holds the folder; those that belong to it meet in the store.
    with alone_in(config.folder) if is_first(config) else nullcontext(), accounting() as ledger:
        result = run(config)
        if not is_first(config):
            return
        with spent_on("tables and figures"):
            save(result, config)
    show(result, config)
    if config.profile:
        show_spent(ledger.total())


def run(config: Config) -> "Result":
    """Measure with these options; activations are stored in the run's folder."""
    import static_dynamic as sd
    from static_dynamic.interventions import STRONG
    from static_dynamic.quality import MaskJudge
    from static_dynamic.sources.left_out import unused
    from static_dynamic.stylize.networks import learned

    learned.teach()
    model = open_model(config)
    spec: ModelSpec = vars(model)["spec"]
    recipe = input_recipe(spec, config)
    source = open_data(config, recipe)
    first = is_first(config)
    for line in unused(source, config.max_videos) if first else ():
        print(f"Note: {as_flags(line)}", file=sys.stderr)
    rule = sd.PairRule(
        n_factors=config.n_factors,
        residual_index=config.residual_index,
        same_video=config.m_same,
        scrambled=config.app_shuffle,
        normal_static=config.use_normal_app,
        seed=config.seed,
    )
    styles = config.styles or source.styles or STRONG
    judged = judge_styles(config, source, recipe, styles, first)
    stages = stage_names(list(spec.stages), config)
    with progress_bar("videos", shown=first) as on_video:
        result = sd.measure(
            model,
            source,
            stages,
            layout=config.layout,
            recipe=recipe,
            pool="avg" if config.pool == "fast" else config.pool,
            styles=styles,
            scrambles=config.scrambles if config.app_shuffle else (),
            judge=MaskJudge(source) if config.evaluate else None,
            max_videos=config.max_videos,
            seed=config.seed,
            compute=sd.Compute(
                batch_size=config.batch_size,
                device=device_name(config.device),
                precision=config.precision,
                channels_last=config.channels_last,
                workers=config.workers,
                max_bad=config.max_bad,
                alone=config.alone,
            ),
            scoring=sd.Scoring(
                rule,
                config.replicates,
                interval=config.interval,
                seed=config.seed,
                style_weights=judged.weights if config.audit == "weigh" else {},
            ),
            estimators=chosen_estimators(config),
            twins=config.twins,
            store=config.folder / "store",
            resume=config.resume,
            provenance={
                "options": config.model_dump(mode="json"),
                "summary": spec.summary,
                "num_classes": spec.num_classes,
                "checkpoint": spec.checkpoint and asdict(spec.checkpoint),
                **cost_of(model, recipe, stages),
                **({"audit": judged.table} if judged.table else {}),
            },
            on_video=on_video,
        )
    doubts = list(judged.doubts)
    if config.audit == "weigh":
        doubts.append(
            "Pairs are weighted by the motion that their styles keep; in the published protocol, all count equally."
        )
    result.warnings.extend(doubts)
    result.manifest["notes"].extend(doubts)  # further scores of the run repeat them
    return result


def is_first(config: Config) -> bool:
    """Whether this process speaks for the run: the only one, or rank 0."""
    return config.alone or rank() == 0


def open_model(config: Config) -> "Module":
    """The model that the options name; its ``spec`` holds what it declares and the origin of its weights."""
    from static_dynamic import models

    try:
        declared = models.describe(config.model, config.frames, config.image_size)
        usual = None if declared.fixed_classes or declared.packaged else NUM_CLASSES.get(config.dataset or "")
        with catch_warnings():
            simplefilter("ignore", models.PartialWeights)  # the result states the same
            return models.create_model(
                declared,
                checkpoint=config.checkpoint,
                num_classes=config.num_classes or usual,
                seed=config.seed,
                strict=config.strict,
                trust_checkpoint=config.trust_checkpoint,
                pretrained=config.pretrained,
                checkpoint_key=config.checkpoint_key,
            )
    except models.ModelError as error:
        raise UserError(str(error)) from None


def cost_of(model: "Module", recipe: "Recipe | FlowRecipe", stages: list[str] | None) -> dict[str, dict[str, object]]:
    """The cost of the model per clip, under ``cost``; empty if it cannot be counted."""
    from static_dynamic.network.cost import measure_cost

    try:
        return {"cost": asdict(measure_cost(model, recipe, stages, fvcore=False))}
    except UserError:  # if the model fails, the measurement reports it
        return {}


def judge_styles(
    config: Config, source: "Source", recipe: "Recipe | FlowRecipe", styles: Sequence[str], first: bool = True
) -> "Judged":
    """The audit of the styles on the videos of the study, if requested; of several ranks, the first shows progress.

    Raises:
        UserError: If it is requested for a model of image and flow.
    """
    from static_dynamic import FlowRecipe
    from static_dynamic.stylize.auditing.trust import judge_study, unjudged

    if config.audit == "off":
        return unjudged(styles)
    if isinstance(recipe, FlowRecipe):
        raise UserError(
            "--audit requires a model of clips: one of image and flow sees the original flow in every style."
        )
    with progress_bar("videos to audit", shown=first) as on_video:
        return judge_study(source, styles, config.seed, config.max_videos, on_video)


def stage_names(declared: Sequence[str], config: Config) -> list[str] | None:
    """Stages that ``--stages``, ``--path`` and ``--fuse`` select; numbers as in the published code.

    Example:
        >>> config = Config(videos="factorial", stages="3", path="cat")
        >>> stage_names(["slow.stage3", "fast.stage3", "fused.stage3"], config)
        ['fused.stage3+fast.stage3']
    """
    if config.stages is None:
        return None
    return [_numbered(int(name), declared, config) if name.isdigit() and declared else name for name in config.stages]


def _numbered(number: int, declared: Sequence[str], config: Config) -> str:
    forms = [f"fused.stage{number}", f"slow.stage{number}"]  # some models and stages have only one of them
    slow = next((form for form in (forms if config.fuse else forms[::-1]) if form in declared), forms[1])
    pathways = {"slow": slow, "fast": f"fast.stage{number}", "cat": f"{slow}+fast.stage{number}"}
    for name in (f"stage{number}", f"block{number}", pathways[config.path or "fast"]):
        if set(name.split("+")) <= set(declared):
            return name
    raise unknown("stage", str(number), declared, where="--stages")


def device_name(device: str) -> str:
    """A device by name or, as in the published commands, the number of a GPU."""
    return f"cuda:{device}" if device.isdigit() else device


def chosen_estimators(config: Config) -> "list[str | Estimator]":
    """The estimators that the options name, the released one with its threshold."""
    from static_dynamic.estimators.released import Released

    return [Released(config.joint_encoding_thresh) if name == Released.name else name for name in config.estimators]
