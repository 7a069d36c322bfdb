"""What it costs to list the members of a tar file, and to read clips from tar files and data sets instead of files.

    python -m benchmarks.sources

Seconds are those of the processor. Listing: tar files of videos with a class each, opened in a separate process;
memory is what the process holds more once the source is open, and at most on the way; `over_tarfile` is the time over
that in which the standard library lists the members alone. Reading: the same videos of
320 x 240 pixels and 10 s at 25 frames per second, H.264, clips of 8 frames, rate 8; every source reads every clip once,
in turn, and `over_files` is its time over that of the plain files in the same round, the median over rounds.
"""

import argparse
import io
import json
import platform
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import av
import cv2
import numpy as np
import pandas as pd

import static_dynamic as sd
from static_dynamic.sources import HuggingFace, Source, VideoFiles, WebDataset

TABLE = Path(__file__).with_name("sources.csv")
VIDEOS, ROUNDS, FRAMES = 24, 9, 250
RECIPE = sd.Recipe(frames=8, rate=8, crop=224)

LIST = """
import json, sys, tarfile, time
from static_dynamic.sources import WebDataset
def held(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) / 1024
before, started = held("VmRSS"), time.process_time()
source = WebDataset(sys.argv[1])
told = {"seconds": time.process_time() - started}
told |= {"held_mib": held("VmRSS") - before, "peak_mib": held("VmHWM") - before}
started = time.process_time()
with tarfile.open(sys.argv[1], "r:") as tar:
    while tar.next():
        tar.members.clear()
told["over_tarfile"] = told["seconds"] / (time.process_time() - started)
print(json.dumps(told | {"videos": len(source.videos)}))
"""


def listing(members: int, folder: Path) -> dict[str, object]:
    """Open a tar file of half as many videos, a class each."""
    path = folder / f"{members}.tar"
    with tarfile.open(path, "w") as tar:
        for number in range(members // 2):
            for kind, content in (("mp4", bytes(2000)), ("cls", b"3")):
                info = tarfile.TarInfo(f"clips/{number:08d}.{kind}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    done = subprocess.run([sys.executable, "-c", LIST, str(path)], check=True, capture_output=True, text=True)
    path.unlink()
    return {"what": "list", "source": "WebDataset", "members": members, **json.loads(done.stdout)}


def write_videos(folder: Path) -> list[Path]:
    """Videos of soft noise that moves."""
    paths = [folder / f"{number:03d}.mp4" for number in range(VIDEOS)]
    for number, path in enumerate(paths):
        plane = np.random.default_rng(number).integers(0, 255, (240, 320 + FRAMES, 3), dtype=np.uint8)
        soft = cv2.GaussianBlur(plane, (0, 0), 2)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
            for time_ in range(FRAMES):
                picture = np.ascontiguousarray(soft[:, time_ : time_ + 320])
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
    return paths


def sources(folder: Path) -> Mapping[str, Source]:
    """The same videos as files, in a tar file, and as bytes in a data set of Hugging Face."""
    import datasets

    paths = write_videos(folder / "clips")
    with tarfile.open(folder / "clips.tar", "w") as tar:
        for path in paths:
            tar.add(path, path.name)
    rows = {"video": [{"path": path.name, "bytes": path.read_bytes()} for path in paths]}
    data = datasets.Dataset.from_dict(rows, features=datasets.Features(video=datasets.Video()))
    data.save_to_disk(folder / "saved")
    return {
        "VideoFiles": VideoFiles(folder / "clips"),
        "WebDataset": WebDataset(folder / "clips.tar"),
        "HuggingFace": HuggingFace(datasets.load_from_disk(folder / "saved")),
    }


def reading(folder: Path) -> list[dict[str, object]]:
    """Seconds per clip of every source, and its ratio to files, the median over rounds."""
    (folder / "clips").mkdir()
    opened = sources(folder)
    spent: dict[str, list[float]] = {name: [] for name in opened}
    for _ in range(ROUNDS):
        for name, source in opened.items():
            started = time.process_time()
            for video in source.videos:
                source.read(video, RECIPE)
            spent[name].append((time.process_time() - started) / VIDEOS)
    return [
        {
            "what": "read",
            "source": name,
            "videos": VIDEOS,
            "seconds": median(seconds),
            "over_files": median(one / other for one, other in zip(seconds, spent["VideoFiles"], strict=True)),
        }
        for name, seconds in spent.items()
    ]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--members", default="1000,10000,100000", help="(%(default)s)")
    chosen = options.parse_args()
    with TemporaryDirectory() as place:
        rows = [listing(int(members), Path(place)) for members in chosen.members.split(",")]
        rows += reading(Path(place))
    machine = f"{platform.machine()}, Python {platform.python_version()}, PyAV {av.__version__}"
    table = pd.DataFrame(rows).assign(version=sd.__version__, machine=machine).round(4)
    table.to_csv(TABLE, index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
