"""Plain: absorbing products become plain ones, where a NaN that they would have kept away is seen.

A recorded sweep multiplies absorbingly: an exact 0 wins over what is infinite or NaN. A plain
product differs from that only by a NaN. So plain ones do, if every NaN that they could make comes
to a value that is looked at after the run, as the results of plain sweeps are: if there is one,
all is run again as a program of absorbing sweeps, before anything is written.
"""

from __future__ import annotations

from ..ops import arithmetic, compare, exponential, hyperbolic, powers, trigonometric
from ..ops.complex import ConjGrad, RealGrad
from ..ops.contract import MatMulGrad
from ..ops.control import AliasGrad
from ..ops.create import CopyGrad
from ..ops.einsum import ContractGrad
from ..ops.indexing import IndexGrad, PlaceGrad
from ..ops.join import ConcatenateGrad, SplitGrad, StackGrad, UnstackGrad
from ..ops.reduce import SumGrad
from ..ops.shape import AsTypeGrad, BroadcastToGrad, ExpandDimsGrad, ReshapeGrad, TransposeGrad
from .abstract import Abstract
from .program import Program, Step

# Of a NaN among the operands these make a NaN, or do not look at that place at all.
_KEEPING = frozenset({
    arithmetic.AddGrad, arithmetic.SubtractGrad, arithmetic.MultiplyGrad, arithmetic.DivideGrad,
    arithmetic.NegativeGrad, arithmetic.PositiveGrad, arithmetic.AbsoluteGrad,
    powers.SquareGrad, powers.SqrtGrad, powers.ReciprocalGrad,
    exponential.ExpGrad, exponential.Expm1Grad, exponential.LogGrad, exponential.Log1pGrad,
    hyperbolic.TanhGrad, hyperbolic.SechGrad, hyperbolic.SinhGrad, hyperbolic.CoshGrad,
    hyperbolic.SigmoidGrad, trigonometric.SinGrad, trigonometric.CosGrad,
    compare.MaximumGrad, compare.MinimumGrad, compare.WhereGrad,
    RealGrad, ConjGrad, AliasGrad, CopyGrad, MatMulGrad, ContractGrad, SumGrad,
    IndexGrad, PlaceGrad, ConcatenateGrad, SplitGrad, StackGrad, UnstackGrad,
    AsTypeGrad, BroadcastToGrad, ExpandDimsGrad, ReshapeGrad, TransposeGrad,
})  # fmt: skip


def plainly(program: Program, suspects: int) -> tuple[Program, int]:
    """The program with plain products where that is safe, and how many of its last outputs are
    looked at for a NaN."""
    if not any(step.op is arithmetic.AbsorbGrad for step in program.steps):
        return program, suspects
    first = len(program.outputs) - suspects
    watched = {y for y in program.outputs[first:] if type(y) is Abstract}  # others are constants
    plain = _may_be_plain(program, watched)
    if not plain:
        return program, suspects
    steps, tainted = [], set()
    for step in program.steps:
        if step in plain:
            step = _with_op(step, arithmetic.MultiplyGrad)
            tainted.update(step.values)
        elif any(x in tainted for x in step.inputs):
            tainted.update(step.values)
        tainted.difference_update(watched)
        steps.append(step)
    outputs = list(program.outputs)
    results = dict.fromkeys(y for y in outputs[:first] if type(y) is Abstract)
    more = [y for y in results if y in tainted]
    made = Program(program.inputs, steps, [*outputs, *more], program.constants, program.states)
    return made, suspects + len(more)


def _may_be_plain(program: Program, watched: set[Abstract]) -> set[Step]:
    """The absorbing products of which every NaN is kept until a value that is looked at."""
    hidden: set[Abstract] = set()  # a NaN there may not be seen
    found = set()
    for step in reversed(program.steps):
        seen = not any(v in hidden and v not in watched for v in step.values)
        seen = seen and all(v.dtype.kind in "fc" for v in step.values)
        if step.op is arithmetic.AbsorbGrad and seen:
            found.add(step)
        elif not (step.op in _KEEPING and seen):
            hidden.update(step.inputs)
        elif step.op is compare.WhereGrad and type(step.operands[0]) is Abstract:
            hidden.add(step.operands[0])
    return found


def _with_op(step: Step, op: type) -> Step:
    new = Step(op, step.operands, step.params, step.line)
    new.values = step.values
    return new
