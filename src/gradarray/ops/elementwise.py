"""Every elementwise op under one roof, for rules and compositions that need several of them."""

from . import (
    arithmetic,
    complex,
    exponential,
    hyperbolic,
    operators,
    powers,
    rounding,
    trigonometric,
)
from .arithmetic import *
from .complex import *
from .exponential import *
from .hyperbolic import *
from .powers import *
from .rounding import *
from .trigonometric import *

__all__: list[str] = []
__all__ += arithmetic.__all__
__all__ += complex.__all__
__all__ += exponential.__all__
__all__ += hyperbolic.__all__
__all__ += powers.__all__
__all__ += rounding.__all__
__all__ += trigonometric.__all__
