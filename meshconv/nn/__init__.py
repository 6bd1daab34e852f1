"""Networks and layers: `DECNN`, its parts, and layers that adapt to scale, content and place."""

from __future__ import annotations

from meshconv.nn.area_sample import area_sample, area_splat
from meshconv.nn.decnn import DECNN
from meshconv.nn.density_conv import DensityEqualizingConv2d, unwarp, warp
from meshconv.nn.equalize import (
    bounded_density,
    density_error,
    equalizing_grid,
    folds,
    normalize_density,
)
from meshconv.nn.layers.adaptive_budget import levels_for_cost
from meshconv.nn.layers.adaptive_conv import AdaptiveConv2d, AdaptiveConv3d, node_conv
from meshconv.nn.layers.adaptive_layers import AdaptiveBatchNorm, AdaptiveGroupNorm, AdaptivePool
from meshconv.nn.layers.adaptive_levels import aligned_levels, node_fraction
from meshconv.nn.layers.adaptive_masks import (
    edge_strength,
    levels_from_curvature,
    levels_from_density,
    levels_from_edges,
    levels_from_points,
)
from meshconv.nn.layers.adaptive_network import AdaptiveNetwork
from meshconv.nn.layers.adaptive_nodes import AdaptiveNodes
from meshconv.nn.layers.add_recalibration import add_recalibration, attention_maps
from meshconv.nn.layers.conversion import convert
from meshconv.nn.layers.dynamic_stride import DynamicStrideConv2d, DynamicStrideConv3d
from meshconv.nn.layers.dynamic_stride_function import (
    dynamic_stride_conv2d,
    dynamic_stride_conv3d,
)
from meshconv.nn.layers.focus import clear_edits, edit_offsets, focus_loss, share_inside
from meshconv.nn.layers.landing_map import Landing, landing_map, local_strides, record_landings
from meshconv.nn.layers.learned_levels import LearnedLevels, LevelChoice, cost_penalty
from meshconv.nn.layers.macs import macs
from meshconv.nn.layers.make_adaptive import make_adaptive
from meshconv.nn.layers.node_layout import NodeLayout
from meshconv.nn.layers.offset_field import OffsetField, OffsetHead
from meshconv.nn.layers.recalibration import PyramidPixelContext
from meshconv.nn.layers.scale_conv import ScaleEquivariantConv
from meshconv.nn.layers.scale_layers import (
    ScaleBatchNorm,
    ScaleDropout,
    ScaleInstanceNorm,
    ScaleMaxPool,
    ScaleProjection,
    scale_argmax,
)
from meshconv.nn.layers.scale_unet import ScaleEquivariantUNet
from meshconv.nn.layers.warm_start import box_masks, warm_start_offsets
from meshconv.nn.layers.windows import Window, log_strides, window_corners
from meshconv.nn.sample import gather, splat

__all__ = [
    "DECNN",
    "AdaptiveBatchNorm",
    "AdaptiveConv2d",
    "AdaptiveConv3d",
    "AdaptiveGroupNorm",
    "AdaptiveNetwork",
    "AdaptiveNodes",
    "AdaptivePool",
    "DensityEqualizingConv2d",
    "DynamicStrideConv2d",
    "DynamicStrideConv3d",
    "Landing",
    "LearnedLevels",
    "LevelChoice",
    "NodeLayout",
    "OffsetField",
    "OffsetHead",
    "PyramidPixelContext",
    "ScaleBatchNorm",
    "ScaleDropout",
    "ScaleEquivariantConv",
    "ScaleEquivariantUNet",
    "ScaleInstanceNorm",
    "ScaleMaxPool",
    "ScaleProjection",
    "Window",
    "add_recalibration",
    "aligned_levels",
    "area_sample",
    "area_splat",
    "attention_maps",
    "bounded_density",
    "box_masks",
    "clear_edits",
    "convert",
    "cost_penalty",
    "density_error",
    "dynamic_stride_conv2d",
    "dynamic_stride_conv3d",
    "edge_strength",
    "edit_offsets",
    "equalizing_grid",
    "focus_loss",
    "folds",
    "gather",
    "landing_map",
    "levels_for_cost",
    "levels_from_curvature",
    "levels_from_density",
    "levels_from_edges",
    "levels_from_points",
    "local_strides",
    "log_strides",
    "macs",
    "make_adaptive",
    "node_conv",
    "node_fraction",
    "normalize_density",
    "record_landings",
    "scale_argmax",
    "share_inside",
    "splat",
    "unwarp",
    "warm_start_offsets",
    "warp",
    "window_corners",
]
