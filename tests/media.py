"""Tiny videos and data sets for tests. Every frame tells its number and its style by three grey blocks."""

import json
import struct
from collections.abc import Iterable, Sequence
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

BLOCK = 32
STEP = 16


def coded_frame(number: int, style: int = 0, block: int = BLOCK) -> np.ndarray:
    """A ``(block, 3·block, 3)`` frame that survives lossy coding: number / 16, number % 16, style."""
    levels = [STEP * digit + STEP // 2 for digit in (number // 16, number % 16, style)]
    row = np.repeat(np.array(levels, np.uint8), block)
    return np.broadcast_to(row[None, :, None], (block, 3 * block, 3)).copy()


def coded_frames(count: int, style: int = 0) -> np.ndarray:
    """Frames 0 … count - 1 as ``(T, H, W, 3)``."""
    return np.stack([coded_frame(number, style) for number in range(count)])


def noisy_frames(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Frames that do not compress, so that half a file is half a video."""
    return np.random.default_rng(0).integers(0, 255, (count, height, width, 3), dtype=np.uint8)


def read_code(frame: np.ndarray) -> tuple[int, int]:
    """Number and style that a frame tells."""
    middle, third = frame.shape[0] // 2, frame.shape[1] / 3
    high, low, style = (int(frame[middle, int((place + 0.5) * third), 1]) // STEP for place in range(3))
    return 16 * high + low, style


def numbers(frames: Iterable[np.ndarray]) -> list[int]:
    """The number that each frame tells."""
    return [read_code(frame)[0] for frame in frames]


def write_video(
    path: Path,
    frames: Sequence[np.ndarray] | np.ndarray,
    fps: int = 10,
    codec: str = "libx264",
    rotation: int | None = None,
    cover_art: bool = False,
    container_format: str | None = None,
    encoder: dict[str, str] | None = None,
    **options: str,
) -> Path:
    """A video file; ``rotation`` is counter-clockwise, ``encoder`` goes to the codec, ``options`` to the container."""
    import av
    from av.stream import Disposition

    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w", format=container_format, options=options) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height = width, height
        stream.pix_fmt = {"gif": "rgb8", "mjpeg": "yuvj420p", "prores_ks": "yuv422p10le"}.get(codec, "yuv420p")
        usual = {"crf": "12", "preset": "ultrafast"} if codec == "libx264" else {}
        stream.options = usual if encoder is None else encoder
        streams = [(stream, frames)]
        if cover_art:
            art = container.add_stream("mjpeg", rate=1)
            art.width, art.height, art.pix_fmt = 32, 32, "yuvj420p"
            art.disposition = Disposition.attached_pic.value
            streams.insert(0, (art, [np.full((32, 32, 3), 200, np.uint8)]))
        for target, pictures in streams:
            for picture in pictures:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                container.mux(target.encode(frame.reformat(format=target.pix_fmt)))
            container.mux(target.encode())
    return path if rotation is None else turned(path, *QUARTERS[rotation])


QUARTERS = {90: (0, -1, 1, 0), -90: (0, 1, -1, 0), 180: (-1, 0, 0, -1)}
"""Degrees counter-clockwise → display matrix."""


def turned(path: Path, a: float, b: float, c: float, d: float) -> Path:
    """An MP4 of one stream that shall be shown with the pixel ``(x, y)`` at ``(a x + c y, b x + d y)``."""
    one = 1 << 16
    plain, wanted = (
        struct.pack(">9i", *(int(one * part) for part in (a, b, 0, c, d, 0, 0, 0)), 1 << 30)
        for a, b, c, d in ((1, 0, 0, 1), (a, b, c, d))
    )
    content = path.read_bytes()
    return patch(path, content.index(plain, content.index(b"tkhd")), wanted)


def write_gops(path: Path, count: int = 40, gop: int = 10, open_gops: bool = False, **options: str) -> Path:
    """An H.264 video with B-frames and a key frame every ``gop`` frames; frames tell their number."""
    parameters = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=3:b-adapt=0:open-gop={int(open_gops)}"
    encoder = {"crf": "12", "preset": "fast", "x264-params": parameters}
    return write_video(path, coded_frames(count), encoder=encoder, **options)


def remux(source: Path, target: Path, first: int = 0, shift: float = 0, sound: int = 0, **options: str) -> Path:
    """A copy without encoding: packets from ``first`` on, shown ``shift`` seconds later, with seconds of ``sound``."""
    import av

    with av.open(str(source)) as old, av.open(str(target), "w", options=options) as new:
        (stream,) = old.streams
        copy = new.add_stream_from_template(stream)
        silence = new.add_stream("aac", rate=16000, layout="mono") if sound else None
        later = round(shift / stream.time_base)
        for packet in list(old.demux(stream))[first:]:
            if packet.size:
                packet.pts, packet.dts, packet.stream = packet.pts + later, packet.dts + later, copy
                new.mux(packet)
        for _ in range(sound):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
            frame.sample_rate = 16000
            new.mux(silence.encode(frame))
        new.mux(silence.encode() if silence else [])
    return target


def patch(path: Path, place: int, data: bytes) -> Path:
    """Other bytes at a place of a file."""
    content = path.read_bytes()
    path.write_bytes(content[:place] + data + content[place + len(data) :])
    return path


def write_frames(
    folder: Path, frames: Sequence[np.ndarray] | np.ndarray, name: str = "{:d}.jpg", first: int = 0
) -> Path:
    """A folder of images."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / name.format(first + number), quality=95)
    return folder


def cut(path: Path, share: float = 0.5, name: str = "") -> Path:
    """A copy that ends too early."""
    target = path.with_name(name or f"cut_{path.name}")
    target.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return target


ANNOTATIONS = {
    "StylizedActivityNet": "activitynet_v13.json",
    "ssv2": "something-something-v2-validation.json",
    "Diving48": "Diving48_V2_test.json",
}
FOLDERS = {"StylizedActivityNet": "v_{}", "ssv2": "{}", "Diving48": "{}"}
NAMING = {
    "StylizedActivityNet": ("{:06d}.jpg", 1),
    "ssv2": ("{:06d}.jpg", 1),
    "Diving48": ("image_{:05d}.jpg", 0),
}


def write_stylized(
    root: Path,
    dataset: str,
    lengths: dict[str, int],
    annotations: object = None,
    styles: Sequence[str] = ("1", "2"),
    naming: tuple[str, int] | None = None,
    folders: Sequence[str] | None = None,
) -> Path:
    """A data set in its published layout: video name → number of frames; frames tell their 0-based number.

    ``annotations`` replaces the plain annotation of whole videos, ``folders`` the names of the style folders.
    """
    template, first = naming or NAMING[dataset]
    for style, folder in enumerate(folders or [f"style_{style}" for style in styles], start=1):
        for name, length in lengths.items():
            write_frames(root / folder / FOLDERS[dataset].format(name), coded_frames(length, style), template, first)
    root.mkdir(parents=True, exist_ok=True)
    written = annotate(dataset, lengths) if annotations is None else annotations
    (root / ANNOTATIONS[dataset]).write_text(written if isinstance(written, str) else json.dumps(written))
    return root


def annotate(dataset: str, lengths: dict[str, int]) -> object:
    """The plain annotation: every video from its first to its last frame."""
    if dataset == "StylizedActivityNet":
        segments = {name: [{"label": "Surfing", "segment": [0.0, length / 5]}] for name, length in lengths.items()}
        entries = {name: {"subset": "validation", "annotations": segments[name]} for name in lengths}
        return {"database": entries, "taxonomy": []}
    if dataset == "ssv2":
        return [{"id": name, "template": "Pushing [something] left"} for name in lengths]
    return [{"vid_name": name, "label": 7, "start_frame": 0, "end_frame": length} for name, length in lengths.items()]


def only(source):
    """The one video of a source."""
    (video,) = source.videos
    return video


def slow_clip(total, start, length, counts):
    """The published steps, one after the other: loop, take consecutive frames, subsample each pathway."""
    opened = list(islice(cycle(range(start, total)), length))
    return [[opened[int(step)] for step in np.linspace(0, length - 1, count)] for count in counts]


def write_davis(
    root: Path,
    lengths: dict[str, int],
    size: tuple[int, int] = (32, 48),
    styles: Sequence[str] = (),
    lines: Sequence[str] = (),
    suffix: str = ".jpg",
) -> Path:
    """A data set in the layout of DAVIS: a square that moves, its flow both ways, its masks, and restyled images.

    The square of frame ``t`` has its left edge at ``2 t``; sequences differ in the square's row. Flow is drawn red where the
    square moves forward and cyan backward. ``lines`` are added to the list.
    """
    height, width = size
    listed = []
    for row, (name, length) in enumerate(lengths.items()):
        for t in range(length):
            inside = np.zeros(size, bool)
            inside[4 + 4 * row : 16 + 4 * row, 2 * t : 2 * t + 12] = True
            image = np.full((height, width, 3), 60 + 10 * t, np.uint8)
            image[inside] = (200, 120, 40)
            flows = [np.where(inside[..., None], colour, (255, 255, 255)) for colour in ((255, 40, 40), (40, 255, 255))]
            pictures = {
                f"JPEGImages/480p/{name}/{t:05d}{suffix}": image,
                f"Annotations/480p/{name}/{t:05d}.png": 255 * inside.astype(np.uint8),
                **{f"FlowImages_gap1/{name}/{t:05d}.png": flows[0] for _ in range(t + 1 < length)},
                **{f"FlowImages_gap-1/{name}/{t:05d}.png": flows[1] for _ in range(t > 0)},
            }
            for i, style in enumerate(styles, start=1):
                pictures[f"stylized/JPEGImages/{style}/{name}/{t:05d}{suffix}"] = (image // (i + 1)).astype(np.uint8)
            for place, picture in pictures.items():
                path = root / place
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture.astype(np.uint8)).save(path)
            listed.append(f"/JPEGImages/480p/{name}/{t:05d}.jpg /Annotations/480p/{name}/{t:05d}.png")
    path = root / "ImageSets" / "480p" / "val.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*listed, *lines]) + "\n")
    return root


def moving_frames(count=4, speed=2.0, height=72, width=96, seed=0):
    """A soft texture that moves to the right."""
    noise = np.random.default_rng(seed).normal(0, 1, (height, width + 60)).astype(np.float32)
    plane = np.clip(128 + 260 * cv2.GaussianBlur(noise, (0, 0), 2)[..., None] * (1.0, 0.7, 0.4), 0, 255)
    shifts = [np.float32([[1, 0, speed * t - 30], [0, 1, 0]]) for t in range(count)]
    return np.stack([cv2.warpAffine(plane, shift, (width, height)) for shift in shifts]).astype(np.uint8)


def tree(folder):
    """Every file with its bytes, but for the note of the run."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "run.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
