"""A fault of the compiler is an error with a reproducer, and the process goes on."""

import platform
from typing import Any

import numpy as np
import pytest

import gradarray as ga
from gradarray.compiler import ir, native
from gradarray.compiler.fault import CompilerFault, Refused
from gradarray.compiler.machine import object_code

# Each of these, given to LLVM's code generator, is an error; the last two end the process.
BROKEN = {
    "not of the language": "define void @f() {\n  it is broken\n}\n",
    "not of its type": "define void @f() {\n  ret float 1.0\n}\n",
    "used before it is defined": (
        "define float @f() {\n  %y = fadd float %x, 1.0\n  %x = fadd float 1.0, 1.0\n"
        "  ret float %y\n}\n"
    ),
    "an intrinsic that is not": (
        "declare float @llvm.nonsense.f32(float)\ndefine float @f(float %x) {\n"
        "  %y = call float @llvm.nonsense.f32(float %x)\n  ret float %y\n}\n"
    ),
    "an intrinsic of another processor": (
        "declare void @llvm.aarch64.hint(i32)\ndefine void @f() {\n"
        "  call void @llvm.aarch64.hint(i32 1)\n  ret void\n}\n"
        if platform.machine() in ("x86_64", "AMD64")
        else "declare void @llvm.x86.sse2.pause()\ndefine void @f() {\n"
        "  call void @llvm.x86.sse2.pause()\n  ret void\n}\n"
    ),
    "inline assembly": (
        'define void @f() {\n  call void asm sideeffect "nop", ""()\n  ret void\n}\n'
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_text_is_refused_before_code_is_made(what: str) -> None:
    with pytest.raises(Refused):
        object_code(BROKEN[what])


def test_a_fault_carries_what_reproduces_it(monkeypatch: pytest.MonkeyPatch) -> None:
    f = ga.compile(lambda x: ga.sum(ga.exp(x)))
    x = ga.array([1.0, 2.0])
    whole = ir.Module.text
    monkeypatch.setattr(
        ir.Module, "text", lambda self: whole(self).replace("fadd", "fadd nonsense")
    )
    with pytest.raises(CompilerFault, match=r"it runs without ga\.compile") as caught:
        f(x)
    assert "= exp(" in caught.value.program and "fadd nonsense" in caught.value.text
    assert caught.value.program in caught.value.reproducer
    monkeypatch.undo()
    np.testing.assert_allclose(f(x).numpy(), np.exp(1) + np.exp(2))  # and it is not remembered


def test_what_is_wrong_before_there_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: Any, **kwargs: Any) -> Any:
        raise KeyError("a value nobody made")

    monkeypatch.setattr(native, "assemble", fails)
    with pytest.raises(CompilerFault, match="a value nobody made") as caught:
        ga.compile(lambda x: x + 1)(ga.array([1.0]))
    assert "add" in caught.value.reproducer and isinstance(caught.value.__cause__, KeyError)
