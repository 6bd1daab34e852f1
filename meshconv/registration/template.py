"""`Template`: the frame of a population, with the doors through which one is made and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike

from meshconv._check import IntArray, in_range
from meshconv.io.container import read_container, write_container
from meshconv.maps.parameterization import Parameterization
from meshconv.mesh.surface import Surface
from meshconv.registration.frame import Frame
from meshconv.registration.orientation import turned
from meshconv.registration.population import (
    Options,
    check_surfaces,
    mean_frame,
    natural_domain,
    stood,
    surface_frame,
)


@dataclass(frozen=True, eq=False)
class Template(Frame):
    """The frame into which `register` brings every scan of a population.

    Parameters
    ----------
    parameterization : Parameterization
        The mean surface and the frame coordinates of its vertices, domain ``disk`` or ``sphere``.
    landmarks : (K,) int array_like, optional
        Vertices of the mean surface that `register` can match exactly; in the same order on every
        scan.
    orientation : {'any', 'kept'}
        How the scans are turned in space: anyhow, or about as the template is, as organs are that
        were cut out of scanner images. Then only what is left of the turn, some 40 degrees, is
        sought and taken away. Closed surfaces only.
    population : (n, 5) float64, optional
        How well each scan that the frame is made of lies in it, rows of
        `meshconv.registration.score.Measures`: what later scans are judged by. Without it they are
        judged by what is usual for faces and organs.
    rivals : (n,) float64, optional
        How much worse the best other pose of each of those scans is. Where it is hardly worse for
        most, as of round bowls, the turn is open by the kind of shape (`open_turn`), and single
        scans are not doubted for it.

    See Also
    --------
    Template.from_surface : a frame from one surface.
    Template.from_population : the mean shape of many, in the frame of the first.
    """

    @classmethod
    def from_surface(
        cls,
        surface: Surface,
        *,
        domain: str | None = None,
        landmarks: IntArray | None = None,
        margin: float = 0.1,
        orientation: str = "any",
    ) -> Template:
        """Return the frame given by the map of one clean surface, turned upright.

        On the disk the map is conformal, and the surface's y axis points up; that of a deep bowl,
        nearly all rim if it were conformal, keeps areas instead. On the sphere it keeps
        areas (conformal maps of closed surfaces squeeze what is long and thin), and the directions
        are those in space. A face whose plane of symmetry is x = 0 is then symmetric about the
        vertical middle of its images.

        Parameters
        ----------
        surface : Surface
            A disk (one border, no handle), or a closed surface of genus 0. It should cover what the
            scans cover: what lies outside is squeezed into the margin.
        domain : {'disk', 'sphere'}, optional
            The flat domain; the sphere for a surface without a border if None, else the disk.
        landmarks : (K,) int array_like, optional
            Vertices of `surface`.
        margin : float
            Width of the ring of the unit disk that is kept free around the template, for scans that
            reach further. In [0, 0.5]; not for the sphere.
        orientation : {'any', 'kept'}
            See `Template`.

        Raises
        ------
        TopologyError
            If the surface is neither of the two.
        """
        domain = domain or natural_domain(surface)
        return cls.of(surface_frame(surface, domain, landmarks, margin, orientation))

    @classmethod
    def from_population(
        cls,
        surfaces: Sequence[Surface],
        *,
        domain: str | None = None,
        rounds: int = Options.rounds,
        landmarks: Sequence[IntArray] | None = None,
        orientation: str = "any",
        pose: str = Options.pose,
    ) -> Template:
        """Return the mean shape of a population as a frame.

        The first surface is fitted to all others, its vertices are replaced by the mean of the fits
        (pose and position removed, size kept), and so again. Its triangles stay.

        Parameters
        ----------
        surfaces : sequence of Surface
            At least one; scans of one kind, in any pose. The first should be clean and complete.
        domain : {'disk', 'sphere'}, optional
            Of the first surface if None, see `from_surface`.
        orientation : {'any', 'kept'}
            As in `from_surface`.
        rounds : int
            How often the mean is renewed.
        landmarks : sequence of (K,) int array_like, optional
            Vertices of each surface, in one order.
        pose : {'first', 'standard', 'auto'}
            How the frame stands in space. As the first surface does; in a standard pose
            (`standing`: facing +z, symmetric about x = 0, up as faces are); or in that only if the
            surfaces came turned anyhow, by more than 45 degrees. Where scans share a pose, the
            scanner knew better what is up. One surface alone, or no round, does not tell: the
            first.
        """
        check_surfaces(surfaces)
        options = Options(domain or natural_domain(surfaces[0]), rounds, orientation, pose)
        return cls.of(mean_frame(surfaces, landmarks, options))

    def standing(self) -> Template:
        """Return the same frame in a standard pose, whichever it was in; `turned` corrects what
        came out wrong.

        Where the surface faces somewhere, its best plane of mirror symmetry is x = 0, its mean
        normal points to +z (so how far it nods depends on where it was cut), and that way is up
        which is nearer to an upright human face: arbitrary for what is no face. Where it faces
        nowhere (closed, or nearly so), the longest principal axis points up and the shortest to +z;
        which of their ends is in front or up is arbitrary.
        """
        return self.of(stood(self))

    def turned(self, degrees: float) -> Template:
        """Return the frame turned counter-clockwise in its picture: by 180 where it came out upside
        down.

        Surface and map turn together, about the direction in which the surface faces (z, if it is
        closed).

        Examples
        --------
        >>> from meshconv.mesh.shapes import face
        >>> frame = Template.from_surface(face(300))
        >>> around = frame.turned(180).parameterization.coordinates
        >>> bool(abs(around + frame.parameterization.coordinates).max() < 1e-12)
        True
        """
        return replace(
            self,
            parameterization=turned(self.parameterization, in_range(degrees, -360, 360, "degrees")),
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write surface, frame and landmarks to one checksummed .npz file, whole or not at all."""
        arrays = {
            "vertices": self.surface.vertices,
            "faces": self.surface.faces,
            "coordinates": self.parameterization.coordinates,
            "landmarks": self.landmarks,
            "population": self.population,
            "rivals": self.rivals,
        }
        head = {"domain": self.parameterization.domain, "orientation": self.orientation}
        write_container(path, "template", head, arrays)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Template:
        """Read a template; raise `CheckpointError` if the file is damaged or something else."""
        with read_container(path, "template") as (head, arrays):
            surface = Surface(arrays["vertices"], arrays["faces"])
            flat = Parameterization(surface, arrays["coordinates"], head["domain"])
            known = arrays["population"], arrays["rivals"]
            return cls(flat, arrays["landmarks"], head["orientation"], *known)

    @classmethod
    def of(cls, frame: Frame) -> Template:
        """Return a frame with its doors."""
        known = frame.population, frame.rivals
        return cls(frame.parameterization, frame.landmarks, frame.orientation, *known)
