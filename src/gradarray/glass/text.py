from typing import Any


def text(e: Any, numbers: bool = False) -> str:
    return repr(e)
def factor_text(e: Any) -> str:
    return repr(e)
