"""Options of training and of evaluation, typed, in one place."""

from collections.abc import Mapping
from pathlib import Path
from string import Formatter
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from static_dynamic.common.commands import also
from static_dynamic.common.options import Names, Numbers, Options


def _template(value: str) -> str:
    if len([field for _, field, *_ in Formatter().parse(value) if field is not None]) != 1 or value.format(1) == value:
        raise ValueError("give a file name with one placeholder for a number, e.g. {:06d}.jpg")
    return value


DATA_SECTIONS = {"model": "Model", "data": "Clips", "batch_size": "Running", "out": "Output"}
"""First option of a section → its heading in the help."""


class RunOptions(Options):
    """How a model is run over clips, in training and in evaluation."""

    batch_size: int = Field(10, ge=1, description="clips per forward pass and process; in evaluation, videos")
    workers: Annotated[int, also("num_workers")] = Field(
        2, ge=0, description="processes that read clips; the result does not depend on them"
    )
    max_bad: float = Field(0.05, ge=0, le=1, description="share of unreadable videos above which a run stops")
    device: Literal["auto", "cpu"] = Field("auto", description="auto (a GPU if there is one) or cpu")
    precision: Literal["float32", "bfloat16", "float16"] = Field("float32", description="float32, or mixed")
    seed: Annotated[int, also("random_seed")] = Field(
        1, ge=0, lt=2**32, description="seed of weights, order, sampling, augmentation and dropout"
    )


class LoopOptions(RunOptions):
    """How a model is trained, on any clips; the defaults are the published ones."""

    epochs: int = Field(120, ge=1, description="epochs")
    lr: float = Field(0.001, gt=0, description="learning rate at the start")
    lr_type: Literal["step", "cos", "small_init_step"] = Field(
        "step",
        description="step: x 0.1 at --lr-steps; cos: half a cosine; small_init_step: x 0.2 for ten epochs, then step",
    )
    lr_steps: Numbers = Field((50, 100), description="epochs after which the rate drops")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of SGD")
    weight_decay: float = Field(5e-4, ge=0, description="weight decay of SGD")
    gd: float | None = Field(None, gt=0, description="clip the norm of the gradient to this (default: do not)")
    dropout: float | None = Field(None, ge=0, lt=1, description="dropout before the classifier (default: the model's)")
    sync_bn: bool = Field(False, description="share the statistics of batch norm between GPUs")
    eval_freq: int = Field(5, ge=0, description="epochs between two validations; 0: never")
    save_steps: int = Field(0, ge=0, description="steps between two saved states within an epoch; 0: do not")
    save_every: int = Field(0, ge=0, description="epochs between two kept checkpoints; 0: the last and the best")
    resume: bool = Field(True, description="resume a run that was stopped; otherwise start over")


class DataOptions(RunOptions):
    """Which model, and which clips of frame folders."""

    model: str = Field(description="model: a name (`static-dynamic models list`), library:model, or module:function")
    checkpoint: Path | None = Field(None, description="checkpoint file to start from, in any published format")
    checkpoint_key: str | None = Field(
        None, description="where in the checkpoint the weights are, e.g. model_ema (default: what fits best)"
    )
    strict: bool = Field(True, description="refuse a checkpoint whose keys do not all fit")
    trust_checkpoint: bool = Field(False, description="load a checkpoint even if it could run code")
    data: Path = Field(description="folder of the frame folders: <data>/<id>/000001.jpg, ...")
    lists: Path | None = Field(
        None, description="folder of category.txt and {train,val,test}_videofolder.txt (default: that of --data)"
    )
    image_tmpl: Annotated[str, AfterValidator(_template)] = Field(
        "{:06d}.jpg", description="names of the frames, which count from 1; any extension of an image is read"
    )
    sampling: Literal["segments", "dense"] = Field(
        "segments", description="segments: frames spread over the video; dense: consecutive ones, --rate apart"
    )
    frames: int | None = Field(None, ge=1, description="frames of a clip (default: the model's)")
    rate: int | None = Field(None, ge=1, description="dense: source frames per frame of a clip (default: the model's)")
    image_size: int | None = Field(None, ge=16, description="side of the crop, pixels (default: the model's)")
    out: Annotated[Path | None, also("save_dir")] = Field(
        None, description="folder of this run (default: runs/COMMAND_MODEL_DATA)"
    )

    @property
    def list_folder(self) -> Path:
        """The folder of the lists."""
        return self.lists or self.data

    def folder(self, command: str) -> Path:
        """The folder of the run."""
        name = f"{command}_{self.model}_{self.data.resolve().name}".replace("/", "-").replace(":", "-")
        return self.out or Path("runs") / name


class TrainOptions(LoopOptions, DataOptions):
    """Options of ``train``, under the published names where they have one."""

    sections: ClassVar[Mapping[str, str]] = {
        **DATA_SECTIONS,
        "epochs": "Training",
        "flip": "Training",
        "track": "While it trains",
    }

    flip: bool | None = Field(
        None, description="mirror half of the clips (default: unless the data set or a class names a direction)"
    )
    pretrained_backbone: bool = Field(False, description="start from an ImageNet ResNet-50, downloaded if necessary")
    track: str | None = Field(
        None, description="measure on these videos while it trains, e.g. factorial:24, or a folder (default: do not)"
    )
    track_every: int = Field(1, ge=1, description="epochs between two measurements")
    track_stages: Names | None = Field(None, description="stages that are measured, names or globs (default: all)")
    track_layout: str | None = Field(None, description="layout of stages named by module path, e.g. 'N C T H W'")

    @model_validator(mode="after")
    def _one_beginning(self) -> Self:
        if self.pretrained_backbone and self.checkpoint:
            raise ValueError("give either --checkpoint or --pretrained-backbone")
        return self


class EvaluateOptions(DataOptions):
    """Options of ``evaluate``."""

    sections: ClassVar[Mapping[str, str]] = {**DATA_SECTIONS, "split": "Evaluation"}

    split: str = Field("val", description="train, val or test, or the name of a list in --lists")
    multi_clip: bool = Field(False, description="2 samplings x 3 crops of every video, logits averaged")
    full_res: bool | None = Field(
        None,
        description="with --multi-clip: crops as large as the short side (default: yes), else of the training size",
    )
