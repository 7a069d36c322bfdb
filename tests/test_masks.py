"""Masks and boxes as files: every kind of image becomes the ids it means, run lengths come back, slips cost one line."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from media import cut
from PIL import Image

from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.sources.masks import BoxAnnotation, decode, encode, foreground, objects, read_boxes, read_mask

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
# pycocotools is not quite up to numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")

MASKS = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(lambda shape: arrays(bool, shape))

# Two objects on background, 6x8.
IDS = np.zeros((6, 8), np.uint8)
IDS[1:4, 1:4], IDS[3:5, 5:8] = 1, 3
BINARY = (IDS > 0).astype(np.uint8)
# Ids and colours that PASCAL VOC documents.
VOC = {
    0: (0, 0, 0),
    1: (128, 0, 0),
    2: (0, 128, 0),
    3: (128, 128, 0),
    8: (64, 0, 0),
    15: (192, 128, 128),
    20: (0, 64, 128),
}


def saved(path, levels, mode=None):
    image = Image.fromarray(levels)
    image.convert(mode or image.mode).save(path)
    return path


def rendered(ids, colours=VOC):
    return np.array([colours.get(number, (9, 9, 9)) for number in range(256)], np.uint8)[ids]


@pytest.mark.parametrize(
    ("levels", "mode", "expected"),
    [
        (BINARY * 255, None, BINARY),
        (BINARY * 255, "1", BINARY),
        (BINARY, None, BINARY),
        (IDS, None, IDS),
        (np.zeros_like(IDS), None, np.zeros_like(IDS)),
        (np.full_like(IDS, 255), None, np.ones_like(IDS)),
        (BINARY * 255, "LA", BINARY),
        (BINARY * 255, "RGB", BINARY),
        (BINARY * 255, "RGBA", BINARY),
        (IDS, "RGB", IDS),
        (rendered(IDS), None, IDS),
        (rendered(BINARY, {0: (0, 0, 0), 1: (255, 0, 200)}), None, BINARY),
        (IDS.astype(np.uint16), None, IDS),
        (BINARY.astype(np.uint16) * 65535, None, BINARY),
        (IDS.astype(np.uint16) * 257, None, IDS),
        (IDS.astype(np.uint16) + 200 * BINARY, None, IDS + 200 * BINARY),
        (np.where(IDS == 3, 255, IDS), None, np.where(IDS == 3, 255, IDS)),
    ],
)
def test_every_kind_of_image_becomes_its_ids(tmp_path, levels, mode, expected):
    ids = read_mask(saved(tmp_path / "mask.png", levels, mode))
    assert ids.dtype == np.uint8
    assert ids.tolist() == expected.tolist()


@pytest.mark.parametrize("palette", [list(range(256)) * 3, [0, 0, 0, 200, 30, 30, 9, 9, 9, 30, 200, 30]])
def test_a_palette_image_holds_ids_whatever_its_colours(tmp_path, palette):
    image = Image.frombytes("P", (8, 6), IDS.tobytes())
    image.putpalette(palette)
    image.save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png").tolist() == IDS.tolist()


BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (200, 30, 30)


def test_of_a_palette_of_black_and_one_colour_the_colour_is_the_object(tmp_path):
    """Whichever comes first, and also where the palette was filled up with black; other palettes hold ids."""
    for ids, colours, expected in (
        (BINARY, [BLACK, WHITE], BINARY),
        (1 - BINARY, [WHITE, BLACK], BINARY),
        (1 - BINARY, [RED, BLACK], BINARY),
        (1 - BINARY, [WHITE] + 255 * [BLACK], BINARY),
        (np.ones_like(BINARY), [WHITE, BLACK], np.zeros_like(BINARY)),
        (np.zeros_like(BINARY), [WHITE, BLACK], np.ones_like(BINARY)),
        (BINARY, [WHITE, RED], BINARY),
        (BINARY, [WHITE, BLACK, RED], BINARY),
        (IDS, [BLACK, WHITE] + 254 * [BLACK], IDS),
        (BINARY * 3, [BLACK, WHITE] + 254 * [BLACK], BINARY * 3),
    ):
        image = Image.frombytes("P", (8, 6), np.ascontiguousarray(ids).tobytes())
        image.putpalette([level for colour in colours for level in colour])
        image.save(tmp_path / "mask.png")
        assert read_mask(tmp_path / "mask.png").tolist() == expected.tolist()


def test_a_black_and_white_image_that_was_reduced_to_a_palette_keeps_its_object(tmp_path):
    for method in (Image.Quantize.MEDIANCUT, Image.Quantize.FASTOCTREE):
        image = Image.fromarray(np.stack([255 * BINARY] * 3, axis=-1)).quantize(2, method)
        image.save(tmp_path / "mask.png")
        assert read_mask(tmp_path / "mask.png").tolist() == BINARY.tolist()


def test_the_colours_of_voc_are_its_ids(tmp_path):
    ids = np.array([[*VOC]], np.uint8)
    assert read_mask(saved(tmp_path / "mask.png", rendered(ids))).tolist() == ids.tolist()


def disc(size=64, radius=20):
    y, x = np.mgrid[:size, :size] - size / 2
    return np.clip(radius - np.hypot(x, y) + 0.5, 0, 1)


def test_a_soft_edge_is_cut_in_the_middle(tmp_path):
    soft = (disc() * 255).astype(np.uint8)
    for levels in (soft, np.repeat(soft[..., None], 3, axis=2)):
        assert read_mask(saved(tmp_path / "soft.png", levels)).tolist() == (soft >= 128).tolist()


def test_a_jpeg_holds_no_ids(tmp_path):
    hard = (disc() > 0.5).astype(np.uint8)
    for levels in (hard * 255, np.repeat(hard[..., None] * 255, 3, axis=2)):
        assert (read_mask(saved(tmp_path / "mask.jpg", levels)) == hard).mean() > 0.999
    assert not read_mask(saved(tmp_path / "empty.jpg", hard * 3)).any()


@pytest.mark.skipif(not SHARED.exists(), reason="no real masks here")
def test_real_masks():
    for path in sorted((SHARED / "davis_mini" / "Annotations").rglob("*.png"))[::12]:
        with Image.open(path) as image:
            assert (read_mask(path) == np.asarray(image) // 255).all()
    for path in sorted((SHARED / "stylize_pairs" / "lynx" / "mask").glob("*.png"))[:2]:
        assert np.unique(read_mask(path)).tolist() == [0, 1]


def test_a_mask_is_resized_without_new_ids(tmp_path):
    path = saved(tmp_path / "mask.png", IDS)
    assert read_mask(path, (6, 8)).tolist() == IDS.tolist()
    assert read_mask(path, (18, 16)).tolist() == IDS.repeat(3, axis=0).repeat(2, axis=1).tolist()
    assert set(np.unique(read_mask(path, (5, 5)))) <= {0, 1, 3}


@pytest.mark.parametrize(
    ("levels", "name", "message"),
    [
        (
            np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8),
            "photo.png",
            "colours; allowed: those of the VOC",
        ),
        (
            np.random.default_rng(0).integers(0, 255, (32, 32), np.uint8),
            "grey.png",
            "grey levels are intermediate; allowed: 0 and",
        ),
        (np.tile(np.arange(32, dtype=np.uint8) * 8, (32, 1)), "ramp.jpg", "grey levels are intermediate"),
        (IDS.astype(np.uint16) * 1000, "mots.png", "3 different numbers up to 3000; allowed: 64, up to 255"),
        (np.arange(100, dtype=np.uint16)[None], "many.png", "100 different numbers up to 99"),
        (IDS.astype(np.float32), "mask.tif", "mode is F; allowed: palette, grey, 16 bit, RGB"),
    ],
)
def test_an_image_that_is_no_mask_costs_one_line(tmp_path, levels, name, message):
    path = saved(tmp_path / name, levels)
    with pytest.raises(BadClip, match=message) as error:
        read_mask(path)
    assert str(error.value).startswith(f"{path}: this image is not a mask")
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read_costs_one_line(tmp_path):
    whole = saved(tmp_path / "whole.png", np.random.default_rng(0).integers(0, 2, (64, 64), np.uint8) * 255)
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no image")
    for path, reason in [
        (tmp_path / "absent.png", "missing"),
        (cut(whole), "cannot be read"),
        (tmp_path / "empty.png", "cannot be read"),
        (tmp_path / "text.png", "cannot be read"),
        (tmp_path, "not a regular file"),
    ]:
        with pytest.raises(BadClip, match=reason) as error:
            read_mask(path)
        assert str(error.value).startswith(str(path))
        assert "\n" not in str(error.value)


def test_void_is_neither_object_nor_background():
    ids = np.array([[0, 1, 2, 255]], np.uint8)
    assert foreground(ids).tolist() == [[False, True, True, False]]
    assert {number: mask.tolist() for number, mask in objects(ids).items()} == {
        1: [[False, True, False, False]],
        2: [[False, False, True, False]],
    }
    assert objects(np.zeros((2, 2), np.uint8)) == {}


# Run lengths


def slow_runs(mask):
    """Lengths of runs down the columns, zeros first, as COCO lists them."""
    runs, last = [0], False
    for value in mask.T.ravel():
        if value != last:
            runs.append(0)
        runs[-1] += 1
        last = value
    return runs


@given(MASKS)
def test_run_lengths_come_back_and_agree_with_a_plain_list(mask):
    runs = encode(mask)
    assert isinstance(runs["counts"], str)
    for form in (
        runs,
        {**runs, "counts": runs["counts"].encode()},
        {"size": list(mask.shape), "counts": slow_runs(mask)},
    ):
        again = decode(form)
        assert again.dtype == bool
        assert again.tolist() == mask.tolist()


@pytest.mark.parametrize(
    "runs",
    [
        {"size": [4, 5], "counts": "hello"},
        {"size": [4, 5], "counts": ""},
        {"size": [4, 5], "counts": "05"},
        {"size": [4, 5], "counts": [3, 4]},
        {"size": [4, 5], "counts": [-3, 4, 19]},
        {"size": [4, 5], "counts": 5},
        {"size": [-4, 5], "counts": "0"},
        {"size": [4], "counts": "d0"},
        {"size": "45", "counts": "d0"},
        {"size": [4, 5]},
        ["d0"],
    ],
)
def test_run_lengths_that_do_not_fill_their_size_cost_one_line(runs):
    with pytest.raises(BadClip, match=r"must be 'size' .* Got ") as error:
        decode(runs)
    assert "\n" not in str(error.value)


# Boxes

VIA_3 = """# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)
# SHAPE_ID = {"POINT":1,"RECTANGLE":2,"CIRCLE":3}
# ATTRIBUTE = {"1":{"aname":"motion","options":{"0":"locomotion","1":"deformation","2":"static"}}}
# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata,,,
1_a,/crab/00000.jpg,0,[],"[2,10.5,20,30,40]","{""1"":""0""}",,,
1_c,/crab/00010.jpg,0,[],"[2,-6,-8,30,40]","{""1"":""2""}",,,
1_b,"[""/crab/00005.jpg""]",0,[],"[2,12,20,30,40]",{},,,
1_d,/crab/00015.jpg,0,[],[],{},,,
1_e,/bear/00000.jpg,0,[],"[2,1,2,3,4]",{},,,
"""
VIA_3_SHORT = """,file_list,spatial_coordinates,metadata
0,/crab/00000.jpg,"[2,10.5,20,30,40]",{'1': '0'}
1,/crab/00005.jpg,"[2,12,20,30,40]",{}
2,/crab/00010.jpg,"[2,-6,-8,30,40]",{'1': '2'}
3,/crab/00015.jpg,[],{}
4,/bear/00000.jpg,"[2,9,9,9,9]",{}
5,/bear/00000.jpg,"[2,1,2,3,4]",{}
"""
VIA_2 = r"""filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes
crab/00000.jpg,1,{},1,0,"{""name"":""rect"",""x"":10.5,""y"":20,""width"":30,""height"":40}","{""motion"":""locomotion""}"
crab/00005.jpg,1,{},1,0,"{""name"":""rect"",""x"":12,""y"":20,""width"":30,""height"":40}",{}
crab\00010.jpg,1,{},1,0,"{""name"":""rect"",""x"":-6,""y"":-8,""width"":30,""height"":40}","{""motion"":""static""}"
crab/00015.jpg,1,{},0,0,{},{}
bear/00000.jpg,1,{},1,0,"{""name"":""rect"",""x"":1,""y"":2,""width"":3,""height"":4}",
"""


@pytest.mark.parametrize("text", [VIA_3, "\ufeff" + VIA_3_SHORT, VIA_2], ids=["VIA 3", "VIA 3, short", "VIA 2"])
def test_boxes_are_read_from_every_form(tmp_path, text):
    path = tmp_path / "annotations.csv"
    path.write_text(text, encoding="utf-8")
    assert read_boxes(path) == {
        ("crab", "00000"): BoxAnnotation((10.5, 20, 40.5, 60), "locomotion"),
        ("crab", "00005"): BoxAnnotation((12, 20, 42, 60), "locomotion"),
        ("crab", "00010"): BoxAnnotation((0, 0, 24, 32), "static"),
        ("bear", "00000"): BoxAnnotation((1, 2, 4, 6), None),
    }


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('/crab/00000.jpg,"[3,1,2,3]",{}', "line 2: a box must be a rectangle .* Got '.3,1,2,3.'"),
        ('/crab/00000.jpg,"[2,1,2,-3,4]",{}', "line 2: a box must be"),
        ('/crab/00000.jpg,"[2,1,2,NaN,4]",{}', "line 2: a box must be"),
        ('/crab/00000.jpg,"[2,1,2,""wide"",4]",{}', "line 2: a box must be"),
        (',"[2,1,2,3,4]",{}', "line 2: a box requires the name of its image"),
        ('[],"[2,1,2,3,4]",{}', "line 2: a box requires the name of its image"),
        ("/crab/00000.jpg,[2 1,{}", "line 2: this is neither JSON nor a Python value: '.2 1'"),
        ('/crab/00000.jpg,"[2,1,2,3,4]",{1:', "line 2: this is neither JSON"),
    ],
)
def test_a_bad_row_is_named(tmp_path, row, message):
    path = tmp_path / "annotations.csv"
    path.write_text(f"file_list,spatial_coordinates,metadata\n{row}\n")
    with pytest.raises(UserError, match=message) as error:
        read_boxes(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name,x,y\na,1,2\n", "file_list and spatial_coordinates or filename and .* Got name, x, y"),
        (b"", "Got an empty file"),
        (b'{"regions": ' + b"1" * 200_000 + b"}", "line 1: this is not a row of a CSV file"),
        (b"\xff\xfe\x00", "is UTF-16 text"),
        (None, "the file does not exist"),
    ],
)
def test_a_file_without_boxes_says_what_it_lacks(tmp_path, content, message):
    path = tmp_path / "annotations.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read_boxes(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
