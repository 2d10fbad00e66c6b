"""The checks that experienced people make by hand before they train a network."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import graph
from ..array import lift
from ..errors import ShapeError, message, part_of
from ..optim import Adam
from ..transforms.checkpoint import drawn_state, restore
from .build import Builder
from .numbers import digit
from .record import Keeper
from .states import FLAT, saturated
from .story import Row, Story

FAR = 2.0  # times the expected loss from which a first loss is suspicious
DEAD = 0.5  # of a layer's units
SATURATED = 0.5  # of a layer's values
STEEP = 1e3  # times by which adjoints, or ratios of gradients, may differ between layers
STEPS = 100  # of overfitting one batch
FALLEN = 0.5  # of the first loss, below which one batch must bring it


@dataclass(frozen=True)
class Finding:
    """One check: whether all is well, what was found, and what to do about it."""

    check: str
    fine: bool
    found: str
    advice: str = ""


class Diagnosis:
    """All checks; true if all is well, and prints one line for each, with advice where not."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings

    def __bool__(self) -> bool:
        return all(one.fine for one in self.findings)

    def __getitem__(self, check: str) -> list[Finding]:
        """The findings of a check."""
        return [one for one in self.findings if one.check == check]

    def __str__(self) -> str:
        lines = []
        for one in self.findings:
            lines.append(f"{'ok ' if one.fine else '!! '} {one.check}: {one.found}")
            if one.advice:
                lines.append(f"      {one.advice}")
        return "\n".join(lines)

    __repr__ = __str__


def diagnose(
    model: Any, x: Any, y: Any, loss: Callable[[Any, Any], Any], overfit: int = STEPS
) -> Diagnosis:
    r"""Check a network on one batch: loss(model(x), y), its values and its gradients.

    The initial loss against log C (C classes) or the variance of the targets; dead ReLUs;
    saturated units; the ratio of gradient to weight, \lVert g \rVert / \lVert w \rVert, of each
    parameter; adjoints that vanish or explode from layer to layer; parameters without a gradient;
    an input that carries none; and whether `overfit` steps of Adam on this batch make the loss fall
    (0: not tried). The model is not changed, nor are random numbers. Raises ShapeError where the
    loss is not one number. (Glorot & Bengio, "Understanding the difficulty of training deep
    feedforward neural networks", AISTATS 2010; He et al., ICCV 2015.)

    >>> import gradarray as ga
    >>> ga.random.seed(0)
    >>> model = ga.nn.Sequential(ga.nn.Linear(4, 16), ga.nn.ReLU(), ga.nn.Linear(16, 3))
    >>> x, y = ga.random.normal(size=(32, 4)), ga.random.integers(0, 3, size=32)
    >>> print(ga.diagnose(model, x, y, ga.nn.CrossEntropyLoss())["initial loss"][0].fine)
    True
    """
    drawn = drawn_state()
    try:
        return Diagnosis(list(_Checks(copy.deepcopy(model), x, y, loss).all(overfit)))
    finally:
        restore(drawn)


class _Checks:
    def __init__(self, model: Any, x: Any, y: Any, loss: Any) -> None:
        self.model, self.loss = model, loss
        x = lift(x)
        self.input = x.detach() if x.dtype.kind in "fc" else x
        if self.input.dtype.kind in "fc":
            self.input.requires_grad = True
        self.target = lift(y)
        keeper = Keeper()
        keeper.call(self.input, "x")
        keeper.call(self.target, "y")
        with graph.recording(), graph.watching(keeper):
            self.output = model(self.input)
            value = loss(self.output, self.target)
        if value.shape != ():
            raise ShapeError(
                message(
                    "diagnose",
                    f"the loss has shape {value.shape}, not ().",
                    "Reduce it, for example with .mean().",
                )
            )
        self.value = float(value)
        one = value.dtype.type(1)
        self.story: Story = Builder([value], keeper, "loss").story(one, [self.input])

    def all(self, overfit: int) -> Iterator[Finding]:
        """Every check, in the order in which one would look."""
        yield self.initial_loss()
        yield from self.dead()
        yield from self.saturated()
        yield from self.ratios()
        yield self.adjoints()
        yield self.unused()
        if self.input.dtype.kind in "fc":
            yield self.input_gradient()
        if overfit:
            yield self.one_batch(overfit)

    # The loss -------------------------------------------------------------------------------------

    def initial_loss(self) -> Finding:
        name, told = "initial loss", digit(self.value, 4)
        if not math.isfinite(self.value):
            return Finding(
                name, False, f"{told} is not finite",
                "Find the op that made it: run the step inside ga.detect_anomaly().",
            )  # fmt: skip
        expected, of = self._expected()
        if expected is None:
            return Finding(name, True, told)
        found = f"{told}, where {of} is {digit(expected, 4)}"
        fine = self.value <= FAR * expected
        if fine:
            return Finding(name, True, found)
        return Finding(
            name, False, found,
            "The first outputs are too large: start the last layer with smaller weights, and scale "
            "the inputs to mean 0 and variance 1.",
        )  # fmt: skip

    def _expected(self) -> tuple[float | None, str]:
        """The loss of a network that knows nothing yet, and what that is."""
        target, output = self.target, self.output
        if target.dtype.kind in "iu" and output.ndim >= 2 and output.shape[1] > 1:
            classes = output.shape[1]
            return math.log(classes), f"log {classes}, that of equal chances,"
        if target.dtype.kind == "f" and target.shape == output.shape:
            values = target.numpy()
            if np.isin(values, (0.0, 1.0)).all() and values.size:
                return math.log(2), "log 2, that of equal chances,"
            return float(values.var()) or None, "the variance of the targets"
        return None, ""

    # Units ----------------------------------------------------------------------------------------

    def dead(self) -> Iterator[Finding]:
        """ReLUs that are 0 for every sample: no gradient reaches the weights before them."""
        rows = [r for r in self._of("relu", "relu6") if r.value is not None and r.value.ndim > 1]
        for row in rows:
            axes = (0, *range(2, row.value.ndim))
            dead = float(np.mean(~(row.value > 0).any(axis=axes)))
            fine = dead < DEAD
            yield Finding(
                "dead ReLUs", fine, f"{dead:.0%} of {row.value.shape[1]} units in {_where(row)}",
                "" if fine else "They are 0 for the whole batch and learn nothing: lower the "
                "learning rate, start the bias at 0, use He initialisation, or a leaky ReLU.",
            )  # fmt: skip

    def saturated(self) -> Iterator[Finding]:
        """Units of tanh, sigmoid and the like where the slope has gone to 0."""
        for row in self._of("tanh", "sigmoid", "hard_tanh", "hard_sigmoid", "softsign"):
            part = saturated(row)
            fine = part < SATURATED
            found = f"{part:.0%} of the slopes are below {FLAT} in {_where(row)}"
            yield Finding(
                "saturated units", fine, found,
                "" if fine else "Their inputs are too large: use smaller initial weights (Glorot), "
                "scale the inputs, or normalise before the activation.",
            )  # fmt: skip

    def _of(self, *names: str) -> list[Row]:
        return [r for r in self.story.rows if r.op is not None and r.op.name in names]

    # Gradients ------------------------------------------------------------------------------------

    def _parameters(self) -> Iterator[tuple[str, Any, Any]]:
        """Each parameter's path, its values, and its gradient (None: none arrives)."""
        rows = {row.node: row for row in self.story.rows}
        for path, p in self.model.named_parameters():
            if p.requires_grad:
                row = rows.get(p._node)
                yield path, p._data, None if row is None else row.adjoint

    def ratios(self) -> Iterator[Finding]:
        """How large a gradient is beside its weights: layers should learn at about one speed."""
        found = {}
        for path, w, g in self._parameters():
            weight = float(np.linalg.norm(w))
            if g is not None and w.ndim > 1 and weight:
                found[path] = float(np.linalg.norm(g)) / weight
        if not found:
            return
        middle = float(np.median(list(found.values())))
        for path, ratio in found.items():
            fine = bool(ratio) and (not middle or 1 / STEEP < ratio / middle < STEEP)
            yield Finding(
                "gradient to weight", fine, f"{digit(ratio, 3)} for {path}",
                "" if fine else f"The others have about {digit(middle, 3)}: this layer learns at "
                "another speed. Look at its initialisation and at the scale of its input.",
            )  # fmt: skip

    def adjoints(self) -> Finding:
        """Do adjoints vanish or explode on their way from the loss to the first layer?"""
        sizes = [(path, _rms(row.adjoint)) for path, row in self._products()]
        if len(sizes) < 2:
            return Finding("adjoints along the layers", True, "one layer")
        (first, low), (last, high) = sizes[0], sizes[-1]
        ratio = low / high if high else math.inf if low else 1.0
        found = f"{digit(low, 3)} at {first}, {digit(high, 3)} at {last}"
        if not all(math.isfinite(size) for _, size in sizes):
            return Finding(
                "adjoints along the layers", False, f"{found}: not finite",
                "Clip gradients, lower the learning rate, find the op with ga.detect_anomaly().",
            )  # fmt: skip
        if ratio < 1 / STEEP:
            return Finding(
                "adjoints along the layers", False, f"vanishing: {found}",
                "Use ReLU-like activations with He initialisation, normalisation, or residual "
                "connections.",
            )  # fmt: skip
        if ratio > STEEP:
            return Finding(
                "adjoints along the layers", False, f"exploding: {found}",
                "Start with smaller weights, clip gradients, normalise between layers.",
            )  # fmt: skip
        return Finding("adjoints along the layers", True, found)

    def _products(self) -> Iterator[tuple[str, Row]]:
        """What each layer makes of its weight and its input, by the weight's path."""
        rows = {row.node: row for row in self.story.rows}
        for path, p in self.model.named_parameters():
            row = rows.get(p._node)
            if row is None or p.ndim < 2:
                continue
            while row.terms and sum(isinstance(x, Row) for x in row.operands) < 2:
                row = row.terms[0].to  # turned over, or cast
            if row.adjoint is not None and np.size(row.adjoint):
                yield path, row

    def unused(self) -> Finding:
        """Parameters that the loss does not depend on."""
        without = [path for path, _, g in self._parameters() if g is None]
        zero = [path for path, _, g in self._parameters() if g is not None and not np.any(g)]
        if without or zero:
            told = [f"{', '.join(without)} not reached"] if without else []
            told += [f"{', '.join(zero)} all zero"] if zero else []
            return Finding(
                "unused parameters", False, "; ".join(told),
                "Is the layer called in forward()? Is a value detached, or rounded, on the way?",
            )  # fmt: skip
        return Finding("unused parameters", True, "none")

    def input_gradient(self) -> Finding:
        """Does anything in the input matter for the loss?"""
        row = next(r for r in self.story.rows if r.node is self.input._node)
        name = "gradient of the input"
        if row.adjoint is None or not np.any(row.adjoint):
            return Finding(
                name, False, "none: the output does not depend on the input",
                "Is the input detached, or multiplied by 0? Are all ReLUs dead?",
            )  # fmt: skip
        flat = np.abs(row.adjoint).reshape(len(row.adjoint), -1).max(axis=1) if row.shape else None
        if flat is not None and (flat == 0).any():
            n = int((flat == 0).sum())
            return Finding(
                name, False, f"{n} of {len(flat)} samples have none",
                "Samples without influence: are they masked, or do all units die for them?",
            )  # fmt: skip
        size = digit(_rms(row.adjoint), 3)
        return Finding(name, True, f"every sample has one, of about {size}")

    # One batch ------------------------------------------------------------------------------------

    def one_batch(self, steps: int) -> Finding:
        """Can the network learn this one batch by heart?"""
        losses = overfit_batch(self.model, self.input, self.target, self.loss, steps)
        found = f"{digit(losses[0], 4)} to {digit(losses[-1], 4)} in {steps} steps of Adam"
        fine = losses[-1] <= FALLEN * losses[0] or losses[-1] < 1e-6
        return Finding(
            "loss on one batch", fine, found,
            "" if fine else "A network that cannot learn a single batch has a fault: look at the "
            "labels' order, the loss's arguments, detached values, and the learning rate.",
        )  # fmt: skip


def overfit_batch(
    model: Any,
    x: Any,
    y: Any,
    loss: Callable[[Any, Any], Any],
    steps: int = STEPS,
    lr: float = 1e-2,
) -> list[float]:
    """The losses while a copy of the model learns one batch with Adam: they should go to 0.

    The model is not changed, nor are random numbers.

    >>> import gradarray as ga
    >>> ga.random.seed(0)
    >>> model = ga.nn.Linear(2, 1)
    >>> losses = ga.overfit_batch(model, [[0.0, 1.0], [1.0, 0.0]], [[1.0], [2.0]], ga.nn.MSELoss())
    >>> losses[-1] < losses[0] / 10
    True
    """
    drawn, x, y = drawn_state(), lift(x).detach(), lift(y)
    model = copy.deepcopy(model)
    optimizer = Adam(model.parameters(), lr=lr)
    losses = []
    try:
        with graph.recording():
            for _ in range(steps):
                optimizer.zero_grad()
                value = loss(model(x), y)
                losses.append(float(value))
                value.backward()
                optimizer.step()
            losses.append(float(loss(model(x), y)))
    finally:
        restore(drawn)
    return losses


def _rms(x: Any) -> float:
    return float(np.sqrt(np.mean(np.square(np.abs(x), dtype=np.float64))))


def _where(row: Row) -> str:
    """The layer in which a value was made, or its name."""
    made = row.made
    if made is None or made.model is None:
        return row.name
    if made.layers:
        return part_of(made.model, made.layers[-1])
    line = f", line {made.spots[0].line}" if made.spots else ""
    return part_of(made.model, made.model) + line
