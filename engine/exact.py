"""Proportions of int64 registers, exact where the product needs more than 64 bits."""

from numba import njit


@njit(cache=True, nogil=True)
def proportion(amount: int, part: int, whole: int) -> int:
    """`amount * part / whole`, rounded half up; part >= 0, whole > 0, result within int64.

    The float estimate is off by at most a few units in its last place, so the remainder, computed
    in wrapping 64-bit arithmetic, is small and true; it corrects the estimate to the exact floor.
    """
    a, b, c = int(amount), int(part), int(whole)
    quotient = int(float(a) * float(b) / float(c))
    rest = a * b - quotient * c
    if rest < 0 or rest >= c:
        more = rest // c
        quotient += more
        rest -= more * c
    return quotient + 1 if rest >= c - rest else quotient
