"""Images are turned and mirrored as their EXIF orientation says: frames, masks and styles alike, in one place."""

import numpy as np
import pytest
from media import noisy_frames
from PIL import Image

from static_dynamic.common.errors import BadClip
from static_dynamic.interventions.image_style import read_image as read_style
from static_dynamic.media.clip import Recipe
from static_dynamic.media.images import image_at, open_image, read_image
from static_dynamic.sources import FrameFolders
from static_dynamic.sources.masks import read_mask

# EXIF 2.32, 4.6.4: where the first row and the first column of the stored image are shown.
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def shown(stored, orientation):
    """The picture of which ``stored`` is the image with that orientation, line by line."""
    row, column = SIDES[orientation]
    upright = stored if row in ("top", "bottom") else stored.swapaxes(0, 1)
    if "bottom" in (row, column):
        upright = upright[::-1]
    return upright[:, ::-1] if "right" in (row, column) else upright


def saved(path, levels, orientation):
    path.parent.mkdir(exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(levels).save(path, exif=exif, quality=95, subsampling=0)
    return path


@pytest.mark.parametrize("orientation", SIDES)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_every_orientation_is_honoured_for_frames_masks_and_styles(tmp_path, orientation, suffix):
    picture = np.kron(noisy_frames(1, 3, 5)[0], np.ones((16, 16, 1), np.uint8))
    path = saved(tmp_path / f"a{suffix}", picture, orientation)
    stored = np.asarray(Image.open(path).convert("RGB"))
    assert np.array_equal(read_image(path), shown(stored, orientation))
    assert np.array_equal(read_style(path), shown(stored, orientation))
    mask = np.kron(np.array([[255, 0, 0], [255, 255, 0]], np.uint8), np.ones((16, 16), np.uint8))
    path = saved(tmp_path / f"mask{suffix}", mask if suffix != ".webp" else np.stack([mask] * 3, axis=-1), orientation)
    assert np.array_equal(read_mask(path), shown(mask // 255, orientation))


def test_a_mask_fits_its_frame_however_the_camera_was_held(tmp_path):
    frame = np.zeros((16, 32, 3), np.uint8)
    frame[:8, :8] = 255
    for orientation in SIDES:
        picture = read_image(saved(tmp_path / "frame.png", frame, orientation))
        mask = read_mask(saved(tmp_path / "mask.png", frame[..., 0], orientation))
        assert np.array_equal(picture[..., 0] // 255, mask)


def test_frames_of_a_folder_are_turned(tmp_path):
    for number in range(4):
        saved(tmp_path / "a" / f"{number}.jpg", np.full((16, 32), 60 * number, np.uint8), 6)
    source = FrameFolders(tmp_path)
    clip = source.read(source.videos[0], Recipe(frames=4, rate=1, crop=16))
    assert clip.frames.shape == (4, 32, 16, 3)
    assert clip.frames[:, 0, 0, 0].tolist() == [0, 60, 120, 180]


def test_a_jpeg_that_is_turned_is_still_lossy(tmp_path):
    """Its faint levels are no ids."""
    path = saved(tmp_path / "mask.jpg", np.full((16, 32), 3, np.uint8), 6)
    assert open_image(path).format == "JPEG"
    assert not read_mask(path).any()


def test_an_image_is_found_whatever_its_extension(tmp_path):
    for name in ("1.png", "1.jpg", "2.JPEG", "3.txt", ".4.png"):
        (tmp_path / name).touch()
    found = {stem: image_at(tmp_path, stem).name for stem in ("1", "2", "3", "4")}
    assert found == {"1": "1.jpg", "2": "2.JPEG", "3": "3.jpg", "4": "4.jpg"}
    assert image_at(tmp_path, "1", ".png").name == "1.png"
    assert image_at(tmp_path / "nowhere", "1", ".png") == tmp_path / "nowhere" / "1.png"


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("odd\nthing"), Image.DecompressionBombError("a bomb")])
def test_whatever_goes_wrong_with_an_image_is_one_line(tmp_path, monkeypatch, error):
    path = saved(tmp_path / "a.png", np.zeros((4, 4), np.uint8), 1)

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(
        BadClip, match=r"a\.png: this frame cannot be read \((MemoryError|RuntimeError: odd thing)|too many pixels"
    ):
        open_image(path)
