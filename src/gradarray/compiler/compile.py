"""compile: a function of arrays, recorded at its first call, and run as one piece from then on."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .. import tree
from ..errors import check_function, message
from ..graph import flags
from . import forks, pool
from .arguments import Declared, Static, declared_dynamic, key_of, unboxed
from .call import MISS
from .sized import Sizes, free_leaves
from .trace import lock
from .version import Version
from .versions import Versions, is_watched

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
        self._static = Declared(f, static_argnums, static_argnames)
        self._dynamic, self._exact = declared_dynamic(f, dynamic), exact
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
            found = versions.taken(args, kwargs)
            return self._call(versions, args, kwargs, instance) if found is MISS else found

    def _call(self, versions: Versions, args: Any, kwargs: Any, instance: Any) -> Any:
        if self.run_eagerly or is_watched():
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
            if sized is not None and found is not MISS:
                versions.came_to(sized, leaves)
                return found
        version = self._version(versions, leaves, form, instance)
        if version is None or version.eager or version.overlaps(leaves):
            args, kwargs = tree.unflatten(form, [unboxed(x) for x in leaves])
            return self._f(*args, **kwargs)
        versions.came_to(version, leaves)
        return version(leaves)

    def _for_any_size(
        self, versions: Versions, leaves: Sequence[Any], form: tree.Structure, instance: Any
    ) -> Version | None:
        """A version for many sizes; None where these arguments have one of their own."""
        first = int(instance is not None)
        free = free_leaves(leaves, form, self._dynamic, first)
        if not free or self._check:
            return None
        key = key_of(leaves, form, first)
        with lock:
            if versions.known(key, leaves) is not None:
                return None
            if versions.sizes is None:
                versions.sizes = Sizes(self._exact, asked=self._exact == 1)
            count = len(versions.sizes)
            found = versions.sizes.find(
                self._f, leaves, form, instance, free, key[1], strict=self._strict, once=self._once,
                compiling=Compiled,
            )  # fmt: skip
            if len(versions.sizes) > count:
                versions.last = found
        return found

    miss = MISS

    def short(self, instance: Any, args: tuple[Any, ...]) -> Any:
        """f(instance, *args) the short way; `miss` where there is none."""
        return self._versions_for(instance).taken(args, {})

    def prepared(
        self, instance: Any, *args: Any, exact: bool = False
    ) -> tuple[Version, list[Any]] | None:
        """The version for f(instance, *args), and what it is called with; None: f itself is run.

        One for many sizes may give `miss`: then it is to be an `exact` one. What is raised here
        comes from recording; nothing has changed then.
        """
        if self.run_eagerly or is_watched():
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
        versions.came_to(version, leaves)
        return version, leaves

    def _version(
        self, versions: Versions, leaves: Sequence[Any], form: tree.Structure, instance: Any
    ) -> Version | None:
        """The version for these arguments, recorded if there is none; None: not worth one yet."""
        key = key_of(leaves, form, int(instance is not None))
        version = versions.known(key, leaves)
        if version is not None:
            return version
        with lock:
            version = versions.known(key, leaves)  # made meanwhile by another thread
            if version is not None:
                return version
            met = versions.met[key] = versions.met.get(key, 0) + 1
            if met <= self._patience:
                return None
            version = Version(
                self._f, leaves, form, instance, check=self._check, strict=self._strict,
                once=self._once, compiling=Compiled,
            )  # fmt: skip
            versions.add(version, key, leaves, form, self._name())
        return version

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

    def fused(self, *args: Any, **kwargs: Any) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
        """The loops of the version for these arguments, compiled if it is not, and not run.

        Each in a few words, with the names of the ops that were fused into it, and the user's lines
        that asked for them. Empty where the function runs op by op.
        """
        return self._fused(args, kwargs, None)

    def _fused(self, args: Any, kwargs: Any, instance: Any) -> Any:
        if instance is not None:
            args = (instance, *args)
        if self._static:
            args, kwargs = self._static.boxed(args, kwargs)
        leaves, form = tree.flatten((args, kwargs))
        versions = self._versions if instance is None else self._versions_for(instance.value)
        version = self._version(versions, leaves, form, instance)
        return [] if version is None else version.fused()

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

    def fused(self, *args: Any, **kwargs: Any) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
        """The loops of the version for this instance and these arguments; see Compiled.fused."""
        return self.__func__._fused(args, kwargs, Static(self.__self__))

    def export(self, folder: Any, name: str | None = None) -> list[Path]:
        """The version that was compiled last for this instance; see Compiled.export."""
        versions = self.__func__._versions_for(self.__self__)
        return versions.exported(folder, name or self.__func__._name().split(".")[-1])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__func__, name)

    def __repr__(self) -> str:
        return f"<compiled {self.__func__._name()} of a {type(self.__self__).__name__}>"


def _itself(instance: Any) -> Any:
    return instance


def _forget(bound: dict[int, Any], key: int, ref: Any) -> None:
    bound.pop(key, None)


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

    What f reads by name (globals, variables of functions around it, attributes of plain objects,
    entries of lists and dicts) is part of the program: where a name means something else later, f
    is recorded again. Of a NumPy array reached so the values are kept as they were; reached as a
    GradArray, it is read anew at each call.

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
