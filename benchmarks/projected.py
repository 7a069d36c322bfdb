"""What a measurement of very many videos would cost, from the constants of ``overhead.csv`` and ``large.csv``; not run.

    python -m benchmarks.projected

Forward passes: seconds of one core per clip, times the clips of the default study. Twins see the same clips, which are
read once for all. Scores: seconds per video and unit of the largest store that was scored, in one process. Store:
float32.
"""

import argparse
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
SLOW, FAST, FUSED = 64 + 256 + 512 + 1024 + 2048, 8 + 32 + 64 + 128 + 256, 80 + 320 + 640 + 1280
UNITS = {"i3d_r50_8x8": SLOW, "x3d_m": 24 + 24 + 48 + 96 + 192, "slowfast_r50_8x8": SLOW + FAST + FUSED}
"""Units of all stages."""
CLIPS = 12
"""Of a video in the default study."""
TWINS = 3
HOUR = 3600


def scoring_seconds() -> float:
    """Of a video and a unit, for both default estimators."""
    table = pd.read_csv(HERE / "large.csv").query("units == 2048")
    largest = table[table["videos"] == table["videos"].max()]
    return float((largest["score_s"] / largest["videos"] / largest["units"]).sum())


def projected(row: pd.Series, videos: int) -> dict[str, object]:
    """One row: a model and a number of videos."""
    units, forward = UNITS[row["model"]], CLIPS * row["bare_s_per_clip"]
    alone, twins = forward * row["collected_over_bare"], TWINS * forward
    return {
        "model": row["model"],
        "size": row["size"],
        "videos": videos,
        "core_hours": alone * videos / HOUR,
        "core_hours_with_twins": (alone + twins) * videos / HOUR,
        "hours_with_twins_64_cores": (alone + twins) * videos / HOUR / 64,
        "scoring_hours_one_process": scoring_seconds() * units * videos / HOUR,
        "store_gb_with_twins": (1 + TWINS) * CLIPS * units * 4 * videos / 1e9,
    }


def main() -> None:
    """Print and keep the table."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    measured = pd.read_csv(HERE / "overhead.csv")
    table = pd.DataFrame([projected(row, n) for _, row in measured.iterrows() for n in (10_000, 1_000_000)]).round(2)
    table.to_csv(HERE / "projected.csv", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
