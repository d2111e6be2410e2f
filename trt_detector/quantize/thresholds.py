# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Choice of the INT8 range of a tensor from the histogram of its magnitudes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .histogram import MagnitudeHistogram

__all__ = ['DEFAULT_PERCENTILE', 'METHODS', 'range_of']

METHODS = ('entropy', 'minmax', 'percentile')
# Objects are rare: few values among millions, and the largest ones, detect them.
DEFAULT_PERCENTILE = 99.9999

_ENTROPY_BINS = 2048
_LEVELS = 128
# Every eighth cut is tried, which finds the best one to 0.4 % of the range.
_CUT_STEP = 8

Floats = npt.NDArray[np.float64]


def range_of(
    histogram: MagnitudeHistogram, method: str, percentile: float = DEFAULT_PERCENTILE
) -> float:
    """
    Return the magnitude that INT8's 127 represents; 0 for a tensor that was always 0.

    'minmax' takes the largest value. 'percentile' clips the largest values. 'entropy' minimizes
    the Kullback-Leibler divergence between the distributions of float and quantized values (2048
    bins, 128 levels, as TensorRT's calibrator), but clips no more than 'percentile' does: the
    divergence alone clips the rare large values that detect an object.

    :param percentile: share of the values that stay in range, 0 to 100; 0 leaves the choice
        to the divergence.
    :raises ValueError: if the method is not among :data:`METHODS`.
    """
    if method not in METHODS:
        raise ValueError(f'method is {method!r}; expected one of {", ".join(METHODS)}')
    if histogram.largest == 0:
        return 0.0
    if method == 'minmax':
        return histogram.largest
    kept = _percentile_range(histogram, percentile)
    return kept if method == 'percentile' else max(kept, _entropy_range(histogram))


def _percentile_range(histogram: MagnitudeHistogram, percentile: float) -> float:
    """Return the upper edge of the bin that the percentile falls into."""
    reached = np.cumsum(histogram.counts)
    bin_number = int(np.searchsorted(reached, reached[-1] * (percentile / 100)))
    return min((bin_number + 1) * histogram.bin_width, histogram.largest)


def _entropy_range(histogram: MagnitudeHistogram) -> float:
    """Return the cut with the minimum divergence."""
    used = int(np.flatnonzero(histogram.counts)[-1]) + 1
    joined = max(1, -(-used // _ENTROPY_BINS))
    size = -(-used // joined)
    padded = np.zeros(size * joined, np.int64)
    padded[:used] = histogram.counts[:used]
    counts = padded.reshape(size, joined).sum(axis=1).astype(np.float64)
    # Exact zeros (rectifiers, padding) are represented by any scale: the first bin must not
    # drown the rest.
    counts[0] = counts[1] if size > 1 else counts[0]
    if size <= _LEVELS or not counts.any():
        return histogram.largest
    cuts = np.append(np.arange(_LEVELS, size, _CUT_STEP), size)
    divergences = [_divergence(counts, int(cut)) for cut in cuts]
    best = int(cuts[int(np.argmin(divergences))])
    return min(best * joined * histogram.bin_width, histogram.largest)


def _divergence(counts: Floats, cut: int) -> float:
    """Return the Kullback-Leibler divergence of 128 levels from the values cut at a bin."""
    inside = counts[:cut]
    total = counts.sum()
    if not inside.any():
        return float('inf')
    reference = inside.copy()
    reference[-1] += total - inside.sum()
    starts = np.arange(_LEVELS) * cut // _LEVELS
    filled = inside > 0
    sums = np.add.reduceat(inside, starts)
    bins = np.add.reduceat(filled.astype(np.float64), starts)
    means = np.divide(sums, bins, out=np.zeros(_LEVELS), where=bins > 0)
    levels = np.repeat(means, np.diff(np.append(starts, cut)))
    quantized = np.where(filled, levels, 0.0)
    # The cut-off values fall onto a last bin that quantization may leave empty.
    both = (reference > 0) & (quantized > 0)
    if both.sum() < (reference > 0).sum():
        quantized = np.where(reference > 0, np.maximum(quantized, 1e-9 * total), quantized)
        both = reference > 0
    p = reference[both] / reference.sum()
    q = quantized[both] / quantized.sum()
    return float(np.sum(p * np.log(p / q)))
