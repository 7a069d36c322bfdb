"""Optical flow: estimated between frames, drawn as colour-wheel images, written next to a data set."""

from static_dynamic.flow.colour_wheel import draw, paint, read
from static_dynamic.flow.estimators import Dis, Estimator, Raft
from static_dynamic.flow.sheet import flow_sheet
from static_dynamic.flow.tree import FlowReport, compute_flow

__all__ = ["Dis", "Estimator", "FlowReport", "Raft", "compute_flow", "draw", "flow_sheet", "paint", "read"]
