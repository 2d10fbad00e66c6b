"""Why digits are missed where they are: (function, kind of arguments) and the reason."""

from __future__ import annotations

_DOMINATED = (
    "One weight is 1 to 17 digits. What is asked for is the difference of a direction and the mean "
    "of directions under the weights, both of size 1, which cancels to e^-40; the error is within "
    "a few eps of 1."
)

WHY: dict[tuple[str, str], str] = {
    ("cosine_similarity", "large"): (
        "In float32 the fourth derivative has steps like 1/(r_1 r_2)^4 = 3e-46, which is below the "
        "smallest number; the result, 1e-22, is not. Taylor mode, which divides series, keeps it."
    ),
    ("linalg.det", "large"): (
        "Derivatives are products with the inverse, whose error grows with the condition number, "
        "here 1e10. The second derivative, 0.1, is the difference of terms near 1e5; those "
        "beyond the second are exactly 0. (A singular matrix takes another way, and loses none.)"
    ),
    ("linalg.expm", "large"): (
        "Entries from e^-20 to e^20. Scaling and squaring loses digits with the norm of the "
        "matrix, 20 here, and of the larger ones of which derivatives are blocks: 12 are left."
    ),
    ("logcumsumexp", "large"): (
        "The weights e^(x - y) are of rounded y, to 1e-13 near 1000 (float32: 6e-5), so they do "
        "not sum to 1 exactly; cumulants of the third and fourth order, 1e-3 and 1e-4, are "
        "differences of terms of size 1 to 6 in them."
    ),
    ("linalg.det", "as declared"): (
        "A determinant of order n is a polynomial of degree n, so that of a 2 by 2 or 3 by 3 "
        "matrix the fourth derivative is exactly 0. It is computed as a sum of products of "
        "directions and inverses, which cancel; shown are the digits behind the point."
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
        "whose terms grow as 1/std^(n - 1) and cancel; std is 0.06 in one of the columns drawn. "
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
    ("scaled_dot_product_attention", "saturated"): _DOMINATED,
    **{
        (name, "saturated"): _DOMINATED
        for name in ("softmax", "softmin", "log_softmax", "logsumexp", "logcumsumexp")
    },
}  # fmt: skip
