"""The entry point: ``python main.py --model i3d --videos clips/`` measures a model and writes tables and plots."""

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from warnings import catch_warnings, simplefilter

from static_dynamic.common.commands import as_flags, command
from static_dynamic.common.errors import UserError, unknown
from static_dynamic.common.progress import progress_bar
from static_dynamic.common.tables import rows_of
from static_dynamic.config import Config, input_recipe, open_data, plain, read_config

if TYPE_CHECKING:
    from rich.table import Table
    from torch.nn import Module

    from static_dynamic import FlowRecipe, Recipe, Result
    from static_dynamic.estimators.base import Estimator
    from static_dynamic.models import ModelSpec
    from static_dynamic.report.parts import Part
    from static_dynamic.sources import Source
    from static_dynamic.stylize.auditing.trust import Judged

RELEASED = "released"
"""The estimator that the published files hold."""
WIDTH = 140
"""Columns of the tables in a log."""
NUM_CLASSES = {"StylizedActivityNet": 400, "ssv2": 174, "Diving48": 48}
"""Classes of the models that the published study measured on each data set."""
COMMANDS = {"demo": "demo", "doctor": "doctor", "score": "score_run", "compare": "compare_runs"}
"""Word after ``main.py`` → the script of ``misc`` that does it; without one a model is measured."""
FLAGS = {
    "stages": "stg",
    "pool": "gp",
    "seed": "random_seed",
    "max_videos": "n_examples",
    "workers": "num_workers",
    "store": "save_dir",
}
"""Argument of :func:`static_dynamic.measure` → flag, where they differ."""


def run(config: Config) -> "Result":
    """Measure what the options say, and write everything into the run's folder."""
    import static_dynamic as sd
    from static_dynamic.interventions import STRONG
    from static_dynamic.quality import MaskJudge
    from static_dynamic.results import MEASUREMENT
    from static_dynamic.sources.left_out import unused
    from static_dynamic.stylize.networks import learned

    learned.teach()
    MEASUREMENT.read(config.folder)  # the folder of another kind of run is refused before hours of work
    model = open_model(config)
    spec: ModelSpec = vars(model)["spec"]
    recipe = input_recipe(spec, config)
    source = open_data(config, recipe)
    for line in unused(source, config.n_examples):
        print(f"Note: {as_flags(line, FLAGS)}", file=sys.stderr)
    rule = sd.PairRule(
        n_factors=config.n_factors,
        residual_index=config.residual_index,
        same_video=config.m_same,
        scrambled=config.app_shuffle,
        normal_static=config.use_normal_app,
        seed=config.random_seed,
    )
    styles = config.styles or source.styles or STRONG
    judged = judge_styles(config, source, recipe, styles)
    stages = stage_names(list(spec.stages), config)
    with progress_bar("videos") as on_video:
        result = sd.measure(
            model,
            source,
            stages,
            layout=config.layout,
            recipe=recipe,
            pool="avg" if config.gp == "fast" else config.gp,
            styles=styles,
            scrambles=config.scrambles if config.app_shuffle else (),
            judge=MaskJudge(source) if config.evaluate else None,
            max_videos=config.n_examples,
            seed=config.random_seed,
            compute=sd.Compute(
                batch_size=config.batch_size,
                device=device_name(config.device),
                precision=config.precision,
                workers=config.num_workers,
                max_bad=config.max_bad,
            ),
            scoring=sd.Scoring(
                rule,
                config.replicates,
                interval=config.interval,
                seed=config.random_seed,
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
        doubts.append("Pairs are weighed by the motion that their styles keep; as published, all count alike.")
    result.warnings.extend(doubts)
    result.manifest["notes"].extend(doubts)  # further scores of the run repeat them
    save(result, config)
    return result


def open_model(config: Config) -> "Module":
    """The model that the options name; its ``spec`` says what it declares and what its weights are."""
    from static_dynamic import models

    try:
        declared = models.describe(config.model, config.frames, config.image_size)
        usual = None if declared.fixed_classes or declared.packaged else NUM_CLASSES.get(config.dataset or "")
        with catch_warnings():
            simplefilter("ignore", models.PartialWeights)  # the result says the same
            return models.create_model(
                declared,
                checkpoint=config.checkpoint,
                num_classes=config.num_classes or usual,
                seed=config.random_seed,
                strict=config.strict,
                trust_checkpoint=config.trust_checkpoint,
                pretrained=config.pretrained,
                checkpoint_key=config.checkpoint_key,
            )
    except models.ModelError as error:
        raise UserError(str(error)) from None


def cost_of(model: "Module", recipe: "Recipe | FlowRecipe", stages: list[str] | None) -> dict[str, dict[str, object]]:
    """What the model costs per clip, under ``cost``; nothing where that cannot be said."""
    from static_dynamic.network.cost import measure_cost

    try:
        return {"cost": asdict(measure_cost(model, recipe, stages, fvcore=False))}
    except UserError:  # if it is the model's fault, the measurement says so
        return {}


def judge_styles(config: Config, source: "Source", recipe: "Recipe | FlowRecipe", styles: Sequence[str]) -> "Judged":
    """What the audit of the styles on the videos of the study says, as far as it is asked for.

    Raises:
        UserError: If it is asked for where no style is judged.
    """
    from static_dynamic import FlowRecipe
    from static_dynamic.stylize.auditing.trust import judge_study, unjudged

    if config.audit == "off":
        return unjudged(styles)
    if isinstance(recipe, FlowRecipe):
        raise UserError("--audit is for models of clips: one of image and flow sees the flow as filmed in every style.")
    with progress_bar("videos to audit") as on_video:
        return judge_study(source, styles, config.random_seed, config.n_examples, on_video)


def stage_names(declared: Sequence[str], config: Config) -> list[str] | None:
    """Stages that ``--stg``, ``--path`` and ``--fuse`` name, in the published sense for numbers.

    Example:
        >>> config = Config(videos="factorial", stg="3", path="cat")
        >>> stage_names(["slow.stage3", "fast.stage3", "fused.stage3"], config)
        ['fused.stage3+fast.stage3']
    """
    if config.stg is None:
        return None
    return [_numbered(int(name), declared, config) if name.isdigit() and declared else name for name in config.stg]


def _numbered(number: int, declared: Sequence[str], config: Config) -> str:
    forms = [f"fused.stage{number}", f"slow.stage{number}"]  # some models and stages have only one of them
    slow = next((form for form in (forms if config.fuse else forms[::-1]) if form in declared), forms[1])
    pathways = {"slow": slow, "fast": f"fast.stage{number}", "cat": f"{slow}+fast.stage{number}"}
    for name in (f"stage{number}", f"block{number}", pathways[config.path or "fast"]):
        if set(name.split("+")) <= set(declared):
            return name
    raise unknown("stage", number, declared, where="--stg")


def device_name(device: str) -> str:
    """A device by name or, as in the published commands, the number of a GPU."""
    return f"cuda:{device}" if device.isdigit() else device


def chosen_estimators(config: Config) -> "list[str | Estimator]":
    """The estimators that the options name, the released one with its threshold."""
    from static_dynamic.estimators.released import Released

    return [Released(config.joint_encoding_thresh) if name == RELEASED else name for name in config.estimators]


def save(result: "Result", config: Config) -> None:
    """Write tables, manifest, plots, the report and the published output file."""
    folder = result.save(config.folder)
    if RELEASED in result.estimators:
        save_published(result, config)
    else:
        print(f"Note: without the estimator {RELEASED} there are no published files.", file=sys.stderr)
    if config.joint_encoding:
        save_classes(result, folder)
    result.report(folder / "report.html")
    result.plot(folder)


def save_published(result: "Result", config: Config) -> None:
    """Write the published files, which hold the released score."""
    from static_dynamic.common.files import write_text
    from static_dynamic.report.published import write_published

    write_text(config.folder / f"{plain(config.model)}_dim_est.csv", published_csv(result))
    if config.dim_outputs:
        tables = result.layer(RELEASED), result.unit(RELEASED)
        write_published(*tables, config.dim_outputs / "vos_models", config.run_name, config.random_seed)


def save_classes(result: "Result", folder: Path) -> None:
    """Write the unit classes: those of the released score under the published name, others under their own."""
    from static_dynamic.common.files import write_text

    for name in with_classes(result):
        file = "joint_encoding.csv" if name == RELEASED else f"joint_encoding-{name}.csv"
        write_text(folder / file, result.classes(name).round(1).to_csv())


def with_classes(result: "Result") -> list[str]:
    """The estimators that sort units into classes."""
    return [name for name in result.estimators if result.described(name)["classes"]]


def published_csv(result: "Result") -> str:
    """The published ``<model>_dim_est.csv``: a line of dims and one of percents, for every stage in turn."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for _, layer in result.layer(RELEASED).groupby("stage", sort=False):
        rows.writerow(layer["dims"])
        rows.writerow(layer["percent"])
    return text.getvalue()


def show(result: "Result", config: Config) -> None:
    """Print the tables, the warnings, and where everything is."""
    from rich.console import Console

    from static_dynamic.report.tables import quality_means, time_seen

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)  # a log has room for whole rows
    for part in result.parts:
        console.print(_single(part, _confidence(result)) if part.single else _several(part, _confidence(result)))
    for name in with_classes(result) if config.joint_encoding else ():
        classes = result.classes(name)
        rows = [
            [stage, *(f"{share:.1f}" for share in row)]
            for stage, row in zip(classes.index, classes.to_numpy(), strict=True)
        ]
        console.print(_table(f"Units of every class of {name}, percent", ["stage", *classes.columns], rows))
    if audited := result.manifest.get("audit"):
        columns = ["style", "colour", "texture", "motion", "flicker", "edges", "verdict"]
        rows = [[_short(row[column]) for column in columns] for row in audited]
        console.print(_table("Audit of the styles", columns, rows))
    if result.quality is not None:
        means = quality_means(result.quality).drop(columns=[f"success_{percent}" for percent in range(50, 100, 10)])
        rows = [[str(row[0]), str(row[1]), *(f"{value:.3g}" for value in row[2:])] for row in means.to_numpy()]
        console.print(_table("Quality of the masks, 0..1", list(means.columns), rows))
    if not any(part.has_twins for part in result.parts):
        line = "No untrained networks stand beside these numbers, so they do not say what was learned: `twins=3`."
        console.print(f"Note: {as_flags(line)}", style="yellow", markup=False, soft_wrap=True)
    if seen := time_seen(result.manifest.get("seconds_seen")):
        console.print(seen, markup=False, soft_wrap=True)
    for warning in result.warnings:
        console.print(f"Note: {as_flags(warning, FLAGS)}", style="yellow", markup=False, soft_wrap=True)
    console.print(f"Tables, plots and report.html: {config.folder}/", markup=False, soft_wrap=True)


def _confidence(result: "Result") -> str:
    return f"{100 * result.manifest.get('scoring', {}).get('confidence', 0.95):g} % interval"


def _single(part: "Part", interval: str) -> "Table":
    """One number per stage, beside untrained networks."""
    from static_dynamic.report.parts import beside_untrained
    from static_dynamic.report.tables import with_interval

    rows = []
    for row in rows_of(part.numbers[part.numbers["factor"] == part.drawn[0]]):
        value = with_interval(row["mean"], row["low"], row["high"], part.digits)
        twin = with_interval(row["twin"], row["twin_low"], row["twin_high"], part.digits)
        rows.append([row["stage"], value, *([twin, beside_untrained(row)] if part.has_twins else [])])
    columns = ["stage", f"value [{interval}]", *(["untrained [spread]", "note"] if part.has_twins else [])]
    return _table(f"{part.name}: {' '.join(part.label.split())}", columns, rows)


def _several(part: "Part", interval: str) -> "Table":
    """The factors of every stage, and nothing else."""
    from static_dynamic.report.tables import with_interval

    rows = [
        [str(stage), *(with_interval(row["mean"], row["low"], row["high"], part.digits) for row in rows_of(numbers))]
        for stage, numbers in part.numbers.groupby("stage", sort=False)
    ]
    return _table(f"{part.name}: {' '.join(part.label.split())} [{interval}]", ["stage", *part.factors], rows)


def _short(value: object) -> str:
    return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> "Table":
    from rich.markup import escape  # brackets are brackets
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(escape(column), justify="right" if i else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 if it went well, 2 after a user's slip, 130 if it was stopped."""
    return command(lambda: _main(sys.argv[1:] if arguments is None else arguments), FLAGS)


def _main(arguments: Sequence[str]) -> None:
    if arguments and arguments[0] in COMMANDS:
        import_module(f"static_dynamic.misc.{COMMANDS[arguments[0]]}").show(arguments[1:])
        return
    config = read_config(arguments)
    show(run(config), config)


if __name__ == "__main__":
    sys.exit(main())
