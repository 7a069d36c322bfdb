"""Where the networks of known bias are kept."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = ROOT / "models" / "truth" / "weights"
TABLE = ROOT / "benchmarks" / "truth" / "training.csv"
"""The results of their training."""
