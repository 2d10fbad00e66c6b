"""Why digits are missed where they are: (function, kind of arguments) and the reason."""

from __future__ import annotations

WHY: dict[tuple[str, str], str] = {
    ("linalg.det", "as declared"): (
        "A determinant of order n is a polynomial of degree n, so that of a 2 by 2 or 3 by 3 "
        "matrix the fourth derivative is exactly 0. It is computed as a sum of products of three "
        "or four entries of directions and inverses, of size 10 to 100, which cancel; shown are "
        "the digits behind the point."
    ),
    ("linalg.expm", "as declared"): (
        "A derivative of order n is a block of the exponential of a matrix 2^n times as large. The "
        "error of scaling and squaring is relative to the norm of the whole, in which the lower "
        "orders stand as well; this block is some 10 times smaller."
    ),
    ("log_ndtr", "edge"): (
        "With r the slope, the fourth derivative is a polynomial in x and r whose terms, up to "
        "2.5, cancel to 0.11; the error is within 64 eps of the largest."
    ),
    ("nanstd", "as declared"): (
        "Of two values (axis=0) the deviation is half their distance: linear, and every derivative "
        "from the second is exactly 0. It is computed by the formula for any number of values, "
        "whose terms grow as 1/std^(n - 1) and cancel; std is 0.02 in one of the columns drawn. "
        "Shown are the digits behind the point."
    ),
    ("scaled_dot_product_attention", "as declared"): (
        "The derivative of order 4 of a softmax of products, along a direction through all three "
        "operands, is a sum of some hundred products of both signs; each rounds, and the bound is "
        "for some tens."
    ),
    ("special.gamma", "large"): (
        "149! is infinite in float32, and so are its first two derivatives. The third is a sum of "
        "infinite terms of both signs (psi'' is negative): NaN."
    ),
    ("special.poch", "inside"): (
        "Along a at (0.3, 1.7) the fourth derivative, 0.52, is a sum of terms up to 390 in the "
        "polygamma functions of 0.3; the error is within 64 eps of the largest."
    ),
}  # fmt: skip
