"""SyncMNIST: digits that move, two of them in step. No single frame shows which two.

Clips are generated on demand, each from its number alone: without files, of any length, the same in every worker.

After Duta et al., NeurIPS 2021, arXiv:2009.08427, and Nicolicioiu et al., NeurIPS 2019, arXiv:1904.05582.
"""

from static_dynamic.training.syncmnist.clips import CANVASES, Canvas, SyncClip, SyncMNIST, in_step
from static_dynamic.training.syncmnist.digits import Digits, load_digits

__all__ = ["CANVASES", "Canvas", "Digits", "SyncClip", "SyncMNIST", "in_step", "load_digits"]
