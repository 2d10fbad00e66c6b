"""Generator: a stream of random numbers whose state is two arrays, a key and a counter."""

from __future__ import annotations

import math
import operator
import threading
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..algebra import given
from ..array import GradArray, lift, wrap
from ..errors import DTypeError, message
from ..graph import mode
from ..ops.axes import one_axis
from ..ops.compare import clip, greater, maximum, where
from ..ops.elementwise import cos, log, remainder, sin, sqrt
from ..ops.join import concatenate
from ..ops.random import advance, blocks_of, normal_quantile, philox, unit
from ..ops.select import take
from ..ops.shape import astype, reshape
from ..ops.sort import argsort, searchsorted
from .parameters import cast, check, floating, is_number, parameter, probabilities, shape_of, whole

# One generator may be used by several threads, and no two of them may get the same numbers.
_lock = threading.Lock()

# All streams there are: a function that is run again draws again what it drew.
generators: weakref.WeakSet[Generator] = weakref.WeakSet()

_WORD = 2**32
_DOUBLE = np.dtype(np.float64)


class Generator:
    """A stream of random numbers that a seed determines.

    `seed` is an integer from 0 to 2^64 - 1; each gives a stream of its own, of 2^128 blocks of 128
    bits. The state is two GradArrays, made here and never replaced: `key`, uint32 (2,), the seed,
    and `counter`, uint32 (4,), how many blocks have been used. A draw assigns to the counter.

    Methods have the names and arguments of `numpy.random.Generator`. Its numbers they have not.

    Raises TypeError for a seed that is no integer, ValueError for one out of range.

    Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy
    as 1, 2, 3", SC'11.

    >>> import gradarray as ga
    >>> rng = ga.random.Generator(seed=0)
    >>> rng.uniform(size=3)
    GradArray([0.8805202 , 0.60548185, 0.36209112], dtype=float64)
    >>> rng
    Generator(seed=0), 2 blocks used
    """

    def __init__(self, seed: int = 0) -> None:
        generators.add(self)
        self.key = wrap(np.zeros(2, np.uint32))
        self.counter = wrap(np.zeros(4, np.uint32))
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Begin the stream of this seed.

        >>> import gradarray as ga
        >>> ga.random.seed(3)
        >>> first = ga.random.normal()
        >>> ga.random.seed(3)
        >>> ga.random.normal().item() == first.item()
        True
        """
        try:
            number = operator.index(seed)
        except TypeError:
            raise TypeError(message("seed", f"a seed is an integer, not {seed!r}.")) from None
        if not 0 <= number < 2**64:
            raise ValueError(message("seed", f"a seed is from 0 to 2^64 - 1, not {number}."))
        self._set([number % _WORD, number // _WORD], [0, 0, 0, 0])

    def state_dict(self) -> dict[str, np.ndarray]:
        """The state as plain arrays, `key` and `counter`; copies."""
        with _lock:
            return {"key": self.key._array.copy(), "counter": self.counter._array.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state that `state_dict` gave.

        Raises ValueError for other keys, and for arrays of another shape or dtype.

        >>> import gradarray as ga
        >>> rng = ga.random.Generator(1)
        >>> state = rng.state_dict()
        >>> first = rng.normal()
        >>> rng.load_state_dict(state)
        >>> rng.normal().item() == first.item()
        True
        """
        op = "load_state_dict"
        if set(state) != {"key", "counter"}:
            raise ValueError(
                message(op, f"a generator's state is 'key' and 'counter', not {sorted(state)}.")
            )
        words = {}
        for name, count in (("key", 2), ("counter", 4)):
            value = state[name]
            words[name] = value.numpy() if isinstance(value, GradArray) else np.asarray(value)
            if words[name].shape != (count,) or words[name].dtype != np.uint32:
                form = f"{words[name].dtype}{list(words[name].shape)}"
                raise ValueError(
                    message(op, f"a generator's {name} has the form uint32[{count}], not {form}.")
                )
        self._set(words["key"], words["counter"])

    def _set(self, key: Any, counter: Any) -> None:
        with _lock:
            self.key._assign("random", wrap(np.array(key, np.uint32)))
            self.counter._assign("random", wrap(np.array(counter, np.uint32)))

    def __repr__(self) -> str:
        seed, blocks = (
            sum(word * _WORD**k for k, word in enumerate(words.tolist()))
            for words in (self.key, self.counter)
        )
        return f"Generator(seed={seed}), {blocks} blocks used"

    def _words(self, count: int, bits: int) -> GradArray:
        """The next `count` words; the counter goes on behind them."""
        if mode.levels:
            return given.drawn(self._words, count, bits)
        with _lock:
            words = philox(self.key, self.counter, count, bits)
            self.counter._assign("random", advance(self.counter, blocks_of(count, bits)))
        return words

    def _unit(self, shape: tuple[int, ...], dtype: np.dtype) -> GradArray:
        """Uniform numbers in [0, 1) of this floating dtype."""
        words = self._words(math.prod(shape), 64 if dtype == np.float64 else 32)
        return reshape(unit(words, dtype), shape)

    # Distributions ------------------------------------------------------------------------------

    def uniform(
        self, low: Any = 0.0, high: Any = 1.0, size: Any = None, dtype: Any = None
    ) -> GradArray:
        """Numbers from [low, high), each as likely as any other: y = low + (high - low) u.

        u is a multiple of 2^-53 in [0, 1) (float32: 2^-24, float16: 2^-11): 0 can occur and 1
        cannot, but with other bounds rounding may give `high` itself. `low` and `high` are numbers
        or arrays that broadcast to `size`; y is differentiable in them, and has their dtype if
        they are floating arrays, else float64.

        Raises TypeError for a bound that is a tuple or list, DTypeError for a dtype that is not
        float16, float32 or float64, ShapeError if the bounds do not broadcast to `size`.

        >>> import gradarray as ga
        >>> ga.random.Generator(0).uniform(-1, 1, size=(2, 2), dtype="float32")
        GradArray([[-0.20190716,  0.76104033],
                   [ 0.47142553,  0.2109636 ]], dtype=float32)
        """
        low, high = parameter("uniform", "low", low), parameter("uniform", "high", high)
        dtype = floating("uniform", dtype, low, high)
        u = self._unit(shape_of("uniform", size, low, high), dtype)
        if is_number(low, 0) and is_number(high, 1):
            return u
        low, high = cast(low, dtype), cast(high, dtype)
        return low + (high - low) * u

    def normal(
        self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None, dtype: Any = None
    ) -> GradArray:
        r"""Numbers from the normal distribution: y = loc + scale z.

            z = \sqrt{-2 \ln(1 - u)} \cos 2 \pi v,    and the same with sin,

        u and v uniform in [0, 1). |z| is at most 8.57 (float32: 5.77), since u has 53 (24) bits.
        `loc` and `scale` are numbers or arrays that broadcast to `size`; y is differentiable in
        them, and has their dtype if they are floating arrays, else float64.

        Raises ValueError for a scale below 0, and what `uniform` raises.

        Source: G. E. P. Box, M. E. Muller, "A note on the generation of random normal deviates",
        Annals of Mathematical Statistics 29, 1958.

        >>> import gradarray as ga
        >>> ga.random.Generator(0).normal(size=3)
        GradArray([-1.33471653,  1.32700777,  1.57090663], dtype=float64)
        """
        loc, scale = parameter("normal", "loc", loc), parameter("normal", "scale", scale)
        check("normal", "scale", scale, lambda x: x >= 0, "at least 0")
        dtype = floating("normal", dtype, loc, scale)
        z = self._normal(shape_of("normal", size, loc, scale), dtype)
        if is_number(loc, 0) and is_number(scale, 1):
            return z
        return cast(loc, dtype) + cast(scale, dtype) * z

    def _normal(self, shape: tuple[int, ...], dtype: np.dtype) -> GradArray:
        count = math.prod(shape)
        # Half precision has 2^11 numbers in [0, 1): too few for a tail.
        u = self._unit((2, (count + 1) // 2), np.promote_types(dtype, np.float32))
        radius, angle = sqrt(-2 * log(1 - u[0])), 2 * math.pi * u[1]
        z = concatenate([radius * cos(angle), radius * sin(angle)])[:count]
        return reshape(cast(z, dtype), shape)

    def truncated_normal(
        self,
        loc: float = 0.0,
        scale: float = 1.0,
        low: float = -2.0,
        high: float = 2.0,
        size: Any = None,
        dtype: Any = None,
    ) -> GradArray:
        r"""Numbers from the normal distribution, of those that lie in [low, high].

            y = loc + scale \Phi^{-1}(p),    p uniform in [\Phi(a), \Phi(b)],
            a = (low - loc) / scale,    b = (high - loc) / scale

        The bounds are those of y, not in units of scale, as in PyTorch's `trunc_normal_`; they may
        be infinite. The four are plain numbers. float64 unless another dtype is given.

        Raises ValueError unless scale > 0 and low < high, or if the interval is so far out that
        its probability underflows; TypeError for a parameter that is no number.

        >>> import gradarray as ga
        >>> ga.random.Generator(0).truncated_normal(low=0.0, high=1.0, size=3)
        GradArray([0.10240855, 0.34423893, 0.57616108], dtype=float64)
        """
        from scipy.special import ndtr  # 0.2 s to import: only where it is needed

        op = "truncated_normal"
        given = {"loc": loc, "scale": scale, "low": low, "high": high}
        for name, value in given.items():
            if not isinstance(value, int | float | np.integer | np.floating):
                raise TypeError(message(op, f"{name} is a number, not {value!r}."))
        if not (scale > 0 and low < high):
            raise ValueError(message(op, f"needs scale > 0 and low < high, given {given}."))
        dtype = floating(op, dtype)
        shape = shape_of(op, size)
        a, b = (float(low) - loc) / scale, (float(high) - loc) / scale
        # Probabilities keep their digits in the lower tail; in the upper they are 1 less a little.
        mirrored = a + b > 0
        if mirrored:
            a, b = -b, -a
        first, last = float(ndtr(a)), float(ndtr(b))
        if not first < last:
            raise ValueError(
                message(
                    op,
                    f"[{low}, {high}] is so far from loc={loc}, at scale={scale}, that its "
                    "probability is 0 in double precision.",
                )
            )
        # Half the smallest step stands for 0, where an open interval would give -inf.
        u = maximum(self._unit(shape, _DOUBLE), 2.0**-54)
        z = normal_quantile(first + (last - first) * u)
        y = cast(loc + scale * (-z if mirrored else z), dtype)
        return clip(y, dtype.type(low), dtype.type(high))

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
