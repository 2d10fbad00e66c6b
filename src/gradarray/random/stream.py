"""Stream: random bits and standard numbers from a seed; its state is a key and a counter."""

from __future__ import annotations

import math
import operator
import threading
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..algebra import given
from ..array import GradArray, wrap
from ..errors import message
from ..graph import mode
from ..ops.compare import maximum
from ..ops.elementwise import cos, log, sin, sqrt
from ..ops.join import concatenate
from ..ops.random import advance, blocks_of, philox, unit
from ..ops.shape import reshape
from .parameters import cast

# One generator may be used by several threads, and no two of them may get the same numbers.
_lock = threading.Lock()

# All streams there are: a function that is run again draws again what it drew.
generators: weakref.WeakSet[Stream] = weakref.WeakSet()

_WORD = 2**32


class Stream:
    """A key and a counter, and what is drawn from them without parameters."""

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
        return f"{type(self).__name__}(seed={seed}), {blocks} blocks used"

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

    def _open(self, shape: tuple[int, ...], dtype: np.dtype) -> GradArray:
        """Uniform numbers in (0, 1): half the smallest step stands for 0."""
        return maximum(self._unit(shape, dtype), float(np.finfo(dtype).epsneg) / 2)

    def _normal(self, shape: tuple[int, ...], dtype: np.dtype) -> GradArray:
        count = math.prod(shape)
        # Half precision has 2^11 numbers in [0, 1): too few for a tail.
        u = self._unit((2, (count + 1) // 2), np.promote_types(dtype, np.float32))
        radius, angle = sqrt(-2 * log(1 - u[0])), 2 * math.pi * u[1]
        z = concatenate([radius * cos(angle), radius * sin(angle)])[:count]
        return reshape(cast(z, dtype), shape)
