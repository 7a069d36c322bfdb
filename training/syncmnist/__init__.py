"""SyncMNIST: digits that wander about, two of them in step; which two? No single frame shows the answer.

Clips are made on the spot, each from its number alone: no files, any length, the same in every worker.

After Duta et al., NeurIPS 2021, arXiv:2009.08427, and Nicolicioiu et al., NeurIPS 2019, arXiv:1904.05582.
"""

from static_dynamic.training.syncmnist.clips import CANVASES, Canvas, SyncClip, SyncMNIST, in_step
from static_dynamic.training.syncmnist.digits import Digits, load_digits

__all__ = ["CANVASES", "Canvas", "Digits", "SyncClip", "SyncMNIST", "in_step", "load_digits"]
