"""compile: a function of arrays, recorded at its first call, and run as one piece from then on."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .. import tree
from ..array import GradArray
from ..errors import check_function, message, warn
from ..graph import flags, mode
from . import forks, pool
from .call import MISS
from .record import Static, is_dynamic
from .sized import Sizes, free_leaves
from .trace import lock
from .version import Version

# From so many versions on that differ in static values alone, a word is said.
MANY = 8
WAYS = 8  # versions with a short way in

forks.see_to()


class Compiled:
    """A function that is recorded once for each form of its arguments.

    `threads`: how many may share the work of a call; None: as many as for all functions.
    `patience`: how many calls of a form are run op by op before it is recorded. `strict`: what does
    not do the same at every call is refused. `once`: it is known to do the same.
    """

    def __init__(
        self,
        f: Callable[..., Any],
        static_argnums: Sequence[int] = (),
        static_argnames: Sequence[str] = (),
        check: bool = False,
        run_eagerly: bool = False,
        patience: int = 0,
        strict: bool = False,
        once: bool = False,
        threads: int | None = None,
        dynamic: Any = None,
        exact: int = 1,
    ) -> None:
        functools.update_wrapper(self, f, updated=())
        self._f, self._check, self._once = f, check, once
        if threads is not None:
            pool.check_number(threads, "compile")
        self.run_eagerly, self.threads = run_eagerly, threads
        self._patience, self._strict = patience, strict
        self._static = _Arguments(f, static_argnums, static_argnames)
        self._dynamic, self._exact = _dynamic(f, dynamic), exact
        self._versions = Versions()
        # By instance, where the function is a method: gone with the instance.
        self._bound: dict[int, tuple[Any, Versions]] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        versions = self._versions
        if not self.run_eagerly and self.threads is None:
            for enter in versions.ways() if flags.special else versions.short:
                found = enter(args, kwargs)
                if found is not MISS:
                    return found
        return self._around(versions, args, kwargs, None)

    def _around(self, versions: Versions, args: Any, kwargs: Any, instance: Any) -> Any:
        """A call that did not find a short way, or was not to look for one."""
        if self.threads is None or self.run_eagerly:
            return self._call(versions, args, kwargs, instance)
        with pool.threads(self.threads):
            for enter in versions.ways():
                found = enter(args, kwargs)
                if found is not MISS:
                    return found
            return self._call(versions, args, kwargs, instance)

    def _call(self, versions: Versions, args: Any, kwargs: Any, instance: Any) -> Any:
        if self.run_eagerly or _is_watched():
            # Part of a larger recording, or watched op by op.
            return self._f(*args, **kwargs) if instance is None else self._f(
                instance.value, *args, **kwargs
            )
        if instance is not None:
            args = (instance, *args)
        if self._static:
            args, kwargs = self._static.boxed(args, kwargs)
        leaves, form = tree.flatten((args, kwargs))
        if self._dynamic:
            sized = self._for_any_size(versions, leaves, form, instance)
            found = MISS if sized is None else sized(leaves)
            if found is not MISS:
                return found
        version = self._version(versions, leaves, form, instance)
        if version is None or version.eager or version.overlaps(leaves):
            args, kwargs = tree.unflatten(form, [_unboxed(x) for x in leaves])
            return self._f(*args, **kwargs)
        versions.came_to(version)
        return version(leaves)

    def _for_any_size(
        self, versions: Versions, leaves: Sequence[Any], form: tree.Structure, instance: Any
    ) -> Version | None:
        """A version for many sizes; None where these arguments have one of their own."""
        first = int(instance is not None)
        free = free_leaves(leaves, form, self._dynamic, first)
        if not free or self._check:
            return None
        key = tuple([_key(leaf) for leaf in leaves[first:]])
        with lock:
            known = versions.of.get((form, key, mode.grad, _repeated(leaves)), ())
            if any(version.fits(leaves) for version in known):
                return None
            if versions.sizes is None:
                versions.sizes = Sizes(self._exact, asked=self._exact == 1)
            count = len(versions.sizes)
            found = versions.sizes.find(
                self._f, leaves, form, instance, free, key, strict=self._strict, once=self._once,
                compiling=Compiled,
            )  # fmt: skip
            if len(versions.sizes) > count:
                versions.last = found
        return found

    miss = MISS

    def short(self, instance: Any, args: tuple[Any, ...]) -> Any:
        """f(instance, *args) the short way; `miss` where there is none."""
        versions = self._versions_for(instance)
        for enter in versions.ways():
            found = enter(args, {})
            if found is not MISS:
                return found
        return MISS

    def prepared(
        self, instance: Any, *args: Any, exact: bool = False
    ) -> tuple[Version, list[Any]] | None:
        """The version for f(instance, *args), and what it is called with; None: f itself is run.

        One for many sizes may give `miss`: then it is to be an `exact` one. What is raised here
        comes from recording; nothing has changed then.
        """
        if self.run_eagerly or _is_watched():
            return None
        boxed = Static(instance)
        leaves, form = tree.flatten(((boxed, *args), {}))
        versions = self._versions_for(instance)
        if self._dynamic and not exact:
            sized = self._for_any_size(versions, leaves, form, boxed)
            if sized is not None:
                return sized, leaves
        version = self._version(versions, leaves, form, boxed)
        if version is None or version.eager:
            return None
        versions.came_to(version)
        return version, leaves

    def _version(
        self, versions: Versions, leaves: Sequence[Any], form: tree.Structure, instance: Any
    ) -> Version | None:
        """The version for these arguments, recorded if there is none; None: not worth one yet."""
        first = instance is not None
        keys = tuple([_key(leaf) for leaf in leaves[first:]])
        key = form, keys, mode.grad, _repeated(leaves)
        for version in versions.of.get(key, ()):
            if version.fits(leaves):
                return version
        with lock:
            for version in versions.of.get(key, ()):  # made meanwhile by another thread
                if version.fits(leaves):
                    return version
            met = versions.met[key] = versions.met.get(key, 0) + 1
            if met <= self._patience:
                return None
            version = Version(
                self._f, leaves, form, instance, check=self._check, strict=self._strict,
                once=self._once, compiling=Compiled,
            )  # fmt: skip
            versions.of.setdefault(key, []).append(version)
            versions.last = version
            self._say_if_many(versions, key, leaves, form)
        return version

    def _say_if_many(
        self, versions: Versions, key: Any, leaves: Sequence[Any], form: tree.Structure
    ) -> None:
        first = len(leaves) - len(key[1])
        dynamic = tuple([k if is_dynamic(x) else None for x, k in zip(leaves[first:], key[1])])
        alike = versions.static.setdefault((form, dynamic, key[2]), [])
        alike.append(key[1])
        if len(alike) != MANY:
            return
        paths = tree.paths(form)[first:]
        changing = [k for k, column in enumerate(zip(*alike)) if len(set(column)) > 1]
        if not changing:
            return
        k = changing[0]
        what, last = tree.argument(paths[k]), _unboxed(leaves[first:][k])
        warn(
            message(
                "compile",
                f"{self._name()} was compiled {MANY} times for values of {what}, the last "
                f"{last!r}: a static value is part of the program.",
                "Give a number that changes as an array or a float (np.int64(n), ga.array(n)).",
            )
        )

    def _name(self) -> str:
        return getattr(self._f, "__qualname__", type(self._f).__name__).split("<locals>.")[-1]

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else Method(self, instance)

    def _versions_for(self, instance: Any) -> Versions:
        known = self._bound.get(id(instance))
        if known is None:
            forget = functools.partial(_forget, self._bound, id(instance))
            try:
                ref: Any = weakref.ref(instance, forget)
            except TypeError:
                ref = functools.partial(_itself, instance)
            known = self._bound[id(instance)] = ref, Versions()
        return known[1]

    def show(self, what: str = "graph") -> str:
        """The version that was compiled last, as text: one stage of its way.

        "graph" (the steps that were recorded), "simplified" (those that are left), "split" (what
        goes sample by sample), "loops", "llvm", "asm", or "cost" (operations and bytes, and its
        time against this machine's limit).
        """
        return self._versions.shown(what)

    def export(self, folder: Any, name: str | None = None) -> list[Path]:
        """The version that was compiled last, as an object file with a C header and its weights.

        Writes `name.o`, `name.h` and `name.weights` into the folder (`name`: the function's) and
        gives their paths. The header says how it is called from C; state, parameters among it,
        comes from the weights and changes in place. The code is for this processor and one thread.
        Raises ValueError where a step cannot do without Python, and where a result is on a graph.
        """
        return self._versions.exported(folder, name or self._name().split(".")[-1])

    def __deepcopy__(self, memo: Any) -> Compiled:
        return self  # as functions are

    def __reduce__(self) -> Any:
        raise TypeError(message("pickle", "a compiled function is not pickled.", "Compile anew."))

    def __repr__(self) -> str:
        return f"<compiled {self._name()}>"


class Method:
    """A compiled function bound to an instance, whose versions are its own."""

    def __init__(self, compiled: Compiled, instance: Any) -> None:
        self.__func__, self.__self__ = compiled, instance

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        compiled = self.__func__
        versions = compiled._versions_for(self.__self__)
        if not compiled.run_eagerly and compiled.threads is None:
            for enter in versions.ways() if flags.special else versions.short:
                found = enter(args, kwargs)
                if found is not MISS:
                    return found
        return compiled._around(versions, args, kwargs, Static(self.__self__))

    def show(self, what: str = "graph") -> str:
        """The version that was compiled last for this instance, as text."""
        return self.__func__._versions_for(self.__self__).shown(what)

    def export(self, folder: Any, name: str | None = None) -> list[Path]:
        """The version that was compiled last for this instance; see Compiled.export."""
        versions = self.__func__._versions_for(self.__self__)
        return versions.exported(folder, name or self.__func__._name().split(".")[-1])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__func__, name)

    def __repr__(self) -> str:
        return f"<compiled {self.__func__._name()} of a {type(self.__self__).__name__}>"


class Versions:
    """What a function was compiled for: a list for each form, of which one fits."""

    def __init__(self) -> None:
        self.of: dict[Any, list[Version]] = {}
        self.met: dict[Any, int] = {}
        self.static: dict[Any, list[Any]] = {}  # the keys that differ in static values alone
        self.last: Version | None = None
        self.sizes: Sizes | None = None  # versions for many sizes
        # The short ways in, of the versions that were called last, with and without gradients.
        self.short: tuple[Any, ...] = ()
        self._without: tuple[Any, ...] = ()

    def ways(self) -> tuple[Any, ...]:
        """The short ways in where this thread may be in another mode than the usual one."""
        if _is_watched():
            return ()
        return self.short if mode.grad else self._without

    def came_to(self, version: Version) -> None:
        """A version was found the long way: next time it is asked first."""
        if version.enter is None:
            return
        ways = self.short if mode.grad else self._without
        ways = (version.enter, *[way for way in ways if way is not version.enter])[:WAYS]
        if mode.grad:
            self.short = ways
        else:
            self._without = ways

    def __len__(self) -> int:
        return sum(map(len, self.of.values()))

    def shown(self, what: str) -> str:
        if self.last is None:
            raise RuntimeError(message("show", "nothing is compiled yet.", "Call it once."))
        return self.last.show(what)

    def exported(self, folder: Any, name: str) -> list[Path]:
        if self.last is None:
            raise RuntimeError(message("export", "nothing is compiled yet.", "Call it once."))
        return self.last.export(folder, name)


def _is_watched() -> bool:
    """Is this part of a larger recording, or looked at op by op?"""
    return bool(mode.trace is not None or mode.levels or mode.watchers or mode.raw)


def _itself(instance: Any) -> Any:
    return instance


def _forget(bound: dict[int, Any], key: int, ref: Any) -> None:
    bound.pop(key, None)


class _Arguments:
    """Which arguments were declared static (or dynamic), by place and by name."""

    def __init__(
        self, f: Any, numbers: Any, names: Any,
        words: tuple[str, str] = ("static_argnums", "static_argnames"),
    ) -> None:  # fmt: skip
        numbers = (numbers,) if isinstance(numbers, int) else tuple(numbers)
        names = (names,) if isinstance(names, str) else tuple(names)
        self.numbers, self.names = set(numbers), set(names)
        if not numbers and not names:
            return
        try:
            parameters = inspect.signature(f).parameters
        except (TypeError, ValueError):
            return
        places = [p.name for p in parameters.values() if p.kind <= p.POSITIONAL_OR_KEYWORD]
        free = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        many = any(p.kind is p.VAR_POSITIONAL for p in parameters.values())
        for name in names:
            if name not in parameters and not free:
                raise ValueError(
                    message("compile", f"{words[1]} has {name!r}, which is no argument.")
                )
        for k in numbers:
            if not many and not -len(places) <= k < len(places):
                raise ValueError(
                    message("compile", f"{words[0]} has {k}, of {len(places)} arguments.")
                )
        self.names |= {places[k] for k in numbers if -len(places) <= k < len(places)}
        self.numbers |= {places.index(name) for name in self.names if name in places}

    def __bool__(self) -> bool:
        return bool(self.numbers or self.names)

    def boxed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        count = len(args)
        at = {k % count for k in self.numbers if -count <= k < count}
        return (
            tuple([_box(x, f"argument {k}") if k in at else x for k, x in enumerate(args)]),
            {k: _box(x, f"argument {k}") if k in self.names else x for k, x in kwargs.items()},
        )


def _dynamic(f: Any, dynamic: Any) -> Any:
    """True, or the places and names of arguments, each by both where it has both; or nothing."""
    if isinstance(dynamic, bool) or dynamic is None:
        return dynamic or None
    given = tuple(dynamic) if isinstance(dynamic, (tuple, list, set, frozenset)) else (dynamic,)
    if not all(type(x) in (int, str) for x in given):
        raise TypeError(
            message(
                "compile", f"dynamic is True, or names or places of arguments, not {dynamic!r}."
            )
        )
    numbers = [x for x in given if type(x) is int]
    names = [x for x in given if type(x) is str]
    found = _Arguments(f, numbers, names, ("dynamic", "dynamic"))
    return found.numbers | found.names


def _box(value: Any, what: str) -> Static:
    if type(value) is Static:
        return value
    if isinstance(value, GradArray):
        hashable = False
    else:
        try:
            hash(value)
            hashable = True
        except TypeError:
            hashable = False
    if not hashable:
        raise TypeError(
            message(
                "compile",
                f"{what} was declared static, and a {type(value).__name__} is no constant.",
                "Static values are hashable: numbers, strings, tuples of them.",
            )
        )
    return Static(value)


def _unboxed(leaf: Any) -> Any:
    return leaf.value if type(leaf) is Static else leaf


def _repeated(leaves: Sequence[Any]) -> tuple[tuple[int, int], ...]:
    """Which arrays are given again, and where they were given first."""
    first: dict[int, int] = {}
    arrays = [(k, id(x)) for k, x in enumerate(leaves) if isinstance(x, GradArray)]
    return tuple([(k, first[i]) for k, i in arrays if first.setdefault(i, k) != k])


def _key(leaf: Any) -> Any:
    if isinstance(leaf, GradArray):
        return leaf.shape, leaf.dtype, leaf._node is not None, type(leaf)
    if is_dynamic(leaf):
        return (leaf.shape, leaf.dtype) if hasattr(leaf, "dtype") else type(leaf)
    leaf = _unboxed(leaf)
    try:
        hash(leaf)
    except TypeError:
        return type(leaf), id(leaf)
    return type(leaf), leaf


def compile(
    f: Callable[..., Any] | None = None,
    *,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    check: bool = False,
    run_eagerly: bool = False,
    threads: int | None = None,
    dynamic: bool | int | str | Sequence[int | str] | None = None,
) -> Any:
    r"""f as one native function, for each form of its arguments: no Python between operations.

    f is a function or a method of GradArrays, NumPy arrays, pytrees of them, and static values.
    It is run once, at the first call, on arrays without values; what it does to them is compiled,
    and the compiled code is remembered. Python floats are arguments like arrays; integers, strings
    and other objects are static: another value is compiled once more. So is another shape or dtype,
    and whatever `static_argnums` or `static_argnames` declare static (it must be hashable).

    Arrays that f changes keep their place, inside f and out: parameters, an optimiser's slots,
    running statistics, `.grad`, random streams, the arguments themselves. A result that depends on
    an array that requires a gradient is on its graph, and `backward()`, `ga.grad` and the other
    transforms go through it, compiled too. Transforms compile as f does:
    `ga.compile(ga.hessian(f))`. Inside another compiled function f is part of it.

    Python's own side effects happen only while f is recorded. Raises GraphError, with the line and
    the way out, where f reads a value in Python (`if`, `float()`, `print`), or stores an array
    outside that was not there before.

    `dynamic`: arguments whose first axis counts samples, of which there may be any number: names or
    places of arguments, or True for every array whose first axis is as long as the first one's. The
    first number has a program of its own, and so have 0 and 1; others share one, for 8, 16, 32, ...
    samples, that leaves out what is too much. A number that was not met yet is recorded once, not
    compiled. Where the program needs all samples at once (a sort of them, a draw for each, a loop
    over them), or a result is on a graph, each number is compiled as without `dynamic`, and a
    warning says why.

    `check=True`: each call is also carried out op by op, and compared; the first operation that
    differs by more than rounding explains is named. `run_eagerly=True`: f itself runs. `threads=n`:
    at most n threads share the work of its calls, whatever `ga.set_threads` said; results do not
    depend on it.

    >>> import gradarray as ga
    >>> step = ga.compile(lambda x: (x * ga.exp(x)).sum())
    >>> step(ga.array([0.0, 1.0]))
    GradArray(2.71828183, dtype=float64)
    >>> @ga.compile
    ... def power(x, n):
    ...     return x**n if n > 1 else x
    >>> power(ga.array([1.0, 3.0]), 2)
    GradArray([1., 9.], dtype=float64)
    >>> mean = ga.compile(lambda x: (x * x).mean(), dynamic=True)
    >>> [float(mean(ga.ones(n))) for n in (32, 7, 11)]
    [1.0, 1.0, 1.0]
    """
    given: dict[str, Any] = {
        "static_argnums": static_argnums,
        "static_argnames": static_argnames,
        "check": check,
        "run_eagerly": run_eagerly,
        "threads": threads,
        "dynamic": dynamic,
    }
    if f is None:
        return functools.partial(compile, **given)
    check_function(f, "compile")
    return Compiled(f, **given)
