"""Measurements of a model during its training, always on the same clips: is the training making it static?"""

from static_dynamic.tracking.course import open_course
from static_dynamic.tracking.track import Tracker, track

__all__ = ["Tracker", "open_course", "track"]
