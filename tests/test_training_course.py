"""Training that measures its course: the weights stay those of a training that does not, and a stopped run goes on."""

from pathlib import Path

import pytest
import torch
from pages import read_page
from tiny import TRAIN, fails, same, succeeds, weights
from tiny_models import Tiny

from static_dynamic.tracking import open_course
from static_dynamic.training.loop import fit
from static_dynamic.training.options import LoopOptions

pytest_plugins = ("tiny_data",)  # the fixture `work`

TRACK = ["--track", "factorial:4", "--track_stages", "norm", "--track_layout", "N C T H W"]


def test_training_is_the_same_with_its_course_and_writes_the_page(work):
    succeeds(*TRAIN, "--epochs", 2, "--save_dir", "plain")
    succeeds(*TRAIN, "--epochs", 1, "--save_dir", "r", *TRACK)
    before = Path("r/course/000000000001.json").read_bytes()
    succeeds(*TRAIN, "--epochs", 2, "--save_dir", "r", *TRACK)
    assert Path("r/course/000000000001.json").read_bytes() == before
    assert same(weights("plain"), weights("r"))
    course = open_course("r/course")
    assert course.steps == [0, 1, 2]
    assert course.table["value"].notna().all()
    assert "after 2 epochs" in read_page(Path("r/course.html")).words
    assert list(Path("r/course/tensorboard").iterdir())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--track", "factorial:4", "--track_stages", "nrom", "--track_layout", "N C T H W"], "norm"),
        (["--track", "nowhere"], "nowhere"),
        (["--track", "factorial:4", "--track_every", "0"], "--track-every is invalid"),
    ],
)
def test_slips_are_found_before_training(work, capsys, arguments, says):
    assert says in fails(capsys, *TRAIN, "--epochs", 1, "--save_dir", "r", *arguments)
    assert not Path("r").exists()


class Clips:
    """Eight clips of noise."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        from static_dynamic.training.data import Item

        return Item(torch.full((3, 4, 16, 16), index / 8), index % 3)


def test_what_is_called_after_every_epoch_is_not_called_twice_where_a_run_was_stopped(tmp_path, alone):
    """A run that ends while it is told of an epoch trains this epoch again, to the same weights, and tells again."""
    told = []

    def tell(epoch):
        told.append((epoch, [weight.detach().clone() for weight in model.parameters()]))
        if stops and epoch == 2:
            raise KeyboardInterrupt

    options = LoopOptions(epochs=3, batch_size=4, device="cpu", num_workers=0, eval_freq=0)
    for stops in (True, False):
        torch.manual_seed(0)
        model = Tiny()
        try:
            fit(model, Clips(), None, options, tmp_path / "run", on_epoch=tell)
        except KeyboardInterrupt:
            assert stops
    assert [epoch for epoch, _ in told] == [0, 1, 2, 1, 2, 3]
    for earlier, later in ((1, 3), (2, 4)):
        assert all(map(torch.equal, told[earlier][1], told[later][1]))
