"""Integers, truth values, classes, orders and choices at random."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..array import GradArray, lift
from ..errors import DTypeError, message
from ..ops.axes import one_axis
from ..ops.compare import greater, where
from ..ops.control import stop_gradient
from ..ops.elementwise import log, remainder
from ..ops.functional import one_hot, softmax
from ..ops.layout import moveaxis
from ..ops.reduce import argmax
from ..ops.select import take
from ..ops.shape import astype, reshape
from ..ops.sort import argsort, searchsorted
from .parameters import (
    as_size,
    cast,
    check,
    floating,
    parameter,
    probabilities,
    shape_of,
    vectors,
    whole,
)
from .stream import Stream

_DOUBLE = np.dtype(np.float64)


class Discrete(Stream):
    """Draws of integers and of parts of an array."""

    def bernoulli(self, p: Any = 0.5, size: Any = None, dtype: Any = bool) -> GradArray:
        """True with probability p: y = (u < p), u uniform in [0, 1).

        p is a number or an array that broadcasts to `size`; u has its dtype if that is a floating
        array, else 53 bits. y has no derivative in p; in another dtype it is 0 and 1.

        Raises ValueError for a p outside [0, 1], and what `uniform` raises.

        >>> import gradarray as ga
        >>> ga.random.Generator(0).bernoulli(0.5, size=4)
        GradArray([False, False,  True,  True], dtype=bool)
        """
        p = parameter("bernoulli", "p", p)
        check("bernoulli", "p", p, lambda x: (x >= 0) & (x <= 1), "from 0 to 1")
        u = self._unit(shape_of("bernoulli", size, p), floating("bernoulli", None, p))
        drawn = greater(p, u)
        return drawn if np.dtype(dtype) == np.bool_ else astype(drawn, dtype)

    def integers(
        self,
        low: Any,
        high: Any = None,
        size: Any = None,
        dtype: Any = np.int64,
        endpoint: bool = False,
    ) -> GradArray:
        """Integers from low to high - 1, or to high with `endpoint`; of 0 to low - 1 without high.

        y = low + (x mod n), x a word of 64 bits, n the count of integers to choose from: no two
        probabilities differ by more than 2^-64. `low` and `high` are integers or arrays of them
        that broadcast to `size`.

        Raises TypeError for bounds or a dtype that are no integers, ValueError if there is nothing
        between the bounds or the dtype cannot hold them, ShapeError if they do not broadcast.

        >>> import gradarray as ga
        >>> ga.random.Generator(0).integers(1, 6, size=5, endpoint=True)
        GradArray([4, 1, 5, 2, 4], dtype=int64)
        """
        op = "integers"
        low, high = (0, low) if high is None else (low, high)
        low, high = whole(op, "low", low), whole(op, "high", high)
        dtype = np.dtype(dtype)
        if dtype.kind not in "iu":
            raise DTypeError(message(op, f"makes integers, not {dtype}."))
        shape = shape_of(op, size, low, high)
        last = high if endpoint else high - 1
        if np.any(low > last):
            raise ValueError(message(op, f"there is no integer from {low} to {last}."))
        limits = np.iinfo(dtype)
        if np.any(low < limits.min) or np.any(last > limits.max):
            raise ValueError(message(op, f"{dtype} does not hold all of {low} to {last}."))
        # One axis at least: integers that wrap are meant here, and NumPy warns of it for numbers.
        words = reshape(self._words(math.prod(shape), 64), shape or (1,))
        count = np.asarray(last - low + 1)
        every = count == 2**64  # a word as it is
        chosen = remainder(words, np.where(every, 1, count).astype(np.uint64))
        words = where(every, words, chosen) if every.any() else chosen
        start = np.asarray(low % 2**64).astype(np.uint64)
        return reshape(astype(start + words, dtype), shape)

    # Classes --------------------------------------------------------------------------------------

    def categorical(self, logits: Any, axis: int = -1, size: Any = None) -> GradArray:
        r"""The class k with the probability e^{l_k} / \sum_j e^{l_j}, l the logits along `axis`.

            y = \argmax_k (l_k + g_k),    g_k from Gumbel's distribution.

        `logits` are logarithms of weights, -inf for a class that is never drawn (of probabilities:
        `ga.log(p)`). Each vector of them gives one integer, or `size` draws, the shape of the
        result, to which the other axes of the logits broadcast. y has no derivative; REINFORCE is
        in `random.log_prob`, a relaxation `gumbel_softmax`. Raises ValueError for logits that are
        NaN, inf, or all -inf, ShapeError if they do not broadcast.

        Source: C. J. Maddison, D. Tarlow, T. Minka, "A* sampling", NeurIPS 2014.

        >>> import gradarray as ga
        >>> ga.random.Generator(0).categorical(ga.log([0.2, 0.8]), size=5)
        GradArray([1, 1, 1, 1, 1], dtype=int64)
        """
        return argmax(self._perturbed("categorical", logits, axis, size), -1)

    def gumbel_softmax(
        self,
        logits: Any,
        tau: Any = 1.0,
        hard: bool = False,
        axis: int = -1,
        size: Any = None,
    ) -> GradArray:
        r"""A class as a vector: y = softmax((l + g) / \tau), g from Gumbel's distribution.

        Towards \tau = 0 it is one-hot with the class of `categorical`; above, its derivative in
        the logits and in \tau is finite, and that of E f(y) is estimated with a bias that grows
        with \tau. `hard`: the one-hot vector itself, with the derivative of the soft one (straight
        through). `size` as in `categorical`; the classes stand along `axis` of the result. Raises
        ValueError for a \tau that is not above 0, and what `categorical` raises.

        Sources: E. Jang, S. Gu, B. Poole, "Categorical reparameterization with Gumbel-softmax";
        C. J. Maddison, A. Mnih, Y. W. Teh, "The concrete distribution"; both ICLR 2017.

        >>> import gradarray as ga
        >>> rng = ga.random.Generator(0)
        >>> rng.gumbel_softmax(ga.log([0.2, 0.8]), tau=0.5)
        GradArray([0.49283804, 0.50716196], dtype=float64)
        >>> rng.gumbel_softmax(ga.log([0.2, 0.8]), hard=True)
        GradArray([0., 1.], dtype=float64)
        """
        op = "gumbel_softmax"
        tau = parameter(op, "tau", tau)
        check(op, "tau", tau, lambda x: x > 0, "above 0")
        scores = self._perturbed(op, logits, axis, size)
        y = softmax(scores / cast(tau, scores.dtype), -1)
        if hard:
            picked = astype(one_hot(argmax(y, -1), y.shape[-1]), y.dtype)
            y = picked + (y - stop_gradient(y))  # the difference is exactly 0
        return moveaxis(y, -1, axis)

    def _perturbed(self, op: str, logits: Any, axis: int, size: Any) -> GradArray:
        """Logits with the classes along the last axis, each with its own Gumbel number added."""
        x = vectors(op, "logits", logits, 1)
        x = moveaxis(x, one_axis(axis, x.ndim, op), -1)
        check(op, "logits", x, lambda v: v < math.inf, "below infinity")
        check(op, "logits", x.max(-1), lambda v: v > -math.inf, "above -infinity for one class")
        dtype = floating(op, None, x)
        shape = None if size is None else (*as_size(op, size), x.shape[-1])
        u = self._open(shape_of(op, shape, x), np.promote_types(dtype, np.float32))
        return cast(x, dtype) - cast(log(-log(u)), dtype)

    # Orders and choices -------------------------------------------------------------------------

    def permutation(self, x: Any, axis: int = 0) -> GradArray:
        """The integers from 0 to x - 1, or the parts of an array along `axis`, in random order.

        The order is that of n random words of 64 bits. Two of them are equal, which favours an
        order, with a probability below n^2 / 2^65. Differentiable in x.

        Raises ValueError for a negative integer, and for an array without axes.

        >>> import gradarray as ga
        >>> ga.random.Generator(0).permutation(5)
        GradArray([3, 4, 2, 1, 0], dtype=int64)
        """
        x, count = self._parts("permutation", x, axis)
        order = argsort(self._words(count, 64))
        return order if x is None else take(x, order, axis)

    def choice(
        self, a: Any, size: Any = None, replace: bool = True, p: Any = None, axis: int = 0
    ) -> GradArray:
        r"""Integers from 0 to a - 1, or parts of an array along `axis`, each with its probability.

        `p` are n probabilities that sum to 1, equal ones by default. With
        replacement the choice is the first i with u < \sum_{j \le i} p_j; without it, the parts
        with the smallest -\ln(1 - u_i) / p_i, which is drawing one after another. Differentiable
        in an array a, not in p.

        Raises ValueError for probabilities that are negative, not as many as the parts, or do not
        sum to 1, and if there are fewer parts than are to be drawn without replacement.

        Source: P. S. Efraimidis, P. G. Spirakis, "Weighted random sampling with a reservoir",
        Information Processing Letters 97, 2006 (the keys without replacement).

        >>> import gradarray as ga
        >>> rng = ga.random.Generator(0)
        >>> rng.choice(3, size=6, p=[0.5, 0.0, 0.5])
        GradArray([2, 2, 0, 0, 0, 0], dtype=int64)
        >>> rng.choice([1.5, 2.5, 3.5], size=2, replace=False)
        GradArray([1.5, 2.5], dtype=float64)
        """
        op = "choice"
        x, n = self._parts(op, a, axis)
        shape = shape_of(op, size)
        count = math.prod(shape)
        weights = None if p is None else probabilities(op, p, n)
        possible = n if weights is None else int(np.count_nonzero(weights))
        if count > possible and not (replace and possible):
            how = "" if replace else " without replacement"
            raise ValueError(message(op, f"cannot draw {count} of {possible} parts{how}."))
        if weights is None:
            words = None if replace else self._words(n, 64)
            index = (
                self.integers(max(n, 1), size=shape) if words is None else argsort(words)[:count]
            )
        elif replace:
            total = np.cumsum(weights)
            index = searchsorted(total / total[-1], self._unit(shape, _DOUBLE), side="right")
        else:
            places = np.flatnonzero(weights)
            keys = -log(1 - self._unit((possible,), _DOUBLE)) / weights[places]
            index = take(places, argsort(keys)[:count])
        index = reshape(index, shape)
        return index if x is None else take(x, index, axis)

    def _parts(self, op: str, x: Any, axis: int) -> tuple[Any, int]:
        """What is to be drawn from, None for the integers, and how many parts it has."""
        if isinstance(x, int | np.integer):
            if x < 0:
                raise ValueError(message(op, f"of {x} parts; an integer is at least 0."))
            return None, int(x)
        x = lift(x, op)
        if not x.ndim:
            raise ValueError(message(op, "a 0-d array has no parts; give an integer or more axes."))
        return x, x.shape[one_axis(axis, x.ndim, op)]
