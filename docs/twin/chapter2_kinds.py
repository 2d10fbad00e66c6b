"""Chapter 2. The five kinds: a derivative is declared once.

Near a point every differentiable operation is a linear map J, from small changes of its arguments
to a small change of its result. That map can be used in two directions:

    push    x_dot -> J x_dot      a tangent, carried forward with the computation
    pull    y_bar -> J^T y_bar    a cotangent, carried backward against it

Two rules for each operation would have to be kept in agreement by hand, for ever. But operations
come in few kinds, and each kind needs only one declaration to know both directions:

    kind           declares for each argument       push                      pull
    Elementwise    the partial derivative p         p * x_dot                 project(p * y_bar)
    Linear         its transpose                    the op itself on x_dot    transpose(y_bar)
    Multilinear    one transpose per argument       the op with x_dot in      transpose_i(y_bar)
                                                    the place of argument i
    Reduction      the partial p of one row         sum(p * x_dot)            p * expand(y_bar)
    Custom         push or pull                     the other follows         (chapter 4)

A partial declares the factor only, computed from the arguments; the multiplication belongs to the
kind. And rules are written in the ops of this library, never in NumPy: whatever a rule computes is
recorded like everything else, and so can be differentiated again.
"""

import numpy as np
from chapter1_record import Grad, GradArray, lift, reach


class Elementwise(Grad):
    """y_k = f(a_k, b_k). `J` is diagonal, so it is its own transpose, up to broadcasting."""

    declares = "partials"

    def push(self, i, x_dot):
        return expand(self.rule(i) * x_dot, shape=self.shape)

    def pull(self, i, y_bar):
        return project(self.rule(i) * y_bar, self.shapes[i])


class Linear(Grad):
    """y = J x. The op is its own derivative; what it must declare is its transpose."""

    declares = "transposes"

    def push(self, i, x_dot):
        return self.apply(x_dot, **self.params)

    def pull(self, i, y_bar):
        return self.rule(i, y_bar=y_bar, x_shape=self.shapes[i])


class Multilinear(Grad):
    """Linear in each argument while the others are held still: a matrix product, say."""

    declares = "transposes"

    def push(self, i, x_dot):
        args = self.recall() | {self.names[i]: x_dot}
        return self.apply(*[args[name] for name in self.names], **self.params)

    def pull(self, i, y_bar):
        return project(self.rule(i, y_bar=y_bar), self.shapes[i])


class Reduction(Grad):
    """One number from each row. The reduced axes stay, with length 1: expanding is broadcasting."""

    declares = "partials"

    @classmethod
    def apply(cls, x, axis=None, keepdims=False):
        x = lift(x)
        rank = len(x.shape)
        axes = range(rank) if axis is None else [k % rank for k in np.atleast_1d(axis)]
        y = super().apply(x, axis=tuple(axes), keepdims=True)
        kept = tuple(n for k, n in enumerate(x.shape) if k not in axes)
        return y if keepdims else reshape(y, shape=kept)

    def push(self, i, x_dot):
        return total(self.rule(i) * x_dot, **self.params)

    def pull(self, i, y_bar):
        return expand(self.rule(i) * y_bar, shape=self.shapes[i])


# The kinds themselves use five ops. Two are written out here, the others by `op`, which writes a
# class of the same form.


class MulGrad(Elementwise):
    forward = np.multiply
    partials = (lambda b: b, lambda a: a)


class ReshapeGrad(Linear):
    forward = lambda x, shape: x.reshape(shape)
    transposes = (lambda y_bar, x_shape: reshape(y_bar, shape=x_shape),)


def op(kind, name, f, *rules):
    """Declare an op: `class <name>Grad(kind)`, which computes f, with a rule for each argument."""
    return type(f"{name}Grad", (kind,), {"forward": staticmethod(f), kind.declares: rules}).apply


reshape = ReshapeGrad.apply
expand = op(Linear, "Expand", np.broadcast_to, lambda y_bar, x_shape: project(y_bar, x_shape))
total = op(Reduction, "Sum", np.sum, 1)
add = op(Elementwise, "Add", np.add, 1, 1)


def project(c, shape):
    """The transpose of broadcasting: a value that was used n times gets the sum of n cotangents."""
    extra = len(c.shape) - len(shape)
    wide = [k for k, n in enumerate(c.shape) if k < extra or shape[k - extra] != n]
    return reshape(total(c, axis=wide), shape=shape) if wide else c


if __name__ == "__main__":
    # Both directions come from one declaration, so one identity tests it: <J x_dot, y_bar> must
    # be <x_dot, J^T y_bar>, whatever the numbers. Here b is used by all three rows of a.
    rng = np.random.default_rng(0)
    a, b = (GradArray(rng.normal(size=s), requires_grad=True) for s in [(3, 4), (4,)])
    node = (a * b).node
    print(f"y = a * b with shapes {a.shape} and {b.shape}; kept by the node:", *sorted(node.saved))
    y_bar = GradArray(rng.normal(size=node.shape))
    for i, name in enumerate(node.names):
        x_dot = GradArray(rng.normal(size=node.shapes[i]))
        forward = (node.push(i, x_dot) * y_bar).sum()._array
        backward = (node.pull(i, y_bar) * x_dot).sum()._array
        print(f"toward {name}: {forward:.12f} pushed, {backward:.12f} pulled")
    print("\nSum declares the number 1, so it keeps", reach(a.sum())[1].saved or "nothing")
    y = (node.pull(1, y_bar) * b).sum()
    print(f"and what a rule computes is an ordinary value: {y}")
