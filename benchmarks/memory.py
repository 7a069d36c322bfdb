"""Peak memory of a whole measurement, by the number of its videos: it should not grow.

    python -m benchmarks.memory --models truth_cnn_both --videos 200,2000 --size 64

Each measurement runs in a process of its own, on generated clips, with random weights and no twins: videos are read,
restyled, forwarded and stored, scores computed, and the result is saved with its page. ``over_first`` compares peaks
with that of the smallest number of videos above 50, of the same model.
"""

import argparse
import json
import platform
import subprocess
import sys
from pathlib import Path

import pandas as pd

TABLE = Path(__file__).with_name("memory.csv")
FEW = 50

MEASURE = """
import json, sys, time
from tempfile import TemporaryDirectory
import static_dynamic as sd
from static_dynamic import models
model = models.create_model(sys.argv[1])
recipe = sd.Recipe(**model.spec.recipe).changed(image_size=int(sys.argv[3]))
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
with TemporaryDirectory() as folder:
    compute = sd.Compute(device="cpu", workers=1)
    result = sd.measure(
        model, "factorial:" + sys.argv[2], recipe=recipe, compute=compute, twins=0, store=folder + "/store"
    )
    measured = peak()
    result.save(folder + "/result")
    result.report(folder + "/result/report.html")
print(json.dumps({"measured_mib": measured, "peak_mib": peak(), "cpu_s": time.process_time()}))
"""


def measure(model: str, videos: int, size: int) -> dict[str, object]:
    """One row."""
    command = [sys.executable, "-c", MEASURE, model, str(videos), str(size)]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    told = {
        "model": model,
        "videos": videos,
        "size": size,
        **found,
        "machine": f"{platform.machine()}, {platform.python_version()}",
    }
    print(told, flush=True)
    return told


def main() -> None:
    """Measure, compare, print and keep the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--models", default="truth_cnn_both")
    options.add_argument("--videos", default="200,2000")
    options.add_argument("--size", type=int, default=64)
    chosen = options.parse_args()
    numbers = [int(number) for number in chosen.videos.split(",")]
    table = pd.DataFrame(
        [measure(model, videos, chosen.size) for model in chosen.models.split(",") for videos in numbers]
    )
    first = table[table["videos"] > FEW].groupby("model")["peak_mib"].first()
    table.insert(5, "over_first", table["peak_mib"] / table["model"].map(first))
    table = table.round(3)
    table.to_csv(TABLE, index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
