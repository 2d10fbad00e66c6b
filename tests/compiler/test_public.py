"""No public function is forgotten: each is compiled here or in a test of its family, or refused.

Functions of the registry are compiled in `test_registry.py`, layers in `test_layers.py`.
"""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import gradarray as ga
from gradarray import registry
from gradarray.nn import functional as F
from tests.compiler.common import floating, same

RNG = np.random.default_rng(8)
SPACES = {
    "": ga, "linalg": ga.linalg, "fft": ga.fft, "special": ga.special, "implicit": ga.implicit,
    "random": ga.random, "nn.functional": F, "nn.init": ga.nn.init, "nn.utils": ga.nn.utils,
    "optim": ga.optim, "train": ga.train, "testing": ga.testing, "tree": ga.tree,
}  # fmt: skip


def draw(*shape):
    return RNG.normal(size=shape)


X, Y, Z = draw(4, 3), draw(4, 3), draw(4, 3)
SIGNS = np.sign(draw(4, 3))
CLASSES = np.array([0, 2, 1, 1])
LINE, PLANE, SPACE = draw(2, 4, 8), draw(2, 4, 8, 8), draw(2, 4, 4, 4, 4)
BY_AXES = {1: LINE, 2: PLANE, 3: SPACE}
SPD = np.eye(3) + 0.1

# In `nn.functional`: what follows the first argument.
ALONE = [
    "celu", "dropout", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh",
    "leaky_relu", "log_softmax", "logsigmoid", "mish", "normalize", "relu", "relu6", "selu",
    "sigmoid", "silu", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh",
    "tanhshrink",
]  # fmt: skip
OF_TWO = [
    "cosine_similarity", "huber_loss", "kl_div", "l1_loss", "mse_loss", "pairwise_distance",
    "poisson_nll_loss", "smooth_l1_loss",
]  # fmt: skip
FUNCTIONAL = {
    **dict.fromkeys(ALONE, (X,)),
    **dict.fromkeys(OF_TWO, (X, Y)),
    "binary_cross_entropy": (1 / (1 + np.exp(-X)), (Y > 0) * 1.0),
    "binary_cross_entropy_with_logits": (X, (Y > 0) * 1.0),
    "batch_norm": (X, None, None, draw(3), draw(3), True),
    "bilinear": (X, Y, draw(5, 3, 3), draw(5)),
    "cosine_embedding_loss": (X, Y, SIGNS[:, 0]),
    "cross_entropy": (X, CLASSES),
    "embedding": (CLASSES, draw(5, 2)),
    "gaussian_nll_loss": (X, Y, np.exp(Z)),
    "glu": (draw(4, 6),),
    "group_norm": (LINE, 2),
    "hinge_embedding_loss": (X, SIGNS),
    "instance_norm": (LINE,),
    "interpolate": (PLANE, None, 2.0, "bilinear"),
    "layer_norm": (X, (3,), draw(3), draw(3)),
    "linear": (X, draw(5, 3), draw(5)),
    "margin_ranking_loss": (X, Y, SIGNS),
    "multi_margin_loss": (X, CLASSES),
    "nll_loss": (X, CLASSES),
    "one_hot": (CLASSES, 4),
    "prelu": (X, np.array([0.2])),
    "rms_norm": (X, (3,)),
    "scaled_dot_product_attention": (draw(2, 5, 4), draw(2, 5, 4), draw(2, 5, 4)),
    "soft_margin_loss": (X, SIGNS),
    "threshold": (X, 0.1, 2.0),
    "triplet_margin_loss": (X, Y, Z),
}
for _n, _x in BY_AXES.items():
    _kernel = (3,) * _n
    FUNCTIONAL |= {
        f"adaptive_avg_pool{_n}d": (_x, 2),
        f"adaptive_max_pool{_n}d": (_x, 2),
        f"avg_pool{_n}d": (_x, 2),
        f"max_pool{_n}d": (_x, 2),
        f"conv{_n}d": (_x, draw(5, 4, *_kernel)),
        f"conv_transpose{_n}d": (_x, draw(4, 3, *_kernel)),
        f"dropout{_n}d": (_x, 0.25),
    }


def of_first(f, args):
    """f of its first array that has derivatives, the others as they are."""
    k = next((k for k, a in enumerate(args) if np.asarray(a).dtype.kind == "f"), 0)
    return lambda x: f(*args[:k], x, *args[k + 1 :]), args[k]


def filled(name, *args):
    """An initialiser: what it puts into an array made outside."""

    def run(x):
        w = ga.zeros(x.shape)
        getattr(ga.nn.init, name)(w, *args)
        return w * x

    return run


def clipped(how):
    def run(x):
        w = ga.array(x, requires_grad=True)
        (w * w).sum().backward()
        total = how([w])
        return (w.grad, total) if total is not None else w.grad

    return run


# Name: a function of one array, and the array.
CALLS = {
    **{f"nn.functional.{name}": of_first(getattr(F, name), a) for name, a in FUNCTIONAL.items()},
    **{
        f"nn.init.{name}_": (filled(f"{name}_"), X)
        for name in (
            *("kaiming_normal", "kaiming_uniform", "normal", "ones", "orthogonal"),
            *("trunc_normal", "uniform", "xavier_normal", "xavier_uniform", "zeros", "eye"),
        )
    },
    "nn.init.constant_": (filled("constant_", 2.5), X),
    "nn.init.dirac_": (filled("dirac_"), LINE),
    "nn.init.calculate_gain": (lambda x: ga.nn.init.calculate_gain("tanh") * x, X),
    "random.bernoulli": (lambda x: ga.random.bernoulli(ga.sigmoid(x)), X),
    "random.beta": (lambda x: ga.random.beta(ga.exp(x), 2.0), X),
    "random.categorical": (ga.random.categorical, X),
    "random.choice": (lambda x: ga.random.choice(x, (2,)), X),
    "random.dirichlet": (lambda x: ga.random.dirichlet(ga.exp(x)), X[0]),
    "random.exponential": (lambda x: ga.random.exponential(ga.exp(x)), X),
    "random.gamma": (lambda x: ga.random.gamma(ga.exp(x)), X),
    "random.gumbel": (ga.random.gumbel, X),
    "random.gumbel_softmax": (ga.random.gumbel_softmax, X),
    "random.integers": (lambda x: x * ga.random.integers(0, 5, x.shape), X),
    "random.laplace": (ga.random.laplace, X),
    "random.logistic": (ga.random.logistic, X),
    "random.multivariate_normal": (lambda x: ga.random.multivariate_normal(x, SPD), X[0]),
    "random.normal": (ga.random.normal, X),
    "random.permutation": (ga.random.permutation, X),
    "random.truncated_normal": (lambda x: x * ga.random.truncated_normal(-1.0, 1.0, size=4), X.T),
    "random.uniform": (lambda x: ga.random.uniform(x, x + 1), X),
    "optim.clip_grad_norm_": (clipped(lambda w: ga.optim.clip_grad_norm_(w, 0.5)), X),
    "optim.clip_grad_value_": (clipped(lambda w: ga.optim.clip_grad_value_(w, 0.5)), X),
    "nn.utils.clip_grad_norm_": (clipped(lambda w: ga.nn.utils.clip_grad_norm_(w, 0.5)), X),
    "nn.utils.clip_grad_value_": (clipped(lambda w: ga.nn.utils.clip_grad_value_(w, 0.5)), X),
    "nn.utils.clip_grads_with_norm_": (
        clipped(lambda w: ga.nn.utils.clip_grads_with_norm_(w, 0.5, ga.array(2.0))), X
    ),
    "nn.utils.get_total_norm": (lambda x: ga.nn.utils.get_total_norm([x, 2 * x]), X),
    "tree.map": (lambda x: ga.tree.map(lambda a: a * 2, {"a": x}), X),
    "result_type": (lambda x: x.astype(ga.result_type(x, ga.float32)), X),
    "can_cast": (lambda x: x * ga.can_cast(x.dtype, ga.float32), X),
    "isdtype": (lambda x: x * ga.isdtype(x.dtype, "real floating"), X),
    "finfo": (lambda x: x * ga.finfo(x.dtype).eps, X),
    "iinfo": (lambda x: x * ga.iinfo(int).bits, X),
    "is_grad_enabled": (lambda x: x * ga.is_grad_enabled(), X),
    "elementwise_grad": (ga.elementwise_grad(ga.tanh), X),
    "from_dlpack": (lambda x: x * ga.from_dlpack(np.arange(3.0)), X),
    "jacobian_sparsity": (lambda x: x * ga.jacobian_sparsity(ga.sin)(x).products, X[0]),
    "hessian_sparsity": (
        lambda x: x * ga.hessian_sparsity(lambda x: ga.sum(ga.sin(x)))(x).products, X[0]
    ),
    "nn.functional_call": (
        lambda x: ga.nn.functional_call(ga.nn.Linear(3, 2, dtype=float), {"weight": x[:2]}, x), X
    ),
}  # fmt: skip
# In `test_transforms.py` and `test_searches.py`.
ELSEWHERE = [
    "checkpoint", "cond", "custom_gradient", "derivative", "directional", "divergence",
    "fori_loop", "gnvp", "grad", "hessian", "hvp", "jacfwd", "jacobian", "jacrev", "jet",
    "jvp", "laplacian", "least_squares", "linearize", "minimize", "partials", "root", "scan",
    "sparse_hessian", "sparse_jacobian", "switch", "value_and_grad", "vjp", "vmap",
    "while_loop", "implicit.fixed_point", "implicit.linear_solve", "implicit.minimize",
    "implicit.root",
]  # fmt: skip
# What looks at values, and what is said then.
VALUES = "only when"
REFUSED = {
    "detect_anomaly": (lambda x: ga.detect_anomaly().__enter__(), "detect_anomaly: looks at"),
    "kinks": (lambda x: ga.kinks().__enter__(), "kinks: looks at values"),
    "precision_report": (lambda x: ga.precision_report(ga.sin, x), "precision_report: looks at"),
    "testing.check": (lambda x: ga.testing.check(ga.sin, x), VALUES),
    "train.save": (lambda x: ga.train.save(ga.nn.Linear(2, 2), "never"), "save"),
}
# Of files, of the process, of functions as such: they take no arrays, or arrays that are there.
NO_ARRAYS = [
    "compile", "get_threads", "set_threads", "threads", "load", "random.load_state_dict",
    "random.seed", "random.state_dict", "testing.check_op", "testing.count_ops",
    "train.batches", "train.load", "train.register", "train.unpack", "tree.argument",
    "tree.describe", "tree.flatten", "tree.paths", "tree.same", "tree.unflatten",
]  # fmt: skip


def public():
    """Every public function that is not of the registry, by name."""
    known = {id(entry.fn) for entry in registry.functions.values()}
    for space, module in SPACES.items():
        for name in dir(module):
            f = getattr(module, name)
            if name.startswith("_") or not callable(f) or isinstance(f, type):
                continue
            if id(f) not in known and not inspect.ismodule(f) and name != "NamedTuple":
                yield f"{space}.{name}".lstrip(".")


def test_no_function_is_left_out():
    tried = {*CALLS, *ELSEWHERE, *REFUSED, *NO_ARRAYS}
    # The explainer takes functions apart op by op: what it tells is not for a compiled function.
    told = {"compare_grad", "diagnose", "explain", "keep_all", "overfit_batch", "quiz"}
    assert set(public()) - tried == told
    here = Path(__file__).parent
    text = "".join((here / f"test_{name}.py").read_text() for name in ("transforms", "searches"))
    assert [name for name in ELSEWHERE if f"ga.{name}(" not in text and f"ga.{name}\n" not in text
            and f"@ga.{name}" not in text] == []


@pytest.mark.parametrize("name", CALLS)
def test_compiled_equals_eager(name):
    f, x = CALLS[name]
    x = ga.array(x)

    def run(made, x):
        ga.random.seed(5)
        return made(x)

    same(run(ga.compile(f), x), run(f, x), where=name)
    if x.dtype.kind == "f" and any(y._node is not None for y in _on_a_graph(f, x)):
        total = lambda x: sum(ga.sum(ga.sin(y)) for y in floating(f(x)) if y.size)
        slope = ga.grad(total)
        same(run(ga.compile(slope), x), run(slope, x), where=f"{name}, gradient")


def _on_a_graph(f, x):
    return floating(f(ga.array(x.numpy(), requires_grad=True)))


@pytest.mark.parametrize("name", REFUSED)
def test_what_looks_at_values_is_refused_with_the_line(name):
    f, what = REFUSED[name]
    with pytest.raises(ga.GraphError, match=re.escape(what)) as told:
        ga.compile(f)(ga.array(X))
    assert re.search(r"\n  at test_public\.py:\d+: ", str(told.value))
