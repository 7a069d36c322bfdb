"""One rule for what is drawn: by seed and names alone, for every purpose on its own."""

import re
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import static_dynamic
from static_dynamic.common.errors import UserError
from static_dynamic.common.seeds import check_seed, derive_seed, generator
from static_dynamic.functional import resample
from static_dynamic.sources import FactorialVideos
from static_dynamic.training.syncmnist.clips import SyncMNIST
from static_dynamic.variants import derive_seed as of_variants

ROOT = Path(__file__).parents[1]

names = st.lists(st.one_of(st.text(), st.integers(), st.booleans()), max_size=3)


def test_a_seed_is_the_beginning_of_a_digest():
    assert derive_seed(1, "order", "cat.mp4", 0) == int(sha256(b"(1, 'order', 'cat.mp4', 0)").hexdigest()[:16], 16)
    assert derive_seed(7) == int(sha256(b"(7,)").hexdigest()[:16], 16)
    assert derive_seed is of_variants


@given(seed=st.integers(0, 2**64), one=names, other=names)
def test_every_purpose_has_numbers_of_its_own(seed, one, other):
    assert 0 <= derive_seed(seed, *one) < 2**64
    assert generator(seed, *one).integers(2**62) == generator(seed, *one).integers(2**62)
    if repr(one) != repr(other):
        assert derive_seed(seed, *one) != derive_seed(seed, *other)
    assert derive_seed(seed, *one) != derive_seed(seed + 1, *one)


def test_a_seed_of_numpy_is_that_number():
    assert derive_seed(np.int64(3), "a") == derive_seed(3, "a")


def test_a_name_that_is_not_utf_8_can_be_drawn_for():
    assert derive_seed(0, "caf\udce9") != derive_seed(0, "caf\udcea")


def test_a_negative_seed_is_refused():
    for use in (check_seed, generator):
        with pytest.raises(UserError, match=r"The 'seed' must be a non-negative integer\. Got -1\."):
            use(-1)


@pytest.mark.parametrize("seed", [1.5, "1", None, True, float("nan")])
def test_a_seed_that_is_no_whole_number_is_refused(seed):
    for use in (check_seed, generator):
        with pytest.raises(UserError, match="must be a non-negative integer"):
            use(seed)


def test_what_is_drawn_for_one_does_not_depend_on_how_many_there_are():
    few, many = FactorialVideos(3, seed=5), FactorialVideos(9, seed=5)
    assert [video.details for video in few.videos] == [video.details for video in many.videos[:3]]
    few, many = SyncMNIST(2, seed=5), SyncMNIST(60, seed=5)
    assert all(np.array_equal(few[index].frames, many[index].frames) for index in range(2))


def test_seeds_far_and_near_draw_otherwise():
    for seed in (1, 2**32):  # a seed is not cut down to 32 bits
        assert not np.array_equal(resample(9, 20, 0).weights, resample(9, 20, seed).weights)
        assert SyncMNIST(1, seed=seed)[0].boxes.tolist() != SyncMNIST(1, seed=0)[0].boxes.tolist()


FIXED = r"(?!0\)|SEED\))"  # a picture that is always the same
DRAWS = re.compile(rf"default_rng\({FIXED}|RandomState\(|SeedSequence\(|crc32\(|\brandom\.seed\(|np\.random\.seed\(")


def test_no_other_rule_is_in_use():
    """But that of styles and scrambles, with which the pictures and tables in the docs were made."""
    packages = ("static_dynamic", "training", "stylize", "misc", "models")
    files = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    found = {path.relative_to(ROOT).as_posix() for path in files if DRAWS.search(path.read_text())}
    assert found == {"static_dynamic/common/seeds.py", "static_dynamic/common/registry.py"}
    assert "styles and scrambles" in " ".join(static_dynamic.common.seeds.__doc__.lower().split())
