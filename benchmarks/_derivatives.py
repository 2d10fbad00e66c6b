"""What derivatives.py measures, in gradarray, PyTorch and JAX, as their experts write it.

A problem's calls all give the same numbers, as NumPy arrays or as their library's own.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax.experimental.jet import jet as jax_jet
from scipy import sparse
from torch.utils.checkpoint import checkpoint as torch_checkpoint

import gradarray as ga

jax.config.update("jax_enable_x64", True)
torch.set_num_threads(1)

Call = Callable[[], Any]


class Problem(NamedTuple):
    """One derivative; the name of a call begins with its library."""

    title: str
    calls: dict[str, Call]
    rtol: float = 1e-9
    memory: bool = False  # is the peak measured?
    like: str = "PyTorch"  # how the names of those begin that do the same in PyTorch
    # What is asked beside the fastest PyTorch: (a call, at most so much of its time, its memory).
    bars: tuple[tuple[str, float | None, float | None], ...] = ()


def jax_calls(name: str, f: Callable[..., Any], *args: Any, eager: bool = True) -> dict[str, Call]:
    """`f` of JAX as it is, and jitted; a call is over when its numbers are there."""
    jitted = jax.jit(f)
    calls = {f"JAX, jitted{name}": lambda: jax.block_until_ready(jitted(*args))}
    if eager:
        calls[f"JAX{name}"] = lambda: jax.block_until_ready(f(*args))
    return calls


# Hessian ------------------------------------------------------------------------------------------


def hessian() -> Problem:
    x = np.random.default_rng(0).uniform(-1, 1, 100)

    def rosenbrock(x: Any) -> Any:
        return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    ours = ga.hessian(rosenbrock)
    x_ga, x_torch, x_jax = ga.array(x), torch.tensor(x), jnp.array(x)
    torch_hessian = torch.func.hessian(rosenbrock)
    return Problem(
        "Hessian of a Rosenbrock function of 100 variables",
        {
            "gradarray": lambda: ours(x_ga),
            "PyTorch, `torch.func`": lambda: torch_hessian(x_torch),
            "PyTorch, `torch.autograd.functional`": lambda: torch.autograd.functional.hessian(
                rosenbrock, x_torch, vectorize=True
            ),
            **jax_calls("", jax.hessian(rosenbrock), x_jax),
        },
    )


# A network of 784-256-128-10 ----------------------------------------------------------------------


class Classifier:
    """Parameters, one batch, a direction, and the mean cross-entropy in three libraries."""

    def __init__(self, batch: int = 128) -> None:
        rng = np.random.default_rng(1)
        sizes = (784, 256, 128, 10)
        shapes = [s for m, n in itertools.pairwise(sizes) for s in ((m, n), (n,))]
        scales = [s for m in sizes[:-1] for s in (m**-0.5, 0.1)]
        self.params, self.v = (
            [(a * rng.standard_normal(s)).astype(np.float32) for a, s in zip(scales, shapes)]
            for _ in range(2)
        )
        self.x = rng.standard_normal((batch, 784)).astype(np.float32)
        self.labels = rng.integers(0, 10, batch)

    @staticmethod
    def net(params: Any, x: Any, tanh: Callable[[Any], Any]) -> Any:
        w1, b1, w2, b2, w3, b3 = params
        return tanh(tanh(x @ w1 + b1) @ w2 + b2) @ w3 + b3

    def ga_loss(self, params: Any, x: Any, labels: Any) -> Any:
        return ga.nn.functional.cross_entropy(self.net(params, x, ga.tanh), labels)

    def torch_loss(self, params: Any, x: Any, labels: Any) -> Any:
        return torch.nn.functional.cross_entropy(self.net(params, x, torch.tanh), labels)

    def jax_loss(self, params: Any, x: Any, labels: Any) -> Any:
        scores = jax.nn.log_softmax(self.net(params, x, jnp.tanh))
        return -jnp.mean(jnp.take_along_axis(scores, labels[..., None], -1))


def hvp() -> Problem:
    task = Classifier()
    x, labels = ga.array(task.x), ga.array(task.labels)
    params, v = ([ga.array(p) for p in group] for group in (task.params, task.v))
    ours = ga.hvp(task.ga_loss)

    tx, tlabels = torch.tensor(task.x), torch.tensor(task.labels)
    tv = tuple(map(torch.tensor, task.v))
    leaves = tuple(torch.tensor(p, requires_grad=True) for p in task.params)
    plain = tuple(map(torch.tensor, task.params))

    def twice_reversed() -> Any:
        loss = task.torch_loss(leaves, tx, tlabels)
        gradient = torch.autograd.grad(loss, leaves, create_graph=True)
        return torch.autograd.grad(gradient, leaves, tv)

    torch_gradient = torch.func.grad(lambda p: task.torch_loss(p, tx, tlabels))

    jx, jlabels = jnp.array(task.x), jnp.array(task.labels)
    jparams, jv = (list(map(jnp.array, group)) for group in (task.params, task.v))

    def jax_hvp(params: Any, v: Any, x: Any, labels: Any) -> Any:
        gradient = jax.grad(lambda p: task.jax_loss(p, x, labels))
        return jax.jvp(gradient, (params,), (v,))[1]

    return Problem(
        "Hessian-vector product, MLP 784-256-128-10, batch 128, float32",
        {
            "gradarray": lambda: ours(params, x, labels, v),
            "PyTorch, reverse over reverse": twice_reversed,
            "PyTorch, `torch.func`, forward over reverse": lambda: torch.func.jvp(
                torch_gradient, (plain,), (tv,)
            )[1],
            **jax_calls("", jax_hvp, jparams, jv, jx, jlabels),
        },
        rtol=1e-3,
    )


def per_sample() -> Problem:
    task = Classifier()
    x, labels = ga.array(task.x), ga.array(task.labels)
    params = [ga.array(p) for p in task.params]
    ours = ga.vmap(ga.grad(task.ga_loss), in_axes=(None, 0, 0))

    tx, tlabels = torch.tensor(task.x), torch.tensor(task.labels)
    plain = tuple(map(torch.tensor, task.params))
    theirs = torch.func.vmap(torch.func.grad(task.torch_loss), in_dims=(None, 0, 0))

    jx, jlabels = jnp.array(task.x), jnp.array(task.labels)
    jparams = list(map(jnp.array, task.params))
    in_jax = jax.vmap(jax.grad(task.jax_loss), in_axes=(None, 0, 0))
    return Problem(
        "Gradients sample by sample, MLP 784-256-128-10, batch 128, float32",
        {
            "gradarray": lambda: ours(params, x, labels),
            "PyTorch": lambda: theirs(plain, tx, tlabels),
            **jax_calls("", in_jax, jparams, jx, jlabels),
        },
        rtol=1e-3,
    )


# Jet ----------------------------------------------------------------------------------------------

ORDER = 8


def wave(x: Any, xp: Any) -> Any:
    a = x * x
    c = a + xp.exp(a)
    return xp.sqrt(c) + xp.cos(c)


def jet(points: int) -> Problem:
    """Derivatives of order 0 to 8 at one point, or at many."""
    x = np.float64(0.7) if points == 1 else np.linspace(0.1, 0.9, points)
    one, zero = np.ones_like(x), np.zeros_like(x)

    def of_ga(x: Any) -> Any:
        return wave(x, ga)

    def of_torch(x: Any) -> Any:
        return wave(x, torch)

    x_ga, x_torch, x_jax = ga.array(x), torch.tensor(x), jnp.array(x)
    unit = [ga.array(one), *[ga.array(zero)] * (ORDER - 1)]

    def ours() -> Any:
        y, terms = ga.jet(of_ga, (x_ga,), (unit,))
        return [y, *terms]

    def nested_grad() -> Any:
        leaf = x_torch.clone().requires_grad_()
        y = of_torch(leaf)
        found = [y.detach()]
        for k in range(ORDER):
            (y,) = torch.autograd.grad(y.sum(), leaf, create_graph=k < ORDER - 1)
            found.append(y.detach())
        return found

    def nested_jvp() -> Any:
        ones = torch.ones_like(x_torch)

        def raised(f: Any) -> Any:
            """Every derivative so far, and one more."""

            def g(x: Any) -> Any:
                values, slopes = torch.func.jvp(f, (x,), (ones,))
                return (*values, slopes[-1])

            return g

        f: Any = lambda x: (of_torch(x),)
        for _ in range(ORDER):
            f = raised(f)
        return f(x_torch)

    def in_jax(x: Any) -> Any:
        series = [jnp.ones_like(x), *[jnp.zeros_like(x)] * (ORDER - 1)]
        y, terms = jax_jet(lambda x: wave(x, jnp), (x,), (series,))
        return [y, *terms]

    where = "one point" if points == 1 else f"{points:,} points"
    return Problem(
        f"Jet of order {ORDER} of sqrt(c) + cos(c), c = x² + exp(x²), at {where}",
        {
            "gradarray": ours,
            "PyTorch, nested reverse": nested_grad,
            "PyTorch, nested forward": nested_jvp,
            **jax_calls("", in_jax, x_jax),
        },
        rtol=1e-7,
    )


# Laplacian ----------------------------------------------------------------------------------------

LAPLACIAN_SIZES = (50, 128, 128, 128, 1)


def laplacian(trained: bool, points: int = 64) -> Problem:
    """The value, or its mean square's gradient by the weights, as a differential equation asks."""
    rng = np.random.default_rng(2)
    sizes = LAPLACIAN_SIZES
    weights = [
        w
        for m, n in itertools.pairwise(sizes)
        for w in (rng.standard_normal((m, n)) / np.sqrt(m), 0.1 * rng.standard_normal(n))
    ]
    x, units = rng.standard_normal((points, sizes[0])), np.eye(sizes[0])

    def net(weights: Any, x: Any, tanh: Callable[[Any], Any]) -> Any:
        for w, b in zip(weights[:-2:2], weights[1:-2:2], strict=True):
            x = tanh(x @ w + b)
        return (x @ weights[-2] + weights[-1])[..., 0]

    x_ga, seeds = ga.array(x), ga.array(np.repeat(units[:, None], points, 1))

    def collapsed(ws: Any, chunk: int | None = None) -> Any:
        return ga.laplacian(lambda x: net(ws, x, ga.tanh), axis=-1, chunk=chunk)(x_ga)

    def pull_of_gradient(ws: Any) -> Any:
        return ga.vjp(ga.grad(lambda x: net(ws, x, ga.tanh).sum()), x_ga)[1]

    def batched(ws: Any) -> Any:
        pull = pull_of_gradient(ws)
        return (ga.vmap(lambda e: pull(e)[0])(seeds) * seeds).sum((0, 2))

    def looped(ws: Any) -> Any:
        pull = pull_of_gradient(ws)
        return sum(
            pull(np.broadcast_to(e, x.shape).copy())[0][:, k] for k, e in enumerate(units)
        )

    x_torch, torch_units = torch.tensor(x), torch.tensor(units)

    def torch_trace(ws: Any) -> Any:
        hessians = torch.func.vmap(torch.func.hessian(lambda x: net(ws, x, torch.tanh)))
        return torch.einsum("bii->b", hessians(x_torch))

    def torch_pushed(ws: Any) -> Any:
        gradient = torch.func.grad(lambda x: net(ws, x, torch.tanh).sum())

        def one(e: Any) -> Any:
            e = e.expand(points, -1)
            return (torch.func.jvp(gradient, (x_torch,), (e,))[1] * e).sum(-1)

        return torch.func.vmap(one)(torch_units).sum(0)

    def in_jax(ws: Any, x: Any) -> Any:
        return jax.vmap(lambda x: jnp.trace(jax.hessian(lambda x: net(ws, x, jnp.tanh))(x)))(x)

    def asked(grad: Callable[..., Any], f: Callable[..., Any]) -> Callable[..., Any]:
        return grad(lambda *args: (f(*args) ** 2).mean()) if trained else f

    ws, tws, jws = ([a(w) for w in weights] for a in (ga.array, torch.tensor, jnp.array))
    ours = {
        "": asked(ga.grad, collapsed),
        ", nested reverse, batched": asked(ga.grad, batched),
        ", nested reverse, one by one": asked(ga.grad, looped),
    }
    if not trained:  # nested reverse one by one holds one direction; so can the collapsed walk
        ours[", five directions at a time"] = functools.partial(collapsed, chunk=5)
    in_torch = {
        "trace of `vmap(hessian)`": asked(torch.func.grad, torch_trace),
        "`vmap(jvp(grad))`": asked(torch.func.grad, torch_pushed),
    }
    half = 0.5 if trained else None  # one by one nothing stays but the sum, unless it is trained
    return Problem(
        ("Gradient of a loss of the Laplacian" if trained else "Laplacian")
        + f" of an MLP 50-128-128-128-1 at {points} points",
        {
            **{f"gradarray{name}": functools.partial(f, ws) for name, f in ours.items()},
            **{f"PyTorch, {name}": functools.partial(f, tws) for name, f in in_torch.items()},
            **jax_calls("", asked(jax.grad, in_jax), jws, jnp.array(x)),
        },
        memory=True,
        bars=(
            ("JAX, jitted", 1.0, None),
            ("gradarray, nested reverse, batched", 0.5, 0.5),
            ("gradarray, nested reverse, one by one", 0.5, half),
        ),
    )


# Sparse Jacobian ----------------------------------------------------------------------------------


def burgers(u: Any, roll: Callable[[Any, int], Any]) -> Any:
    """u_t = -(u²/2)_x + nu u_xx on a ring, by central differences."""
    n = u.shape[0]
    nu, h = 0.01, 1 / n
    left, right = roll(u, 1), roll(u, -1)
    return (left * left - right * right) / (4 * h) + nu * (right - 2 * u + left) / h**2


def sparse_jacobian(n: int = 1000) -> Problem:
    u = 1 + 0.5 * np.sin(2 * np.pi * np.arange(n) / n)
    u_ga, u_torch, u_jax = ga.array(u), torch.tensor(u), jnp.array(u)
    ours = ga.sparse_jacobian(lambda u: burgers(u, ga.roll))
    in_torch = torch.func.jacfwd(lambda u: burgers(u, torch.roll))
    pulled = torch.func.jacrev(lambda u: burgers(u, torch.roll))
    return Problem(
        "Sparse Jacobian of Burgers' right-hand side, 1,000 cells, the pattern unknown",
        {
            "gradarray": lambda: ours(u_ga),
            "PyTorch, `jacfwd`": lambda: in_torch(u_torch),
            "PyTorch, `jacrev`": lambda: pulled(u_torch),
            **jax_calls("", jax.jacfwd(lambda u: burgers(u, jnp.roll)), u_jax),
        },
        memory=True,
        bars=(("JAX, jitted", 1.0, None),),
    )


def colored_jacobian(n: int = 1000) -> Problem:
    """The pattern and its colours are given, to the others as seeds made by hand."""
    u = 1 + 0.5 * np.sin(2 * np.pi * np.arange(n) / n)
    u_ga, u_torch, u_jax = ga.array(u), torch.tensor(u), jnp.array(u)
    known = ga.jacobian_sparsity(lambda u: burgers(u, ga.roll))(u_ga)
    ours = ga.sparse_jacobian(lambda u: burgers(u, ga.roll), sparsity=known)
    seeds = np.zeros((known.products, n))
    seeds[known.colors, np.arange(n)] = 1
    rows, columns = known.pattern.nonzero()
    colors = known.colors[columns]

    def matrix(values: Any) -> Any:
        return sparse.csr_array((values[colors, rows], (rows, columns)), shape=(n, n))

    torch_seeds, jax_seeds = torch.tensor(seeds), jnp.array(seeds)

    def in_torch() -> Any:
        push = torch.func.vmap(
            lambda e: torch.func.jvp(lambda u: burgers(u, torch.roll), (u_torch,), (e,))[1]
        )
        return matrix(push(torch_seeds).numpy())

    def products(u: Any, seeds: Any) -> Any:
        return jax.vmap(lambda e: jax.jvp(lambda u: burgers(u, jnp.roll), (u,), (e,))[1])(seeds)

    in_jax = {
        name: lambda call=call: matrix(np.asarray(call()))
        for name, call in jax_calls(", seeds by hand", products, u_jax, jax_seeds).items()
    }
    return Problem(
        "The same, the pattern given",
        {"gradarray": lambda: ours(u_ga), "PyTorch, seeds by hand": in_torch, **in_jax},
    )


# A long loop --------------------------------------------------------------------------------------

STEPS = 10_000
SNAPSHOTS = 100


def loop(size: int = 500) -> Problem:
    """x' = -a sin(x) by the midpoint rule until x_0 < 0.1; the gradient of |x|² in a and x(0)."""
    rng = np.random.default_rng(3)
    x0, a = rng.uniform(1, 2, (2, size))
    x0[0], a[0], end = 2.0, 1.0, 0.1
    h = np.log(np.tan(x0[0] / 2) / np.tan(end / 2)) / STEPS

    def step(x: Any, a: Any, sin: Callable[[Any], Any]) -> Any:
        return x - h * a * sin(x - 0.5 * h * a * sin(x))

    def ga_end(a: Any, x: Any, **options: Any) -> Any:
        body = lambda x: step(x, a, ga.sin)
        x = ga.while_loop(lambda x: x[0] >= end, body, x, **options)
        return (x * x).sum()

    ours = ga.grad(functools.partial(ga_end, snapshots=SNAPSHOTS), argnums=(0, 1))
    whole = ga.grad(ga_end, argnums=(0, 1))
    a_ga, x_ga = ga.array(a), ga.array(x0)

    leaves = torch.tensor(a, requires_grad=True), torch.tensor(x0, requires_grad=True)

    def torch_end(a: Any, x: Any, segment: int) -> Any:
        def some(a: Any, x: Any) -> Any:
            for _ in range(segment):
                if not x[0] >= end:
                    break
                x = step(x, a, torch.sin)
            return x

        while x[0] >= end:
            x = some(a, x) if segment == 1 else torch_checkpoint(some, a, x, use_reentrant=False)
        return (x * x).sum()

    def in_torch(segment: int) -> Any:
        return torch.autograd.grad(torch_end(*leaves, segment), leaves)

    def scanned(a: Any, x: Any) -> Any:
        x, _ = jax.lax.scan(lambda x, _: (step(x, a, jnp.sin), None), x, None, length=steps)
        return (x * x).sum()

    def scanned_twice(a: Any, x: Any) -> Any:
        """Of sqrt(n) segments of sqrt(n) steps each is computed again in the reverse sweep."""
        body = lambda x, _: (step(x, a, jnp.sin), None)
        segments, rest = divmod(steps, SNAPSHOTS)
        some = jax.checkpoint(lambda x, _: (jax.lax.scan(body, x, None, length=SNAPSHOTS)[0], None))
        x, _ = jax.lax.scan(some, x, None, length=segments)
        x, _ = jax.lax.scan(body, x, None, length=rest)
        return (x * x).sum()

    steps = 0
    x = x0
    while x[0] >= end:  # JAX cannot reverse its while_loop, and is told the number
        x, steps = step(x, a, np.sin), steps + 1
    args = jnp.array(a), jnp.array(x0)
    return Problem(
        f"Gradient through a while loop of {steps:,} steps of {size} values",
        {
            "gradarray": lambda: ours(a_ga, x_ga),
            "gradarray, every step kept": lambda: whole(a_ga, x_ga),
            "PyTorch, `checkpoint` of 100 steps": lambda: in_torch(100),
            "PyTorch, every step kept": lambda: in_torch(1),
            **jax_calls(", `scan`", jax.grad(scanned, (0, 1)), *args, eager=False),
            **jax_calls(
                ", `scan` of `checkpoint`", jax.grad(scanned_twice, (0, 1)), *args, eager=False
            ),
        },
        memory=True,
        like="PyTorch, `checkpoint`",
        bars=(("gradarray, every step kept", None, 0.1), ("JAX, jitted, `scan`", None, 0.1)),
    )


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "hessian": hessian,
    "hvp": hvp,
    "per_sample": per_sample,
    "jet": functools.partial(jet, 1),
    "jets": functools.partial(jet, 10_000),
    "laplacian": functools.partial(laplacian, False),
    "laplacian_loss": functools.partial(laplacian, True),
    "sparse": sparse_jacobian,
    "colored": colored_jacobian,
    "loop": loop,
}
