"""`Skipped`: a scan that was left out."""

from __future__ import annotations

from dataclasses import dataclass

from meshconv.errors import MeshConvError


@dataclass(frozen=True, eq=False)
class Skipped:
    """A scan that could not be prepared, and why."""

    index: int
    name: str
    error: Exception

    @property
    def reason(self) -> str:
        """What was wrong, without the name."""
        return str(getattr(self.error, "message", "") or self.error)

    def __str__(self) -> str:
        return f"{self.name}: {self.error}"

    def as_error(self) -> Exception:
        """Return what was wrong, with the name of the scan in front."""
        if isinstance(self.error, MeshConvError):
            return self.error if self.error.path is not None else self.error.at(self.name)
        return MeshConvError(f"{type(self.error).__name__}: {self.error}", path=self.name)
