"""DyReg-GNN: regions that a graph network discovers (Duta, Nicolicioiu and Leordeanu, NeurIPS 2021)."""

from static_dynamic.models.dyreg.graph import DynamicGraph, ResidualGraph

__all__ = ["DynamicGraph", "ResidualGraph"]
