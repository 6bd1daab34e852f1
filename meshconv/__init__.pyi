"""Public names: read by type checkers and editors, and by lazy_loader when one is first used."""

from .errors import MeshConvError as MeshConvError, MeshConvWarning as MeshConvWarning
from .mesh.surface import Surface as Surface
from .io import (
    load as load,
    save as save,
    read as read,
    MeshFile as MeshFile,
    as_surface as as_surface,
)
from .io.landmarks import (
    NamedPoints as NamedPoints,
    load_landmarks as load_landmarks,
    save_landmarks as save_landmarks,
)
from .mesh_repair.check import check as check
from .mesh_repair.report import SurfaceReport as SurfaceReport
from .mesh_repair.cut import Cut as Cut, cut as cut
from .mesh_repair.repair import repair as repair
from .mesh_repair.repaired import Repaired as Repaired
from .operators.laplacian import (
    cotangent_laplacian as cotangent_laplacian,
    mass_matrix as mass_matrix,
)
from .operators.thickness import local_thickness as local_thickness
from .operators.gradient import gradient as gradient, divergence as divergence
from .operators.curvature import (
    mean_curvature as mean_curvature,
    gaussian_curvature as gaussian_curvature,
    principal_curvatures as principal_curvatures,
    shape_index as shape_index,
)
from .operators.geodesic import geodesic_distance as geodesic_distance
from .operators.spectral import (
    heat_kernel_signature as heat_kernel_signature,
    laplacian_eigenpairs as laplacian_eigenpairs,
)
from .operators.crop import crop as crop
from .operators.solve import SPDSolver as SPDSolver, FixedValueSolver as FixedValueSolver
from .maps.parameterization import Parameterization as Parameterization
from .maps.conformal.conformal_map import conformal_map as conformal_map
from .maps.beltrami import beltrami_coefficient as beltrami_coefficient
from .maps.distortion import distortion as distortion
from .maps.quasiconformal import quasiconformal_map as quasiconformal_map
from .maps.equalize.density_map import (
    density_equalizing_map as density_equalizing_map,
    misplaced_mass as misplaced_mass,
)
from .maps.grid_map import GridMap as GridMap
from .registration.template import Template as Template
from .registration.fit import register as register, fit_template as fit_template
from .resample.resampler import Resampler as Resampler
from .resample.geometry_image import GeometryImage as GeometryImage
from .resample.channels import channels as channels
from .resample.placed import Placed as Placed, place as place
from .nn.decnn import DECNN as DECNN
from .nn.equalize import equalizing_grid as equalizing_grid
from .nn.density_conv import warp as warp, DensityEqualizingConv2d as DensityEqualizingConv2d
from .nn.layers.dynamic_stride import DynamicStrideConv2d as DynamicStrideConv2d
from .nn.layers.landing_map import landing_map as landing_map
from .nn.layers.recalibration import PyramidPixelContext as PyramidPixelContext
from .nn.layers.scale_conv import ScaleEquivariantConv as ScaleEquivariantConv
from .nn.layers.scale_unet import ScaleEquivariantUNet as ScaleEquivariantUNet
from .stats.evidence import Evidence as Evidence, find_evidence as find_evidence
from .stats.effect_map import EffectMap as EffectMap
from .stats.group import group_map as group_map, score_map as score_map
from .stats.shape_measures import shape_measures as shape_measures
from .datasets.scan import Scan as Scan
from .datasets.procedural import ProceduralFaces as ProceduralFaces
from .datasets.morphable import MorphableFaces as MorphableFaces
from .datasets.folder import FolderDataset as FolderDataset
from .datasets.adrenal import AdrenalSurfaces as AdrenalSurfaces
from .datasets.mask import surface_of_mask as surface_of_mask
from .datasets.blood import BloodCells as BloodCells
from .datasets.volumes import Hippocampi as Hippocampi
from .datasets.nodules import LungNodules as LungNodules
from .datasets.spines import DendriticSpines as DendriticSpines
from .datasets.ventricles import Ventricles as Ventricles
from .datasets.finches import FinchSkulls as FinchSkulls
from .datasets.surface_graphs import SurfaceGraphs as SurfaceGraphs
from .estimators.classifier import SurfaceClassifier as SurfaceClassifier
from .estimators.norm import NormativeModel as NormativeModel
from .estimators.regressor import SurfaceRegressor as SurfaceRegressor
from .viz.show import show as show
from .viz.inspect import inspect as inspect
from .viz.report import report as report
from .studies.run import study as study
from .train.asymmetry import asymmetry_map as asymmetry_map

__version__: str
