"""Chapter 3. The ops: what can be computed, on one page.

With the kinds in place, an op is what it computes and one rule for each argument, and each line
below can be read aloud as the line of a calculus book that it is. Where the result is the cheapest
way to say its derivative, the rule names y; what no rule names is not kept.

Some lines deserve a word.

* tanh could say 1 - y^2. At x = 20 that is exactly 0 in floating point, where the truth is 1.7e-17.
  With sech beside it, whose own rule needs nothing but tanh, it stays right to every order.
* relu has no derivative at 0. Ours is 0, because step(0) is 0: a choice, and it can be seen.
* In a @ b the matrix a is multiplied from the right, so its cotangent meets b^T on the right.
* The sigmoid and the mean are composed of what is there. Compositions need no rules.
"""

import numpy as np
from chapter1_record import GradArray
from chapter2_kinds import Elementwise, Linear, Multilinear, Reduction, op, total


def matrix_product(a, b):
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise ValueError(f"matmul: {a.shape} @ {b.shape} do not fit; (m, k) @ (k, n) would")
    return a @ b


sub = op(Elementwise, "Sub", np.subtract, 1, -1)
neg = op(Elementwise, "Neg", np.negative, -1)
div = op(Elementwise, "Div", np.divide, lambda b: b**-1, lambda b, y: -y / b)
power = op(Elementwise, "Power", lambda x, n: x**n, lambda x, n: n * x ** (n - 1) if n else 0)
sqrt = op(Elementwise, "Sqrt", np.sqrt, lambda y: 0.5 / y)
exp = op(Elementwise, "Exp", np.exp, lambda y: y)
log = op(Elementwise, "Log", np.log, lambda x: x**-1)
sin = op(Elementwise, "Sin", np.sin, lambda x: cos(x))
cos = op(Elementwise, "Cos", np.cos, lambda x: -sin(x))
tanh = op(Elementwise, "Tanh", np.tanh, lambda x: sech(x) ** 2)
sech = op(Elementwise, "Sech", lambda x: 1 / np.cosh(x), lambda x, y: -y * tanh(x))
relu = op(Elementwise, "Relu", lambda x: np.maximum(x, 0), lambda x: step(x))
step = op(Elementwise, "Step", lambda x: np.where(x > 0, 1.0, 0.0), 0)
transpose = op(Linear, "Transpose", np.transpose, lambda y_bar: y_bar.T)
toward_a, toward_b = lambda y_bar, b: y_bar @ b.T, lambda y_bar, a: a.T @ y_bar
matmul = op(Multilinear, "MatMul", matrix_product, toward_a, toward_b)
logsumexp = op(Reduction, "LogSumExp", np.logaddexp.reduce, lambda x, y: exp(x - y))


def sigmoid(x):
    return (tanh(x / 2) + 1) / 2


def mean(x):
    return total(x) / x._array.size


if __name__ == "__main__":
    print("op         keeps    derivative at 0.7, by its rule    by a central difference")
    for f in (sqrt, exp, log, sin, cos, tanh, sech):
        node = f(GradArray(0.7, requires_grad=True)).node
        slope, difference = node.push(0, GradArray(1.0)), (f(0.7 + 1e-6) - f(0.7 - 1e-6)) / 2e-6
        row = f"{type(node).__name__:11}{' '.join(sorted(node.saved)):9}"
        print(f"{row}{slope._array:21.12f}{difference._array:28.12f}")
    y = tanh(GradArray(20.0, requires_grad=True))
    print("\ntanh'(20) =", y.node.push(0, GradArray(1.0))._array, "but 1 - y^2 =", 1 - y._array**2)
