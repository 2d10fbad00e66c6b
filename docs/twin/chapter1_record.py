"""Chapter 1. Record: an array that remembers what made it.

Write y = exp(x) * x in NumPy and the numbers are all that is left; that exp came first and x was
used twice is forgotten. Differentiation needs exactly what was forgotten. So we wrap the numbers
in a `GradArray` and let every operation leave a trace behind, a `Grad`:

    GradArray   a handle that the user holds: the values, and the node of those values
    Grad        one application of an op, and the identity of the value it made (a *node*)
    Leaf        the node of a value that nothing made: an input, a parameter

Three decisions make everything later simple.

* A node points to its parent *nodes*, never to handles. A handle may be bound to new values (an
  optimiser does it at every step); what was recorded before must not notice.
* A node does not keep its inputs. It keeps the arrays that its rules *name*, and nothing else.
* Every node takes a number when it is made. A parent is always older than its children, so sorting
  by that number puts any graph in order, and no walk will ever need recursion.
"""

import inspect
import itertools
import weakref
from contextlib import contextmanager

import numpy as np

clock = itertools.count(1)
recording = True

# Operators are methods of GradArray, but ops are the subject of later chapters. A method therefore
# looks its word up here when it is called, and each chapter adds the words that it can explain.
WORDS = {}


def word(name):
    return lambda *args, **kwargs: WORDS[name](*args, **kwargs)


class GradArray:
    """A handle on an array of float64: the values, the gradient, and the node of the values."""

    __array_ufunc__ = None  # so that NumPy leaves `np.ones(3) * x` to us

    def __init__(self, array, requires_grad=False, node=None):
        self._array = np.array(array, dtype=float)  # a copy: the caller's memory is the caller's
        self._grad = None
        self.node = Leaf(self) if requires_grad else node

    def assign(self, array):
        """Bind the handle to new values, that is, to a new leaf. Old graphs keep the old one."""
        self._array, self.node = np.array(array, dtype=float), Leaf(self)

    def __repr__(self):
        maker = f", made by {type(self.node).__name__} #{self.node.seq}" if self._grad_op else ""
        return f"GradArray({self._array}{maker})"

    _grad_op = property(lambda self: self.node if isinstance(self.node, Grad) else None)
    shape = property(lambda self: self._array.shape)
    T = property(word("transpose"))
    sum, backward = word("sum"), word("backward")
    __add__ = __radd__ = word("add")
    __mul__ = __rmul__ = word("mul")
    __sub__, __truediv__, __neg__ = word("sub"), word("div"), word("neg")
    __matmul__, __pow__ = word("matmul"), lambda self, n: WORDS["power"](self, n=n)
    __rsub__, __rtruediv__ = lambda self, a: -self + a, lambda self, a: self**-1 * a


class Leaf:
    """The node of a value that nothing made. It knows its handle only weakly: no cycles."""

    parents = ()

    def __init__(self, handle):
        self.seq, self.handle = next(clock), weakref.ref(handle)


class Grad:
    """An op is a class derived from Grad; an instance is one application of it: a node.

    An op declares, for each argument, a rule: a function whose parameter names say what it needs.
    `x` is the argument (`a` and `b` if there are two), `y` the result; any other name is a fixed
    parameter of the application, such as an axis. Which attribute holds the rules, and what they
    mean, is up to the kind of op: chapter 2.
    """

    declares, rules = "rules", ()

    def __init_subclass__(cls):
        if cls.__name__.endswith("Grad"):
            WORDS[cls.__name__.removesuffix("Grad").lower()] = cls.apply

    @classmethod
    def apply(cls, *args, **params):
        """Compute the op; leave a node behind if a derivative may be asked for."""
        args = [lift(a) for a in args]
        y = GradArray(cls.forward(*[a._array for a in args], **params))
        if recording and any(a.node for a in args):
            y.node = cls(args, y, params)
        return y

    def __init__(self, args, y, params):
        self.seq = next(clock)
        self.parents = [a.node for a in args]
        self.shapes, self.shape, self.params = [a.shape for a in args], y.shape, params
        self.names = "x" if len(args) == 1 else "ab"
        rules = zip(getattr(self, self.declares), self.parents)
        named = {name for rule, parent in rules if parent for name in names_in(rule)}
        values = dict(zip(self.names, args), y=y)
        self.saved = {name: values[name]._array for name in named & values.keys()}

    def recall(self):
        """What was kept, as fresh GradArrays on the nodes they had: rules work on these."""
        nodes = dict(zip(self.names, self.parents), y=self) if recording else {}
        return {name: GradArray(v, node=nodes.get(name)) for name, v in self.saved.items()}

    def rule(self, i, **given):
        """Evaluate the rule of argument i. A rule may be a plain number: then nothing is kept."""
        rule = getattr(self, self.declares)[i]
        if not callable(rule):
            return rule
        known = self.params | self.recall() | given
        return rule(*[known[name] for name in names_in(rule)])


def lift(x):
    return x if isinstance(x, GradArray) else GradArray(x)


def names_in(rule):
    return tuple(inspect.signature(rule).parameters) if callable(rule) else ()


@contextmanager
def record(on):
    """Inside, operations leave nodes behind, or do not."""
    global recording
    before, recording = recording, on
    try:
        yield
    finally:
        recording = before


def reach(y, floor=0):
    """The graph behind y: every node from y back to the number `floor`, oldest first."""
    seen, todo = set(), [y.node]
    while todo:
        node = todo.pop()
        if node and node.seq >= floor and node not in seen:
            seen.add(node)
            todo += node.parents
    return sorted(seen, key=lambda node: node.seq)


if __name__ == "__main__":
    # To be recorded, an op needs nothing but its forward computation.
    square, exp, add = (
        type(f"{f.__name__.title()}Grad", (Grad,), {"forward": f}).apply
        for f in (np.square, np.exp, np.add)
    )
    x = GradArray(0.5, requires_grad=True)
    a = square(x)
    c = add(a, exp(a))
    print(f"c = a + exp(a) with a = x^2, at x = 0.5, is {c}. Behind it:")
    for node in reach(c):
        print(f"  #{node.seq} {type(node).__name__:10} made from", [p.seq for p in node.parents])
    x.assign(7.0)
    print(f"x is {x} now, a new leaf #{x.node.seq}; the graph of c still starts at #1.")
