"""exp for kernels, as the compiler can turn it into vector instructions."""

from __future__ import annotations

import math

import numba
import numpy as np
from numba import extending

# exp in float32: argument range, 1.5 * 2^23 (adding it rounds to an integer, left in the low bits), log2(e), ln(2) in
# two parts.
_LOWEST, _HIGHEST, _ROUND = np.float32(-87.3), np.float32(88.3), np.float32(12582912.0)
_LOG2E, _LN2_HIGH, _LN2_LOW = np.float32(1.44269504), np.float32(0.693359375), np.float32(-2.12194440e-4)
_P0, _P1, _P2 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
_P3, _P4, _P5 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
_ONE, _BIAS, _MANTISSA = np.float32(1.0), np.int32(127), np.int32(23)


def exp(x):
    """exp of a float32, to 2 ulp, between -87.3 and 88.3, at whose ends it stays; of a float64 that of the library."""
    return math.exp(x)


@extending.overload(exp, jit_options={"fastmath": {"contract"}})
def _exp_by_type(x):
    # The library's function is a call per value; this polynomial (Cephes expf, 2 ulp) becomes vector instructions.
    if x == numba.float32:

        def single(x):
            x = _LOWEST if x < _LOWEST else x
            x = _HIGHEST if x > _HIGHEST else x
            shifted = x * _LOG2E + _ROUND
            k = shifted - _ROUND
            r = x - k * _LN2_HIGH - k * _LN2_LOW
            p = ((((_P0 * r + _P1) * r + _P2) * r + _P3) * r + _P4) * r + _P5
            power = (np.float32(shifted).view(np.int32) + _BIAS) << _MANTISSA
            return (p * r * r + r + _ONE) * np.int32(power).view(np.float32)

        return single
    return lambda x: math.exp(x)
