"""Measuring a model while it trains: what ``--track`` does."""

from accelerate import PartialState

from static_dynamic.tracking import track
from static_dynamic.training.loop import OnEpoch
from static_dynamic.training.options import TrainOptions
from static_dynamic.training.setup import Network


def course(options: TrainOptions, network: Network) -> OnEpoch | None:
    """Measures at the start and every ``track_every`` epochs, in the first process; ``None`` without ``--track``.

    The run's folder holds the course in ``course/``, with its TensorBoard log, and the page ``course.html``.

    Raises:
        UserError: If the videos or stages cannot be measured, or the folder holds another course.
    """
    if options.track is None or not PartialState(cpu=options.device == "cpu").is_main_process:
        return None
    folder = options.folder("train")
    tracker = track(
        network.model,
        options.track,
        options.track_stages,
        recipe=network.recipe,
        layout=options.track_layout,
        seed=options.seed,
        every=options.track_every,
        unit="epoch",
        store=folder / "course",
        resume=options.resume,
        log_to="tensorboard",
    )

    def measure(epoch: int) -> None:
        tracker(epoch)
        tracker.report(folder / "course.html")

    return measure
