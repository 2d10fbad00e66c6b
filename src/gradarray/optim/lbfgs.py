"""LBFGS: a quasi-Newton method with limited memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np

from ..array import GradArray, wrap
from ..errors import message
from ..graph import no_grad
from .groups import Group
from .line_search import Point, strong_wolfe
from .optimizer import Optimizer
from .pieces import real_form


class LBFGS(Optimizer):
    r"""Limited-memory BFGS, on all parameters as one vector x.

        x <- x + t d,   d = -H g

    H, the inverse Hessian, is known by the last `history_size` pairs s = x_{k+1} - x_k and
    y = g_{k+1} - g_k (those with s.y > 1e-10), started from (s.y / y.y) I; its product with g
    takes two loops over the pairs. t is `lr`, at the very first iteration lr min(1, 1 / |g|_1), or
    starts there and is then found by `line_search_fn="strong_wolfe"`.

    One `step` takes at most `max_iter` iterations and about `max_eval` evaluations (default: 1.25
    max_iter) of its closure, which has to zero the gradients, compute the loss, call backward() and
    return the loss. It ends sooner where no component of g exceeds `tolerance_grad`, and where
    the loss, each component of x and the slope g.d change by less than `tolerance_change`.

    Which way it goes depends on the values found, so a step is not recorded and cannot be compiled;
    its history grows as it goes. Parameters without a gradient count as having a gradient of 0.

    Raises TypeError without a closure and ValueError for more than one group.

    Source: Liu and Nocedal, "On the limited memory BFGS method for large scale optimization",
    Mathematical Programming 45, 1989; Nocedal and Wright, "Numerical optimization", algorithm 7.4.

    >>> import gradarray as ga
    >>> x = ga.array([-1.2, 1.0], requires_grad=True)
    >>> options = {"max_iter": 100, "tolerance_change": 1e-14}
    >>> optimizer = ga.optim.LBFGS([x], line_search_fn="strong_wolfe", **options)
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
    ...     loss.backward()
    ...     return loss
    >>> loss = optimizer.step(closure)
    >>> [round(v, 6) for v in x.tolist()]
    [1.0, 1.0]
    """

    counters: ClassVar[dict[str, float]] = {}
    growing: ClassVar[tuple[str, ...]] = ("old_dirs", "old_stps")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "max_iter": max_iter,
                "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "history_size": history_size,
                "line_search_fn": line_search_fn,
            },
        )

    def validate(self, group: Group) -> None:
        if self.param_groups:
            raise ValueError(
                message("LBFGS", "takes one group of parameters: it treats all as one vector.")
            )
        if group["line_search_fn"] not in (None, "strong_wolfe"):
            raise ValueError(
                message(
                    "LBFGS",
                    f"line_search_fn is None or 'strong_wolfe', not {group['line_search_fn']!r}.",
                )
            )
        for name in ("max_iter", "max_eval", "history_size"):
            if not isinstance(group[name], int) or group[name] < 1:
                raise ValueError(
                    message("LBFGS", f"{name} is a positive integer, not {group[name]!r}.")
                )

    def _make_state(self, group: Group) -> None:
        if self.state:
            return
        size = sum(_numbers(p._array).size for p in group.params)
        dtype = np.result_type(*(_numbers(p._array).dtype for p in group.params))
        self.state[group.params[0]] = {
            **{k: wrap(np.float64(0)) for k in ("n_iter", "func_evals", "t", "H_diag")},
            **{k: wrap(np.zeros(size, dtype)) for k in ("d", "prev_flat_grad")},
            **{k: wrap(np.zeros((0, size), dtype)) for k in self.growing},
        }

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to `max_iter` iterations; the loss before the first is returned."""
        if closure is None:
            raise TypeError(
                message(
                    "LBFGS.step",
                    "needs a closure, since it evaluates the loss several times a step.",
                    "Give a function that calls zero_grad(), computes the loss, calls backward() "
                    "and returns the loss.",
                )
            )
        with no_grad():
            first = self._evaluate(closure)
            self._need_gradients()
            _Run(self, closure, float(first)).iterate()
        return first


class _Run:
    """One call of `step`: the current point, and what it is allowed to cost."""

    def __init__(self, optimizer: LBFGS, closure: Callable[[], Any], loss: float) -> None:
        group = optimizer.param_groups[0]
        self.params = group.params
        self.state = optimizer.state[self.params[0]]
        self.options = group.options(lambda handle: handle.item())
        self.evaluate_closure = lambda: float(optimizer._evaluate(closure))
        self.loss = loss
        self.g = self.gradient()
        self.evaluations = 1

    def iterate(self) -> None:
        o, state = self.options, self.state
        iteration = 0
        while iteration < o.max_iter and not self.at_minimum():
            iteration += 1
            very_first = state["n_iter"].item() == 0
            d = self.direction(very_first)
            loss, slope = self.loss, float(self.g @ d)
            t = o.lr * (min(1.0, 1.0 / float(abs(self.g).sum())) if very_first else 1.0)
            self.keep(n_iter=state["n_iter"].item() + 1, d=d, prev_flat_grad=self.g, t=t)
            if slope > -o.tolerance_change:
                break
            t = self.move(d, t, slope, iteration == o.max_iter)
            self.keep(t=t)
            if self.evaluations >= o.max_eval:
                break
            if float(abs(d * t).max()) <= o.tolerance_change:
                break
            if abs(self.loss - loss) < o.tolerance_change:
                break
        self.keep(func_evals=state["func_evals"].item() + self.evaluations)

    def at_minimum(self) -> bool:
        return float(abs(self.g).max()) <= self.options.tolerance_grad

    def direction(self, very_first: bool) -> np.ndarray:
        """-H g by two loops over the pairs, after the latest pair is entered."""
        if very_first:
            self.keep(H_diag=1.0)
            return -self.g
        y = self.g - self.state["prev_flat_grad"]._array
        s = self.state["d"]._array * self.g.dtype.type(self.state["t"].item())
        ys = float(y @ s)
        if ys > 1e-10:
            last = self.options.history_size - 1
            for name, row in (("old_dirs", y), ("old_stps", s)):
                rows = self.state[name]._array
                self.state[name]._rebind(np.vstack([rows[max(len(rows) - last, 0) :], row]))
            self.keep(H_diag=ys / float(y @ y))
        ys_pairs = list(zip(self.state["old_dirs"]._array, self.state["old_stps"]._array))
        q = -self.g
        taken = []
        for y, s in reversed(ys_pairs):
            rho = 1 / (y @ s)
            alpha = rho * (s @ q)
            q = q - alpha * y
            taken.append((y, s, rho, alpha))
        q = q * q.dtype.type(self.state["H_diag"].item())
        for y, s, rho, alpha in reversed(taken):
            q = q + (alpha - rho * (y @ q)) * s
        return q

    def move(self, d: np.ndarray, t: float, slope: float, last: bool) -> float:
        """Go along `d`, by t or by the length that the line search finds, which is returned."""
        x = self.point()
        if self.options.line_search_fn is None:
            self.go_to(x, d, t)
            if not last:  # the next step begins with an evaluation there
                self.loss, self.g = self.evaluate_closure(), self.gradient()
                self.evaluations += 1
            return t

        def evaluate(t: float) -> Point:
            self.go_to(x, d, t)
            loss, g = self.evaluate_closure(), self.gradient()
            return Point(t, loss, float(g @ d), g)

        smallest = self.options.tolerance_change / max(float(abs(d).max()), 1e-300)
        found, count = strong_wolfe(evaluate, Point(0.0, self.loss, slope, self.g), t, smallest)
        self.evaluations += count
        self.go_to(x, d, found.t)
        self.loss, self.g = found.f, found.gradient
        return found.t

    # All parameters as one vector -----------------------------------------------------------------

    def gradient(self) -> np.ndarray:
        parts = [
            _numbers(np.zeros(p.shape, p.dtype) if p._gradient is None else p._gradient._array)
            for p in self.params
        ]
        return np.concatenate(parts).astype(self.state["d"].dtype, copy=False)

    def point(self) -> list[np.ndarray]:
        return [p._array for p in self.params]

    def go_to(self, x: list[np.ndarray], d: np.ndarray, t: float) -> None:
        """Bind the parameters to x + t d."""
        at = 0
        for p, start in zip(self.params, x, strict=True):
            numbers = _numbers(start)
            move = d.dtype.type(t) * d[at : at + numbers.size]
            moved = (numbers + move).astype(numbers.dtype, copy=False)
            _assign(p, moved.view(start.dtype).reshape(start.shape))
            at += numbers.size

    def keep(self, **values: Any) -> None:
        for name, value in values.items():
            value = np.float64(value) if isinstance(value, (int, float)) else value
            _assign(self.state[name], value)


def _numbers(x: np.ndarray) -> np.ndarray:
    """The values as one vector of real numbers; of a complex one its parts in turn."""
    return x.ravel().view(real_form(x)[1])


def _assign(handle: GradArray, value: Any) -> None:
    handle._assign("step", wrap(value))
