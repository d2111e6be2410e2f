# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Histogram of the magnitudes of an activation, in memory of a fixed size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import EngineError

__all__ = ['BINS', 'MagnitudeHistogram']

BINS = 8192
# Values per piece: the work arrays of one piece stay in the CPU's cache.
_PIECE = 1 << 16


class MagnitudeHistogram:
    """
    Histogram of the magnitudes of a tensor's values.

    The bins reach from 0 to a power of two above every value so far. When a larger value arrives,
    neighboring bins are merged until it fits. Bin edges are binary fractions, so the counts do not
    depend on the order of the values or on their division among calls.
    """

    def __init__(self) -> None:
        self.counts = np.zeros(BINS, np.int64)
        self.largest = 0.0
        self._exponent: int | None = None

    @property
    def bin_width(self) -> float:
        """Return the width of one bin; 0 before any value other than 0."""
        return 0.0 if self._exponent is None else math.ldexp(1.0, self._exponent) / BINS

    def add(self, values: npt.NDArray[Any]) -> None:
        """
        Count values.

        :param values: floats of any shape.
        :raises EngineError: if one is NaN or infinite.
        """
        flat = values.reshape(-1)
        if not flat.size:
            return
        largest = max(abs(float(flat.max())), abs(float(flat.min())))
        if not math.isfinite(largest):
            raise EngineError(
                f'{int((~np.isfinite(flat)).sum())} of {flat.size} values are NaN or infinite; '
                'expected finite ones: look for pictures or weights that are damaged'
            )
        if largest > 0:
            self._grow(math.frexp(largest)[1])
        self.largest = max(self.largest, largest)
        if self._exponent is None:
            self.counts[0] += flat.size
            return
        # float64: in float32 the factor of a tiny tensor overflows, and the product of a denormal
        # could round up into the next bin.
        per_unit = BINS / math.ldexp(1.0, self._exponent)
        for start in range(0, flat.size, _PIECE):
            magnitudes = np.abs(flat[start : start + _PIECE])
            piece = np.multiply(magnitudes, per_unit, dtype=np.float64)
            self.counts += np.bincount(piece.astype(np.intp), minlength=BINS)

    def _grow(self, exponent: int) -> None:
        """Extend the bins to 2**exponent."""
        if self._exponent is None:
            # Only zeros were counted so far; they stay in the first bin.
            self._exponent = exponent
            return
        while self._exponent < exponent:
            joined = self.counts.reshape(-1, 2).sum(axis=1)
            if self._exponent < exponent - BINS.bit_length():
                # Everything so far is in the first bin from here on.
                joined = np.zeros(BINS // 2, np.int64)
                joined[0] = self.counts.sum()
                self._exponent = exponent - 1
            self.counts = np.concatenate((joined, np.zeros(BINS // 2, np.int64)))
            self._exponent += 1
