"""Clips on disk that are either complete or absent: folders of images, or encoded videos."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from static_dynamic.common.files import plain_errors, whole
from static_dynamic.media.clip import Frames

Write = Callable[[Frames], object]
"""Takes the next frame, ``(H, W, 3)`` uint8 RGB."""

QUALITY = {".jpg": [cv2.IMWRITE_JPEG_QUALITY, 95], ".png": [cv2.IMWRITE_PNG_COMPRESSION, 1]}
QUANTISER = "14"
"""H.264 quantiser; its artefacts are weaker than those of the JPEGs. It is constant because x264's rate control is not
deterministic: the bytes of a video would differ between runs."""

BT601, LIMITED = 5, 1
"""How libav converts RGB to luma and chroma; without this information players guess by the size."""


@contextmanager
def image_folder(folder: Path, name: Callable[[int], str]) -> Iterator[Write]:
    """A folder of images, complete once the block ends, absent until then and if it fails.

    Args:
        folder: The folder.
        name: Number of a frame, from 0 → its file.

    Raises:
        UserError: If it cannot be written, or the disk is full.
    """
    numbers = count()
    with whole(folder) as partial:
        with _plain_errors(folder):
            partial.mkdir()

        def write(frame: Frames) -> None:
            path = partial / name(next(numbers))
            _, data = cv2.imencode(path.suffix, frame[..., ::-1], QUALITY[path.suffix])
            with _plain_errors(folder):
                path.write_bytes(data.tobytes())

        yield write


@contextmanager
def video_file(path: Path, rate: Fraction) -> Iterator[Write]:
    """An H.264 video, complete once the block ends, absent until then and if it fails.

    Args:
        path: The file.
        rate: Frames per second.

    Raises:
        UserError: If it cannot be written, or the disk is full.
    """
    import av

    with whole(path) as partial, _plain_errors(path), av.open(f"file:{partial}", "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=rate, options={"qp": QUANTISER, "preset": "superfast"})
        stream.thread_count = 1  # the bytes depend on the number of threads
        stream.codec_context.colorspace, stream.codec_context.color_range = BT601, LIMITED

        def write(frame: Frames) -> None:
            if not stream.codec_context.is_open:
                height, width = frame.shape[:2]
                even = height % 2 == width % 2 == 0  # required by halved colour planes
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p" if even else "yuv444p"
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            with _plain_errors(path):
                container.mux(stream.encode(picture))

        yield write
        container.mux(stream.encode())


@contextmanager
def _plain_errors(target: Path) -> Iterator[None]:
    """Turn errors of the file system or libav into one line that names the file."""
    import av

    with plain_errors(target, av.FFmpegError):
        yield
