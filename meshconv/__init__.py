"""meshconv: from a scan to a class, and to the place on the surface where one sees it.

The public names below are loaded on first use, so `import meshconv` costs neither torch nor VTK.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# module -> public names it defines, in the order of the flow
_MODULES = {
    "meshconv.errors": ("MeshConvError", "MeshConvWarning"),
    "meshconv.mesh.surface": ("Surface",),
    "meshconv.io": ("load", "save", "read", "MeshFile", "as_surface"),
    "meshconv.mesh_repair.check": ("check",),
    "meshconv.mesh_repair.report": ("SurfaceReport",),
    "meshconv.mesh_repair.repair": ("repair", "Repaired"),
    "meshconv.operators.laplacian": ("cotangent_laplacian", "mass_matrix"),
    "meshconv.operators.thickness": ("local_thickness",),
    "meshconv.operators.gradient": ("gradient", "divergence"),
    "meshconv.operators.curvature": (
        "mean_curvature",
        "gaussian_curvature",
        "principal_curvatures",
        "shape_index",
    ),
    "meshconv.operators.geodesic": ("geodesic_distance",),
    "meshconv.operators.spectral": ("heat_kernel_signature", "laplacian_eigenpairs"),
    "meshconv.operators.crop": ("crop",),
    "meshconv.operators.solve": ("SPDSolver", "FixedValueSolver"),
    "meshconv.maps.parameterization": ("Parameterization",),
    "meshconv.maps.conformal.conformal_map": ("conformal_map",),
    "meshconv.maps.beltrami": ("beltrami_coefficient",),
    "meshconv.maps.distortion": ("distortion",),
    "meshconv.maps.quasiconformal": ("quasiconformal_map",),
    "meshconv.maps.equalize.density_map": ("density_equalizing_map", "misplaced_mass"),
    "meshconv.maps.grid_map": ("GridMap",),
    "meshconv.registration.template": ("Template",),
    "meshconv.registration.fit": ("register", "fit_template"),
    "meshconv.resample.resampler": ("Resampler",),
    "meshconv.resample.geometry_image": ("GeometryImage",),
    "meshconv.resample.channels": ("channels",),
    "meshconv.nn.decnn": ("DECNN",),
    "meshconv.nn.equalize": ("equalizing_grid",),
    "meshconv.nn.density_conv": ("warp", "DensityEqualizingConv2d"),
    "meshconv.nn.layers.dynamic_stride": ("DynamicStrideConv2d",),
    "meshconv.nn.layers.landing_map": ("landing_map",),
    "meshconv.nn.layers.recalibration": ("PyramidPixelContext",),
    "meshconv.nn.layers.scale_conv": ("ScaleEquivariantConv",),
    "meshconv.nn.layers.scale_unet": ("ScaleEquivariantUNet",),
    "meshconv.datasets.scan": ("Scan",),
    "meshconv.datasets.procedural": ("ProceduralFaces",),
    "meshconv.datasets.morphable": ("MorphableFaces",),
    "meshconv.datasets.folder": ("FolderDataset",),
    "meshconv.datasets.adrenal": ("AdrenalSurfaces",),
    "meshconv.datasets.mask": ("surface_of_mask",),
    "meshconv.datasets.blood": ("BloodCells",),
    "meshconv.datasets.volumes": ("Hippocampi",),
    "meshconv.datasets.graph": ("SurfaceGraphs",),
    "meshconv.estimators.classifier": ("SurfaceClassifier",),
    "meshconv.viz.show": ("show",),
    "meshconv.viz.inspect": ("inspect",),
    "meshconv.viz.report": ("report",),
}
_WHERE = {name: module for module, names in _MODULES.items() for name in names}

__all__ = ["__version__", *_WHERE]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(importlib.import_module(_WHERE[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'meshconv' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
