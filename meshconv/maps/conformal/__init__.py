"""Conformal maps onto the disk, the rectangle, the plane and the sphere."""
