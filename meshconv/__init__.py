"""meshconv: from a scan to a class, and to the place on the surface where one sees it.

The public names are listed in ``__init__.pyi`` and loaded on first use, so `import meshconv` costs
neither torch nor VTK.
"""

import lazy_loader

from meshconv.compiled_cache import provide_cache

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]

provide_cache()
