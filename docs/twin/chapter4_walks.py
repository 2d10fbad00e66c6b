"""Chapter 4. The two walks: pull and push.

A derivative is a walk over the recorded graph. Backward, each node asks its kind what its
cotangent means for each parent; a value with several consumers gets one part from each, and they
add up. That is the whole of backpropagation:

    x_bar  =  sum over consumers y of x    pull of y toward x (y_bar)

Forward, each node asks what the tangents of its parents mean for it, and those add up:

    y_dot  =  sum over arguments x of y    push of x into y (x_dot)

Both emit ordinary nodes, since rules are written in ordinary ops. So a gradient can be
differentiated again, in either direction, with nothing added: no dual numbers, no levels.

What must not happen is that two nested derivatives take each other's input for their own. Each
transform therefore passes its arguments through an *alias*: a new node with the same value. What
does not descend from the alias cannot depend on it, and everything that descends from it is
younger. So its number is a *floor*: the walk never looks at anything older, however long the
history behind it. And only if something older was touched can anybody ask for a derivative of this
derivative; otherwise the walk records nothing.
"""

import numpy as np
from chapter1_record import WORDS, Grad, GradArray, Leaf, lift, names_in, reach, record
from chapter2_kinds import Linear, op, total
from chapter3_ops import cos, exp, sqrt


def pull(y, y_bar, floor=0, on=False):
    """Backward from y: the cotangent of every node between y and the floor."""
    order, bars = reach(y, floor), {y.node: y_bar}
    with record(on or must_record(order, floor, y_bar)):
        for node in reversed(order):
            for i, parent in enumerate(node.parents):
                if parent and parent.seq >= floor:
                    part = node.pull(i, bars[node])
                    bars[parent] = bars[parent] + part if parent in bars else part
    return bars


def push(y, dots, floor=0):
    """Forward to y: from the tangents of some nodes, the tangent of every node they reach."""
    order = reach(y, floor)
    with record(must_record(order, floor, *dots.values())):
        for node in order:
            for i, parent in enumerate(node.parents):
                if parent in dots:
                    part = node.push(i, dots[parent])
                    dots[node] = dots[node] + part if node in dots else part
    return dots


def must_record(order, floor, *seeds):
    """Can the result of this walk depend on anything that is older than the walk's own alias?"""
    older = (parent for node in order for parent in node.parents if parent and parent.seq < floor)
    return any(older) or any(seed.node for seed in seeds)


class AliasGrad(Linear):
    forward = np.positive
    transposes = (lambda y_bar: y_bar,)


def alias(x):
    """The same value under a new number; also of a constant, so that it has a node at all."""
    x = lift(x)
    return GradArray(x._array, node=AliasGrad([x], x, {}))


def follow(f, primals):
    """Run f on aliases of the primals: the aliases, the result, and the floor of the walk."""
    xs = [alias(x) for x in primals]
    with record(True):
        return xs, lift(f(*xs)), xs[0].node.seq


def vjp(f, *primals):
    """f at the primals, and the function y_bar -> one cotangent for each primal."""
    xs, y, floor = follow(f, primals)

    def pull_back(y_bar):
        bars = pull(y, lift(y_bar), floor)
        return [bars.get(x.node, GradArray(np.zeros(x.shape))) for x in xs]

    return y, pull_back


def jvp(f, primals, tangents):
    """f at the primals, and its derivative along the tangents."""
    xs, y, floor = follow(f, primals)
    dots = push(y, {x.node: lift(x_dot) for x, x_dot in zip(xs, tangents)}, floor)
    return y, dots.get(y.node, GradArray(np.zeros(y.shape)))


def grad(f):
    """The gradient of f, which returns a number, with respect to its first argument."""

    def gradient(x, *others):
        y, pull_back = vjp(lambda x: f(x, *others), x)
        return pull_back(one_for(y))[0]

    return gradient


def backward(y, create_graph=False):
    """Add to the `_grad` of each leaf behind y the derivative of y with respect to it."""
    if not y.node:
        raise ValueError("nothing behind y was made with requires_grad=True")
    for node, bar in pull(y, one_for(y), on=create_graph).items():
        handle = node.handle() if isinstance(node, Leaf) else None
        if handle is not None:
            handle._grad = bar if handle._grad is None else handle._grad + bar


def one_for(y):
    if y.shape:
        raise ValueError(f"y has shape {y.shape}: sum it to a number, or give vjp a y_bar for it")
    return GradArray(1.0)


WORDS["backward"] = backward


class Custom(Grad):
    """The fifth kind: any differentiable map. A rule that names x_dot is a push, one that names
    y_bar is a pull. Either is a linear map, and a pull through it, at 0, is the other."""

    def push(self, i, x_dot):
        return self.either(i, "x_dot", x_dot, "y_bar", self.shape)

    def pull(self, i, y_bar):
        return self.either(i, "y_bar", y_bar, "x_dot", self.shapes[i])

    def either(self, i, name, seed, other, shape):
        if name in names_in(self.rules[i]):
            return self.rule(i, **{name: seed})
        saved = self.recall()  # here, where this walk has said whether it is recorded
        (u,), v, floor = follow(lambda u: self.rule(i, **saved, **{other: u}), [np.zeros(shape)])
        bars = pull(v, seed, floor)
        if u.node not in bars:
            raise TypeError(f"{type(self).__name__}: its rule does not use {other} in these ops")
        return bars[u.node]


inverse = op(Custom, "Inverse", np.linalg.inv, lambda x_dot, y: -(y @ x_dot @ y))


if __name__ == "__main__":
    x = GradArray(0.5, requires_grad=True)
    a = x**2
    b = exp(a)
    c = a + b
    d, e = sqrt(c), cos(c)
    bars = pull(d + e, GradArray(1.0))
    print("f = d + e, d = sqrt(c), e = cos(c), c = a + b, b = exp(a), a = x^2, at x = 0.5")
    for name, v in zip("edcbax", (e, d, c, b, a, x)):
        print(f"  df/d{name} = {bars[v.node]._array:+.15f}    {name} = {v._array:.15f}")
    s = 0.25 + np.exp(0.25)
    closed = 2 * 0.5 * (1 / (2 * np.sqrt(s)) - np.sin(s)) * (1 + np.exp(0.25))
    f = lambda x: sqrt(x**2 + exp(x**2)) + cos(x**2 + exp(x**2))
    slope = lambda x: jvp(f, [x], [1.0])[1]
    print(f"closed form {closed:+.15f}, pulled {grad(f)(0.5)}, pushed {slope(0.5)}")
    print(f"second derivative {grad(grad(f))(0.5)} by pull of pull, {grad(slope)(0.5)} of push")
    print("d/dx of x d/dz (x z) is 2x:", grad(lambda x: x * grad(lambda z: x * z)(3.0))(5.0))
    print("and through a matrix inverse, whose pull nobody wrote:")
    print(grad(lambda A: total(inverse(A)))([[2.0, 1.0], [0.5, 3.0]])._array)
