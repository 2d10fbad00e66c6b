"""gradarray: automatic differentiation that people can see through.

    array, zeros, exp, sum, where, ..   NumPy's functions, on arrays that remember their making
    x.backward(), x.grad                reverse mode, from one value to every leaf
    grad, value_and_grad, vjp, jvp      the same as functions of functions, both ways, to any order
    Grad                                the base class of an operation of your own
    nn, optim                           layers, losses and optimisers, under PyTorch's names
    Model, Sequential, train            compile, fit, evaluate and predict, as in Keras
    random                              random numbers from a seed
    testing                             checks of derivatives, also of your own functions
    explain, quiz, diagnose             see every step of a derivative, and what ails a network

>>> import gradarray as ga
>>> x = ga.array([1.0, 2.0], requires_grad=True)
>>> (x**2).sum().backward()
>>> x.grad
GradArray([2., 4.], dtype=float64)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import fft, linalg, loaded, namespace, protocols, random, special, tree
from .algebra import Elementwise, Linear, Multilinear, Reduction
from .array import GradArray
from .choices import set_subgradient
from .custom import Custom
from .dlpack import from_dlpack
from .dtypes import *
from .errors import AnomalyError, ConvergenceError, DTypeError, GraphError, RuleError, ShapeError
from .graph import Grad, enable_grad, is_grad_enabled, no_grad
from .ops.activations import *
from .ops.attention import *
from .ops.avgpool import *
from .ops.bessel import *
from .ops.compare import *
from .ops.contract import *
from .ops.control import *
from .ops.conv import *
from .ops.convolve import *
from .ops.create import *
from .ops.cumulative import *
from .ops.difference import *
from .ops.edit import *
from .ops.einsum import *
from .ops.elementwise import *
from .ops.entropy import *
from .ops.frame import *
from .ops.functional import *
from .ops.gamma import *
from .ops.grids import *
from .ops.histogram import *
from .ops.indexing import *
from .ops.interp import *
from .ops.join import *
from .ops.layout import *
from .ops.logical import *
from .ops.move import *
from .ops.nans import *
from .ops.norm import *
from .ops.normalize import *
from .ops.order import *
from .ops.piecewise import *
from .ops.pool import *
from .ops.reduce import *
from .ops.running import *
from .ops.scan import *
from .ops.select import *
from .ops.shape import *
from .ops.sort import *
from .ops.special import *
from .ops.split import *
from .ops.stats import *
from .ops.take import *
from .ops.unfold import *
from .ops.unique import *
from .ops.vectors import *
from .standard import __array_api_version__, __array_namespace_info__
from .transforms import implicit
from .transforms.anomaly import detect_anomaly
from .transforms.batch import vmap
from .transforms.checkpoint import checkpoint
from .transforms.handwritten import custom_gradient
from .transforms.higher import elementwise_grad, gnvp, hvp
from .transforms.jacobian import divergence, hessian, jacfwd, jacobian, jacrev
from .transforms.jet import derivative, directional, jet
from .transforms.kinks import kinks
from .transforms.laplacian import laplacian
from .transforms.linearize import linearize
from .transforms.loops import cond, fori_loop, scan, switch, while_loop
from .transforms.partials import partials
from .transforms.precision import precision_report
from .transforms.pull import grad, value_and_grad, vjp
from .transforms.push import jvp
from .transforms.scipy_bridge import least_squares, minimize, root
from .transforms.sparse import (
    hessian_sparsity,
    jacobian_sparsity,
    sparse_hessian,
    sparse_jacobian,
)

from . import nn, optim  # isort: skip - they need what is above

_PARTS = (
    *("fft", "implicit", "linalg", "nn", "optim"),
    *("random", "special", "testing", "train", "tree"),
)

# Not worth the time of those who do not use them: imported when they are first asked for.
_LATE = {
    "testing": ".testing",
    "train": ".train",
    **dict.fromkeys(("Model", "Sequential", "load"), ".train"),
    "compile": ".compiler.compile",  # it brings LLVM with it
    **dict.fromkeys(("set_threads", "get_threads", "threads"), ".compiler.pool"),
    **{name: f".glass.{name}" for name in ("explain", "quiz")},
    **dict.fromkeys(("diagnose", "overfit_batch"), ".glass.diagnose"),
    "compare_grad": ".glass.compare",
    "keep_all": ".glass.record",
}


def __dir__() -> list[str]:
    return sorted({*namespace.visible(globals(), *_PARTS), *_LATE})


if TYPE_CHECKING:
    from . import testing, train
    from .compiler.compile import compile
    from .compiler.pool import get_threads, set_threads, threads
    from .glass.compare import compare_grad
    from .glass.diagnose import diagnose, overfit_batch
    from .glass.explain import explain
    from .glass.quiz import quiz
    from .glass.record import keep_all
    from .train import Model, Sequential, load
else:  # a type checker is to see what is missing

    def __getattr__(name: str) -> Any:
        if name not in _LATE:
            raise namespace.no_function(name)
        module = import_module(_LATE[name], __name__)
        value = module if _LATE[name] == f".{name}" else getattr(module, name)
        return globals().setdefault(name, value)
