"""Which axis of which value counts the samples, as a person reads it."""

from __future__ import annotations

from .abstract import Abstract
from .assemble import needs_host
from .program import Names, Program, Step, form
from .split import Split, splits_of


def text(program: Program) -> str:
    """The steps of a simplified program, with what each is in the split that takes it."""
    splits = splits_of(program, {step for step in program.steps if needs_host(program, step)})
    names = Names()
    lines = [f"{names(v)} = input {form(v)}" for v in (*program.inputs, *program.constants)]
    of = {step: k for k, split in enumerate(splits) for step in split.steps}
    for step in program.steps:
        values = ", ".join(map(names, step.values))
        operands = ", ".join(map(names, step.operands))
        lines.append(f"{values} = {step.op.name}({operands})")
        if step in of:
            lines[-1] += f"  # {of[step]}: {_how(splits[of[step]], step, names)}"
    lines += [f"# {k}: {split.n} samples" for k, split in enumerate(splits)]
    return "\n".join(lines)


def _how(split: Split, step: Step, names: Names) -> str:
    found = [
        "a sum over samples" if v in split.sums else f"samples along axis {split.axis[v]}"
        for v in step.values
    ]
    whole = [names(x) for x in step.operands if type(x) is Abstract and x in split.whole[step]]
    if whole:
        found.append(f"{' and '.join(whole)} whole")
    return ", ".join(found)
