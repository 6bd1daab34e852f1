"""`NormativeModel`: a norm of scans, and one scan beside it, on its own vertices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from meshconv._check import FloatArray
from meshconv.errors import ArgumentError
from meshconv.registration.frame import Frame
from meshconv.resample.placed import say_doubts
from meshconv.saliency.project import to_vertices
from meshconv.stats.normative import ImageNorm, NormativeScore
from meshconv.train.config import PrepareConfig
from meshconv.train.frames import population_template
from meshconv.train.inputs import as_prepared
from meshconv.train.prepare import image_of, place_scan, prepare
from meshconv.train.prepared import Prepared
from meshconv.train.scans import as_scan


@dataclass(frozen=True, eq=False)
class ScanScore(NormativeScore):
    """One scan beside the norm.

    Attributes
    ----------
    surface : Surface
        As it was given, V vertices.
    saliency : (V,) float64
        `departure` on its vertices: what `mc.show`, `mc.report` and `mc.inspect` colour.
    vertex_z : (V,) float64
        `z` on its vertices; 0 where the norm does not reach.
    parameterization : Parameterization
        The scan in the frame.
    name : str
    """

    surface: Any = None
    saliency: Any = None
    vertex_z: Any = None
    parameterization: Any = None
    name: str = ""


@dataclass(frozen=True, eq=False)
class NormativeModel(ImageNorm):
    """What is normal, at every place of a surface: fitted on scans of people who are well.

    As `meshconv.stats.normative.ImageNorm`, on scans. All it holds is the norm of their images and
    the frame that scans are brought into.

    Examples
    --------
    >>> import meshconv as mc
    >>> scans = mc.ProceduralFaces(40, amplitude=0.0)
    >>> norm = NormativeModel.fit(scans)  # doctest: +SKIP
    >>> mc.show(norm.score("anna.ply"))  # doctest: +SKIP
    """

    template: Frame | None = None
    config: PrepareConfig | None = None

    @classmethod
    def fit(
        cls,
        images: Any,
        covariates: ArrayLike | None = None,
        *,
        channels: Any = None,
        template: Frame | None = None,
        size: int = PrepareConfig.size,
        cache: str | PathLike[str] | None = None,
        workers: int = 1,
        on_error: str = "raise",
        **options: Any,
    ) -> Self:
        """Return the norm of scans of as many subjects.

        Parameters
        ----------
        images : sequence of Scan, Surface or path; Prepared; or (n, C, N, N) array
            One scan of each subject, at least 20.
        covariates : (n,) or (n, Z) array_like, optional
            Age, sex, ...: what is expected changes linearly with them. One row for each scan given.
        channels : sequence of C str, optional
            Of an array.
        template : Template, optional
            The frame; the mean of a few scans if None. `Prepared` images need theirs for `score` to
            take scans.
        size, cache, workers, on_error
            As of `prepare`.
        **options
            Of `ImageNorm.fit`: components, blur, least_share.

        Raises
        ------
        ArgumentError, ArrayTypeError
            As `ImageNorm.fit`, or if an array comes without the names of its channels.
        MeshConvError
            Of the first bad scan.
        """
        config, frame = PrepareConfig(size=size), template
        if hasattr(images, "__array__"):
            if channels is None:
                raise ArgumentError("channels: the names of an array's channels are needed")
            found = super().fit(images, covariates, channels=channels, **options)
            return replace(found, template=template, config=config)

        def in_frame(scans: Any) -> Prepared:
            nonlocal frame
            frame = frame or population_template(scans, on_error=on_error)
            how: dict[str, Any] = {"cache": cache, "workers": workers, "on_error": on_error}
            return prepare(scans, frame, config=config, progress=False, **how)

        ready = as_prepared(images, in_frame)
        table = None if covariates is None else np.asarray(covariates)
        if table is not None and len(table) != len(ready):
            table = table[ready.kept]
        known = ready.channel_names
        found = super().fit(ready.images, table, channels=known, **options)
        config = replace(ready.preparation(config), size=ready.images.shape[-1], channels=known)
        return replace(found, template=frame, config=config)

    def score(self, image: Any, covariates: ArrayLike | None = None) -> Any:
        """Return how far one scan is from the norm, with its covariates (Z,).

        Parameters
        ----------
        image : Scan, Surface or path; or (C, N, N) array
        covariates : (Z,) array_like, optional

        Returns
        -------
        ScanScore, or NormativeScore of an array

        Raises
        ------
        ArgumentError
            If there is no frame to bring a scan into, or the covariates are of another number.
        MeshConvError
            If the scan cannot be read, mended or registered.
        """
        if hasattr(image, "__array__"):
            return super().score(image, covariates)
        if self.template is None or self.config is None:
            raise ArgumentError("fitted on images: there is no frame", hint="pass template=")
        scan = as_scan(image)
        placed = place_scan(scan, self.template, self.config)
        say_doubts([(scan.name, placed.doubts)])
        pixels = image_of(placed, self.config).channels
        found = super().score(pixels, covariates)

        def on_scan(values: FloatArray) -> FloatArray:
            known, origin = np.nan_to_num(values), placed.vertex_origin
            return to_vertices(known, placed.resampler, surface=placed.given, vertex_origin=origin)

        return ScanScore(
            found.z,
            found.departure,
            found.distance,
            found.p,
            surface=placed.given,
            saliency=np.maximum(on_scan(found.departure), 0.0),
            vertex_z=on_scan(found.z),
            parameterization=placed.parameterization,
            name=scan.name,
        )
