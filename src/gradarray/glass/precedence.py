"""How tightly the parts of a formula hold together, on paper and in a line of text.

What is written looser than the place it stands in asks for gets parentheses; a comparison in a
product gets square brackets, which read 1 where it holds and 0 elsewhere.
"""

CHOICE, RELATION, SUM, PRODUCT, FACTOR, POWER, ATOM = range(7)

INFIX: dict[str, tuple[str, int]] = {  # of ops with two operands: the sign, and how tight it is
    "add": ("+", SUM),
    "subtract": ("-", SUM),
    "gap": ("-", SUM),
    "multiply": ("*", PRODUCT),
    "absorb": ("*", PRODUCT),
    "divide": ("/", PRODUCT),
    "matmul": ("@", PRODUCT),
    "floor_divide": ("//", PRODUCT),
    "remainder": ("%", PRODUCT),
    "power": ("**", POWER),
    "equal": ("==", RELATION),
    "not_equal": ("!=", RELATION),
    "greater": (">", RELATION),
    "greater_equal": (">=", RELATION),
    "less": ("<", RELATION),
    "less_equal": ("<=", RELATION),
}
