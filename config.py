"""All options of a run, typed, read from flags and a file; and the data and input that they name."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator

from static_dynamic.common.commands import also, flag
from static_dynamic.common.errors import UserError
from static_dynamic.common.options import Names, Options, Repeated, read_options
from static_dynamic.common.places import is_address, local
from static_dynamic.common.plugins import HELP, import_plugins

if TYPE_CHECKING:
    from static_dynamic import FlowRecipe, Recipe
    from static_dynamic.models import ModelSpec
    from static_dynamic.sources import Source


def _text(value: object) -> object:
    return str(value) if isinstance(value, int) else value


def _numbers(value: object) -> object:
    return tuple(int(part) for part in value.lower().replace("x", ",").split(",")) if isinstance(value, str) else value


def _side(value: object) -> object:
    numbers = _numbers(value)
    return numbers[0] if isinstance(numbers, tuple) and len(numbers) == 1 else numbers


def _place(value: object) -> object:
    return Path(value) if isinstance(value, str) and not is_address(value) else value


def _floats(value: object) -> object:
    return tuple(float(part) for part in value.split(",")) if isinstance(value, str) else value


Side = Annotated[int, Field(ge=16)]
Channels = Annotated[tuple[float, float, float] | None, BeforeValidator(_floats)]


ClipDataset = Literal["StylizedActivityNet", "ssv2", "Diving48", "folders"]
FlowDataset = Literal["DAVIS", "MoCA", "StylizedDAVIS", "StylizedDAVISCinematograms", "StylizedDAVISStereograms"]


# Fields of the published configurations of segmentation models. They select the model, or have no effect here:
# every frame is measured once (nreps), the device is that of --device (gpu_id), and nothing is trained.
PUBLISHED = {"split", "nreps", "gpu_id", "variant", "sampling_method", "num_classes", "output_stride", "fuse_early"}
PUBLISHED |= {"fuse_bnorm", "fwbwflow", "extra_args", "pretrain_motionstream"}
ONLY = {
    "variant": ("img_flow", "the models take image and flow"),
    "sampling_method": ("noisy_flow", "the published code runs only with this one"),
}


CLIP_OPTIONS = ("frames", "rate", "n_sample_frames", "fps", "image_size", "input_layout", "input_values", "mean", "std")
FLOW_OPTIONS = ("crop_size",)


class Config(Options):
    """Options of a measurement, with their published names as aliases; ``None`` means the default of model and data."""

    sections: ClassVar[Mapping[str, str]] = {
        "model": "Model",
        "stages": "Stages and units",
        "videos": "Videos",
        "frames": "Input of the model",
        "styles": "Conditions",
        "joint_encoding": "Scores",
        "seed": "Running",
        "out": "Output",
    }

    # What is measured
    model: str = Field(
        "i3d", description="model to measure: a name (`static-dynamic models list`), library:model, or module:function"
    )
    checkpoint: Path | None = Field(
        None, description="checkpoint file, in any published format; without it see --pretrained"
    )
    pretrained: bool | None = Field(
        None,
        description="True: the published weights, which are downloaded; False: random ones (default: those of an "
        "installed package, else random)",
    )
    strict: bool = Field(True, description="refuse a checkpoint whose keys do not all fit")
    num_classes: int | None = Field(
        None, ge=1, description="size of the classifier (default: that of the checkpoint, else as published)"
    )
    checkpoint_key: str | None = Field(
        None, description="where in the checkpoint the weights are, e.g. model_ema (default: the best fit)"
    )
    trust_checkpoint: bool = Field(False, description="load a checkpoint even if it could run code")
    trained_on: str | None = Field(None, description="data set that the checkpoint was trained on, for the record")
    stages: Annotated[Names | None, BeforeValidator(_text), also("stg", "stage")] = Field(
        None, description="stage number, name or glob, or several, separated by commas; default: all"
    )
    path: Literal["slow", "fast", "cat"] | None = Field(
        None, description="SlowFast pathway of a numbered stage (default: fast)"
    )
    fuse: bool = Field(True, description="SlowFast: the slow pathway after lateral fusion")
    pool: Annotated[str, also("gp")] = Field(
        "avg", description="pooling of positions: fast or avg, max, avgmax, avgmaxc, patch, cls, frame, or a plugin's"
    )
    layout: str | None = Field(None, description="layout of stages named by module path, e.g. 'N C T H W'")

    # Videos
    videos: str | None = Field(
        None,
        description="video file, folder of videos or of frame folders, list of videos (.txt, .csv), tar files "
        "(`clips-{000..009}.tar`), `hf:folder[:split]`, address of a folder of videos (s3://bucket/clips/), or "
        "`factorial[:count]`",
    )
    labels: Literal["folders"] | None = Field(
        None, description="folders: the class of a video is the name of its folder"
    )
    stylized_data_dir: Path | None = Field(None, description="stylized data set, see --dataset")
    original_data_root: Path | None = Field(
        None, description="DAVIS, or a data set in its layout, for models of image and flow"
    )
    stylized_data_root: Path | None = Field(None, description="the restyled images of --original-data-root")
    dataset: ClipDataset | FlowDataset | None = Field(
        None, description="the data set in --stylized-data-dir (folders: without annotations) or --original-data-root"
    )
    subset: str | None = Field(None, description="split of the annotations (default: the published one)")
    annotations: Path | None = Field(
        None, description="annotation file of --dataset (default: the published name, in --stylized-data-dir)"
    )
    max_videos: Annotated[int, also("n_examples")] = Field(
        3000, ge=1, description="use at most this many videos, the first ones"
    )
    frames: int | None = Field(None, ge=1, description="frames of a clip")
    rate: int | None = Field(None, ge=1, description="source frames per frame of a clip")
    n_sample_frames: int | None = Field(None, ge=1, description="consecutive frames that a clip spans")
    frame_step: int = Field(1, ge=1, description="image and flow: use every n-th frame of a sequence")
    fps: float | None = Field(
        None, gt=0, description="frames per second at which --rate counts (default: those of each video)"
    )
    image_size: Annotated[Side | tuple[Side, Side] | None, BeforeValidator(_side)] = Field(
        None, description="centre crop, pixels: the side of a square, or height x width, e.g. 112x160"
    )
    input_layout: str | None = Field(None, description="axes of one clip, e.g. 'T C H W' (default: 'C T H W')")
    input_values: Literal["normalised", "uint8"] | None = Field(
        None, description="input of the model: float32, less the mean and divided by the deviation, or uint8 pixels"
    )
    mean: Channels = Field(None, description="mean of each channel, for RGB in 0..1, e.g. 0.45,0.45,0.45")
    std: Channels = Field(None, description="standard deviation of each channel, for RGB in 0..1")
    crop_size: Annotated[tuple[int, int] | None, BeforeValidator(_numbers)] = Field(
        None, description="image and flow: height and width, pixels, e.g. 480x854"
    )

    # Conditions and pairs
    styles: Names | None = Field(None, description="built-in styles or image files, or ids of styles on disk")
    scrambles: Names | None = Field(
        None, description="scrambles of the frame order, or changes of the flow (default: shuffle, or jitter)"
    )
    audit: Literal["off", "warn", "weigh"] = Field(
        "off", description="judge the styles on these videos first; warn of those that fail, or weigh pairs too"
    )
    app_shuffle: bool = Field(True, description="static pairs differ in order; else they are videos of two classes")
    use_normal_app: bool = Field(False, description="static pairs are made of the original videos")
    m_same: bool = Field(True, description="dynamic pairs come from one video; else from two of a class")
    n_factors: int = Field(3, description="number of factors, the residual included")
    residual_index: int = Field(2, description="which factor is the residual")
    joint_encoding: bool = Field(False, description="also print and save the unit classes")
    joint_encoding_thresh: float = Field(
        0.5, ge=0, le=1, description="released: a unit encodes a factor above this score"
    )
    estimators: Names = Field(
        ("needs_motion", "released"),
        description="scores to compute, the main one first, separated by commas (`static-dynamic estimators`)",
    )
    twins: int = Field(3, ge=0, description="untrained copies of the network to show next to every number; 0 for none")
    replicates: int = Field(1000, ge=1, description="bootstrap replicates over videos")
    interval: Literal["videos", "styles"] = Field(
        "videos", description="choice that intervals cover: of videos, for these styles, or of styles too"
    )
    evaluate: bool = Field(False, description="image and flow: also compare the masks with the annotated ones (J, F)")
    seed: Annotated[int, also("random_seed")] = Field(
        1, ge=0, description="seed of styles, scrambles, bootstrap and random weights"
    )

    # Running
    plugin: Repeated = Field((), description=HELP)
    batch_size: int = Field(8, ge=1, description="variants per forward pass")
    device: Annotated[str, BeforeValidator(_text)] = Field(
        "auto", description="auto, cpu, cuda, mps, or the number of a GPU"
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field("float32", description="precision of forward passes")
    channels_last: bool = Field(
        False, description="clips with their channels last in memory: with bfloat16 about twice as fast on a CPU"
    )
    workers: Annotated[int, also("num_workers")] = Field(
        1, ge=0, description="threads that read and restyle videos while the model runs"
    )
    max_bad: float = Field(0.05, ge=0, le=1, description="largest share of unreadable videos before a run fails")
    alone: bool = Field(False, description="measure in this process alone, also if torchrun or srun started several")
    profile: bool = Field(False, description="also print where the time went")
    resume: bool = Field(True, description="resume a run that was stopped; else start over")
    out: Annotated[Path | str | None, BeforeValidator(_place), also("save_dir")] = Field(
        None, description="folder of this run, or its address on an object store (default: runs/NAME)"
    )
    name: str | None = Field(None, description="name of this run (default: model and data)")
    dim_outputs: Path | None = Field(None, description="also write the published files, below this folder")

    @classmethod
    def adapted(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Also accept options of a published configuration of a segmentation model."""
        return _published(options)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [self.videos, self.stylized_data_dir, self.original_data_root]
        if sum(place is not None for place in given) != 1:
            raise ValueError(
                "give either --videos (--videos factorial works without data), --stylized-data-dir with --dataset, "
                "or --original-data-root"
            )
        if self.stylized_data_dir is not None and self.dataset not in get_args(ClipDataset):
            raise ValueError(f"--stylized-data-dir requires --dataset ({', '.join(get_args(ClipDataset))})")
        if self.dataset == "folders" and self.subset is not None:
            raise ValueError("--subset is a split of annotations, but --dataset folders does not have annotations")
        if self.annotations is not None and (self.stylized_data_dir is None or self.dataset == "folders"):
            raise ValueError("--annotations requires --stylized-data-dir with a published --dataset")
        if self.labels is not None and self.videos is None and self.dataset != "folders":
            raise ValueError(
                "--labels requires --videos or --dataset folders: published data sets have classes already"
            )
        if self.original_data_root is not None and self.dataset not in (None, *get_args(FlowDataset)):
            raise ValueError(f"--original-data-root requires --dataset ({', '.join(get_args(FlowDataset))})")
        if self.stylized_data_root is not None and self.original_data_root is None:
            raise ValueError("--stylized-data-root requires --original-data-root, which holds the lists and the flow")
        return self

    @property
    def flow_dataset(self) -> str:
        """The data set of ``original_data_root``: as given, or else by whether there are restyled images."""
        return self.dataset or ("StylizedDAVIS" if self.stylized_data_root else "DAVIS")

    @property
    def run_name(self) -> str:
        """Name of the run: as given, or else model and data."""
        place = Path(str(self.stylized_data_dir or self.videos)).resolve().name
        dataset = self.flow_dataset if self.original_data_root else self.dataset
        return self.name or plain(f"{self.model}_{place if dataset in (None, 'folders') else dataset}")

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return local(self.out) if self.out else Path("runs") / self.run_name


def plain(name: str) -> str:
    """A name that is valid for a file."""
    return name.replace("/", "-").replace(":", "-")


def read_config(arguments: Sequence[str]) -> Config:
    """Options from flags and, if the flags name one, from a file; their plugins are imported.

    Raises:
        UserError: For an unknown option (the nearest is named), an invalid value, or a plugin that cannot be imported.
    """
    config = read_options(Config, arguments)
    import_plugins(config.plugin)
    return config


def _published(options: dict[str, Any]) -> dict[str, Any]:
    """Options of a published configuration of a segmentation model → those of this project; others are unchanged.

    Raises:
        UserError: If it names a model or a kind of sampling that was not published.
    """
    if not options.keys() & (PUBLISHED - {"num_classes"}):  # which is an option of this project too
        return options
    from static_dynamic.models import ModelError
    from static_dynamic.models.segmentation.published import published_name, segmentation_model

    for name, (allowed, why) in ONLY.items():
        if options.get(name, allowed) != allowed:
            raise UserError(f"The field '{name}' must be {allowed!r}: {why}. Got {options[name]!r}.")
    fields = {"model": None, **options}
    try:
        options = {"name": published_name(fields), **options, "model": segmentation_model(fields)}
    except ModelError as error:
        raise UserError(f"{options['cfg_file']}: {error}") from None
    if "split" in options:
        options["subset"] = options.pop("split")
    return {name: value for name, value in options.items() if name not in PUBLISHED}


def open_data(config: Config, recipe: "Recipe | FlowRecipe") -> "Source":
    """The videos that the options name."""
    from static_dynamic import FlowRecipe
    from static_dynamic.sources import Davis, StyleFolders, Stylized, open_source

    if config.original_data_root is not None:
        if not isinstance(recipe, FlowRecipe):
            images = f"{config.original_data_root}/JPEGImages/480p"
            raise UserError(f"{config.model} takes clips, not image and flow: use --videos {images} instead.")
        return Davis(
            config.original_data_root,
            config.flow_dataset,
            config.stylized_data_root,
            styles=config.styles,
            split=config.subset or "val",
            flows=recipe.flows,
            seed=config.seed,
            every=config.frame_step,
        )
    if config.stylized_data_dir is None:
        return open_source(str(config.videos), **({"labels": config.labels} if config.labels else {}))
    if config.dataset == "folders":
        return StyleFolders(config.stylized_data_dir, config.styles or (), config.use_normal_app, config.labels)
    return Stylized(
        config.stylized_data_dir,
        str(config.dataset),
        styles=config.styles or ("1", "2", "3", "4"),
        split=config.subset,
        seed=config.seed,
        use_normal_app=config.use_normal_app,
        limit=config.max_videos,
        annotations=config.annotations,
    )


def input_recipe(spec: "ModelSpec", config: Config) -> "Recipe | FlowRecipe":
    """The model's recipe, changed by the options; the short side keeps its proportion to the crop.

    Raises:
        UserError: If neither the model nor the options define the input.
    """
    from static_dynamic import FlowRecipe, Recipe
    from static_dynamic.media.inputs import make_recipe

    if spec.recipe is None and None in (config.frames, config.rate, config.image_size):
        raise UserError(f"{spec.name} does not declare its input: give --frames, --rate and --image-size.")
    recipe = make_recipe(spec.recipe) if spec.recipe else Recipe()
    other = CLIP_OPTIONS if isinstance(recipe, FlowRecipe) else FLOW_OPTIONS
    for name in other:
        if getattr(config, name) is not None:
            input_form = "image and flow" if other is CLIP_OPTIONS else "clips"
            raise UserError(f"{spec.name} takes {input_form}, for which {flag(name)} has no effect.")
    if isinstance(recipe, FlowRecipe):
        return replace(recipe, size=config.crop_size) if config.crop_size else recipe
    form: dict[str, Any] = {
        "layout": config.input_layout,
        "values": config.input_values,
        "mean": config.mean,
        "std": config.std,
    }
    recipe = recipe.changed(config.frames, config.rate, config.image_size, config.n_sample_frames, config.fps)
    return replace(recipe, **{name: value for name, value in form.items() if value is not None})
