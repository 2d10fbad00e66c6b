"""gradarray: automatic differentiation that people can see through."""

from . import tree
from .algebra import Elementwise, Linear, Multilinear, Reduction
from .array import GradArray
from .choices import set_subgradient
from .custom import Custom
from .errors import DTypeError, GraphError, RuleError, ShapeError
from .graph import Grad, enable_grad, is_grad_enabled, no_grad
from .ops.compare import *  # noqa: F403
from .ops.contract import *  # noqa: F403
from .ops.control import *  # noqa: F403
from .ops.create import *  # noqa: F403
from .ops.elementwise import *  # noqa: F403
from .ops.reduce import *  # noqa: F403
from .ops.shape import *  # noqa: F403
from .transforms.pull import grad, value_and_grad, vjp
from .transforms.push import jvp
