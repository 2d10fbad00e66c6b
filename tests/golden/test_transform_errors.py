"""What transforms say to what they cannot take, kept word for word in a text file here."""

import re
from pathlib import Path

import numpy as np

import gradarray as ga

HERE = Path(__file__).parent
X = ga.array([1.0, 2.0])
ROWS = ga.array(np.ones((3, 2)))
TREE = {"w": X, "b": [X]}
INTEGERS = {"w": X, "b": [np.array([1, 2])]}
SINGLE = ga.array([1.0, 2.0], dtype="float32")
leaked = []


def double(x):
    return x * 2.0


def total(x):
    return (x * x).sum()


def of_tree(p):
    return (p["w"] * p["b"][0]).sum()


def leak(x):
    leaked.append(x)
    return x


ga.vmap(leak)(ROWS)


class SmallPull(ga.Grad):
    def forward(x):
        return x * 2

    def backward(y_bar, x):
        return y_bar.sum()


class SmallPush(ga.Grad):
    def forward(x):
        return x * 2

    def push(x, x_dot):
        return x_dot.sum()


class OneOfTwo(ga.Grad):
    def forward(a, b):
        return a * b

    def backward(y_bar, a, b):
        return y_bar * b


CASES = """
# What is differentiated is one real number
ga.grad(double)(X)
ga.value_and_grad(double)(X)
ga.grad(lambda x: None)(X)
ga.grad(lambda x: (x, x, x))(X)
ga.grad(lambda x: {"loss": "none"})(X)
ga.hvp(double)(X, X)
ga.gnvp(double, double)(X, X)
ga.sparse_hessian(double)(X)
ga.minimize(double, X)
ga.implicit.minimize(double)(X)
ga.jacobian(lambda x: None)(X)
ga.jacobian(lambda x: {"y": x, "name": "net"})(X)
ga.divergence(total)(X)
ga.elementwise_grad(total)(X)
ga.derivative(total)(X)
ga.jacobian(lambda x: x > 0)(X)

# A function, and which of its arguments
ga.grad(total(X))
ga.vmap(X)
ga.jvp(total(X), (X,), (X,))
ga.checkpoint(3.0)
ga.implicit.linear_solve(np.eye(2), X)
ga.grad(total, argnums="x")(X)
ga.grad(total, argnums=1)(X)
ga.grad(total, argnums=())(X)
ga.grad(total, has_aux=True)(X)
ga.hvp(total)(X)

# Primals
ga.grad(of_tree)(INTEGERS)
ga.vjp(of_tree, INTEGERS)
ga.jvp(of_tree, (INTEGERS,), (TREE,))
ga.linearize(of_tree, INTEGERS)
ga.jacfwd(of_tree)(INTEGERS)
ga.hessian(of_tree)(INTEGERS)
ga.laplacian(of_tree)(INTEGERS)
ga.jet(of_tree, (INTEGERS,), ({"w": [X], "b": [[X]]},))
ga.grad(of_tree)({"w": X, "b": ["name"]})
ga.jvp(lambda: 1.0, (), ())

# Tangents, cotangents, vectors, series
ga.jvp(of_tree, (TREE,), ({"w": X, "b": [ROWS]},))
ga.jvp(of_tree, (TREE,), ({"w": X, "b": [SINGLE]},))
ga.jvp(of_tree, (TREE,), ({"w": X},))
ga.jvp(double, (X,), ("xy",))
ga.linearize(double, X)[1](ROWS)
ga.linearize(double, X)[1](X, X)
ga.vjp(lambda x: {"y": x}, X)[1]({"y": SINGLE})
ga.vjp(double, X)[1](X, X)
ga.hvp(of_tree)(TREE, {"w": X, "b": [ROWS]})
ga.directional(of_tree, TREE, {"w": SINGLE, "b": [X]})
ga.jet(double, (X,), (X,))
ga.jet(double, (X,), ([X, ROWS],))
ga.jet(double, (X,), ([X], [X]))

# vmap
ga.vmap(lambda x, y: x * y, in_axes=(0,))(ROWS, ROWS)
ga.vmap(lambda x, y: x * y)(ROWS, X)
ga.vmap(lambda p, y: p["w"] * y)({"w": ROWS}, ROWS[:2])
ga.vmap(lambda p: p["w"], in_axes=({"v": 0},))({"w": ROWS})
ga.vmap(double, in_axes=2)(ROWS)
ga.vmap(double, in_axes="rows")(ROWS)
ga.vmap(double, out_axes=3)(ROWS)
ga.vmap(double, out_axes=None)(ROWS)
ga.vmap(lambda x, y: x + y)(ROWS, 1.0)
ga.vmap(lambda x: x[x > 0])(ROWS)
ga.vmap(lambda x: ga.nonzero(x))(ROWS)
ga.vmap(lambda x: ga.unique(x))(ROWS)
ga.vmap(lambda x: x if x[0] > 0 else -x)(ROWS)
ga.vmap(lambda x: x.requires_grad_())(ROWS)
ga.vmap(lambda x: x + ga.random.normal(size=2))(ROWS)
leaked[0] + 1.0
leaked[0].numpy()

# Loops and branches
ga.scan(lambda c, x: ({"s": c["s"], "v": [c["v"][0][:1]]}, x), {"s": 0.0, "v": [X]}, X)
ga.scan(lambda c, x: ({"s": c["s"].astype("float32")}, x), {"s": 0.0}, X)
ga.scan(lambda c, x: (c, c), (0.0, X), X, snapshots=0)
ga.scan(lambda c, x: c + x, 0.0, X)
ga.scan(lambda c, x: (c, x if float(x) > 1.5 else (x, x)), 0.0, X)
ga.scan(lambda c, x: (c, x), 0.0, (X, ROWS))
ga.fori_loop(0.5, 3, lambda k, c: c, 0.0)
ga.fori_loop(0, 3, lambda k, c: c * 1.5, 1)
ga.while_loop(lambda c: c < 10, lambda c: ga.stack([c, c]), 1.0)
ga.while_loop(lambda c: c < 10, lambda c: c * 2, X)
ga.while_loop(lambda c: None, lambda c: c * 2, 1.0)
ga.while_loop(lambda c: c > 0, lambda c: c * 2, 1.0, max_steps=5)
ga.vmap(lambda x: ga.cond(x[0] > 0, lambda x: x, lambda x: x.sum(), x))(ROWS)
ga.cond(X > 0, double, double, X)
ga.switch(0.5, [double, double], X)

# Rules of one's own
ga.grad(lambda x: SmallPull.apply(x).sum())(X)
ga.jvp(SmallPull.apply, (X,), (X,))
ga.jet(SmallPull.apply, (X,), ([X, X],))
ga.grad(lambda x: SmallPush.apply(x).sum())(X)
ga.jvp(SmallPush.apply, (X,), (X,))
ga.jet(SmallPush.apply, (X,), ([X, X],))
ga.grad(lambda x: OneOfTwo.apply(x, x).sum())(X)
ga.jvp(lambda x: OneOfTwo.apply(x, x), (X,), (X,))

# Equations, matrices, choices
ga.root(lambda x: ga.stack([x[0], x[1], x[0]]), X)
ga.implicit.root(lambda x: x[:1])(X)
ga.implicit.root(lambda x: x - 1.0, "newton")(X)
ga.implicit.root(lambda x: x - 1.0, solver=lambda g, x: x + 5.0)(X)
ga.implicit.root(lambda x: x * x + 1.0)(1.0)
ga.sparse_jacobian(double, sparsity=np.eye(2))(X)
ga.vmap(ga.sparse_jacobian(double))(ROWS)
ga.jacfwd(double, chunk_size=0)
ga.laplacian(total, axis=3)(X)
ga.set_subgradient("rely", 0.5)
ga.set_subgradient(ga.abs, "half")
ga.precision_report(double, X, SINGLE)
"""


def told(source):
    try:
        eval(source, globals())
    except Exception as error:
        return f">>> {source}\n{type(error).__name__}: {error}\n"
    raise AssertionError(f"{source} raised nothing")


def test_errors_of_transforms(golden):
    lines = [line for line in CASES.strip().splitlines() if line]
    text = "\n".join(line if line[0] == "#" else told(line) for line in lines)
    golden(HERE / "transform-errors.txt", re.sub(r"\n  at <string>:1", "", text))
