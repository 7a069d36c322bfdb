"""What it costs to read the clip of a video: only what its frames need, and all from the first frame on.

    python -m benchmarks.reading

Videos of 10 s, 320 x 240 pixels, 25 frames a second, are written in several codecs: a texture that moves, with noise of
a camera and a cut. A clip is 8 frames, each 8 after the other, from the middle. Both ways are the project's own: it
takes the second where packets do not tell enough. Milliseconds are those of the processor, all cores together; the two
take turns, and medians are kept. ``--videos DIR`` reads other videos.
"""

import argparse
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from unittest import mock

import av
import cv2
import numpy as np
import pandas as pd

import static_dynamic as sd
from static_dynamic.media import decoding
from static_dynamic.media.clip import Clip, Recipe
from static_dynamic.media.packets import Packets
from static_dynamic.sources import VideoFiles

HERE = Path(__file__).parent
RECIPE = Recipe(frames=8, rate=8, crop=224)
SECONDS, RATE, HEIGHT, WIDTH = 10, 25, 240, 320
FILES = {
    "h264.mp4": ("libx264", {}),
    "h264 keys.mp4": ("libx264", {"g": "50"}),
    "h264 keys.ts": ("libx264", {"g": "50"}),
    "hevc.mp4": ("libx265", {"x265-params": "log-level=none"}),
    "vp9.webm": ("libvpx-vp9", {"b": "800k", "cpu-used": "5"}),
    "vp8.webm": ("libvpx", {"b": "800k", "cpu-used": "5"}),
    "av1.mp4": ("libsvtav1", {"preset": "10", "g": "125"}),
    "mpeg4.avi": ("mpeg4", {"b": "800k"}),
    "mpeg2.mpg": ("mpeg2video", {"b": "1500k", "bf": "2"}),
    "jpeg.avi": ("mjpeg", {"q": "5"}),
    "wmv.wmv": ("wmv2", {"b": "800k"}),
}
"""Codecs with their own distance of key frames, if none is given."""


def write_videos(folder: Path, names: list[str] | None = None) -> Path:
    """The files, in a folder."""
    frames = list(moving())
    for name in names or FILES:
        codec, options = FILES[name]
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream(codec, rate=RATE, options=options)
            stream.width, stream.height = WIDTH, HEIGHT
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24").reformat(format=stream.pix_fmt)))
            container.mux(stream.encode())
    return folder


def moving() -> Iterator[np.ndarray]:
    """Frames ``(H, W, 3)``."""
    draw, count = np.random.default_rng(0), SECONDS * RATE
    texture = cv2.GaussianBlur(draw.normal(0, 1, (HEIGHT, WIDTH + 2 * count, 3)), (0, 0), 2)
    for t in range(count):
        sign = 1 if t < count * 0.6 else -1
        noise = draw.normal(0, 3, (HEIGHT, WIDTH, 3))
        yield np.clip(128 + sign * 200 * texture[:, 2 * t : 2 * t + WIDTH] + noise, 0, 255).astype(np.uint8)


@contextmanager
def counted() -> Iterator[dict[str, int]]:
    """How many frames are decoded in the block, and how many times a file is opened."""
    counts = {"decoded": 0, "opened": 0}

    def counting(name: str, function: Callable) -> Callable:
        def count(*arguments: object, **options: object) -> object:
            counts[name] += 1
            return function(*arguments, **options)

        return count

    def each(function: Callable) -> Callable:
        def count(*arguments: object) -> Iterator[object]:
            for frame in function(*arguments):
                counts["decoded"] += 1
                yield frame

        return count

    with (
        mock.patch.object(av, "open", counting("opened", av.open)),
        mock.patch.object(decoding, "_shown", each(decoding._shown)),
        mock.patch.object(decoding, "_decoded", each(decoding._decoded)),
    ):
        yield counts


def from_the_first(read: Callable[[], Clip]) -> Clip:
    """The clip, as if no packet told what it shows."""
    with mock.patch.object(Packets, "plain", False):
        return read()


def compare(path: Path, read: Callable[[], Clip], rounds: int) -> dict[str, object]:
    """One row."""
    with counted() as needed:
        clip = read()
    with counted() as whole:
        same = np.array_equal(from_the_first(read).frames, clip.frames)
    times = {"needed": [], "whole": []}
    for _ in range(rounds):
        for name, work in (("needed", read), ("whole", lambda: from_the_first(read))):
            begun = process_time()
            work()
            times[name].append(1000 * (process_time() - begun))
    ms = {name: median(found) for name, found in times.items()}
    return {
        "video": path.name,
        "frames": clip.total,
        "wanted": len(clip.sample.numbers),
        "decoded": needed["decoded"],
        "decoded_from_first": whole["decoded"],
        "opened": needed["opened"],
        "opened_from_first": whole["opened"],
        "same_frames": same,
        "cpu_ms": round(ms["needed"], 2),
        "cpu_ms_from_first": round(ms["whole"], 2),
        "ratio": round(ms["needed"] / ms["whole"], 3),
        "version": sd.__version__,
        "machine": f"{platform.machine()}, PyAV {av.__version__}",
    }


def main() -> None:
    """Write a row for every video."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--videos", type=Path)
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--out", type=Path, default=HERE / "reading.csv")
    chosen = options.parse_args()
    with TemporaryDirectory() as folder:
        source = VideoFiles(chosen.videos or write_videos(Path(folder)))
        rows = [
            compare(Path(video.name), lambda video=video: source.read(video, RECIPE), chosen.rounds)
            for video in source.videos
        ]
    table = pd.DataFrame(rows)
    table.to_csv(chosen.out, index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
