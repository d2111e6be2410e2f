# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Histograms of magnitudes, and the ranges that are chosen from them."""

from __future__ import annotations

import math

from hypothesis import example, given, settings, strategies
import numpy as np
import pytest
from trt_detector.errors import CalibrationCacheError, EngineError
from trt_detector.quantize.calibration import CalibrationMethod, make_cache
from trt_detector.quantize.histogram import BINS, MagnitudeHistogram
from trt_detector.quantize.thresholds import METHODS, range_of


def counted(*pieces: np.ndarray) -> MagnitudeHistogram:
    """Return the histogram of some arrays, given one after the other."""
    histogram = MagnitudeHistogram()
    for piece in pieces:
        histogram.add(np.asarray(piece, np.float32))
    return histogram


def activations(count: int = 200_000, seed: int = 0) -> np.ndarray:
    """Return what a layer's values look like: many small ones, of both signs."""
    return np.random.default_rng(seed).laplace(0.0, 1.0, count).astype(np.float32)


@given(
    strategies.lists(
        strategies.lists(
            strategies.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20
        ),
        min_size=1,
        max_size=6,
    )
)
@example(pieces=[[6.763017273967034e-38]])
@settings(max_examples=150, deadline=None)
def test_counts_do_not_depend_on_order_or_division(pieces: list[list[float]]) -> None:
    arrays = [np.array(piece, np.float32) for piece in pieces]
    forwards, backwards = counted(*arrays), counted(*reversed(arrays))
    at_once = counted(np.concatenate(arrays))
    for other in (backwards, at_once):
        assert np.array_equal(forwards.counts, other.counts)
        assert (forwards.largest, forwards.bin_width) == (other.largest, other.bin_width)
    assert forwards.counts.sum() == sum(map(len, arrays))
    assert forwards.counts.shape == (BINS,)


def test_values_lie_in_their_bins() -> None:
    values = activations(5000)
    histogram = counted(values[:100], values[100:])
    expected, _ = np.histogram(np.abs(values), bins=BINS, range=(0.0, histogram.bin_width * BINS))
    assert np.array_equal(histogram.counts, expected)
    assert histogram.largest == np.abs(values).max()


def test_a_range_that_grows_beyond_every_bin() -> None:
    histogram = counted([1e-30, 2e-30], [0.0], [3e30])
    assert histogram.counts[0] == 3
    assert histogram.counts.sum() == 4
    assert histogram.largest == np.float32(3e30)


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(EngineError, match='1 of 3 values'):
        counted([1.0, bad, 2.0])


def test_min_max_is_the_largest_magnitude() -> None:
    assert range_of(counted([1.0, -7.5], [3.0]), 'minmax') == 7.5


@pytest.mark.parametrize('percentile', [50.0, 90.0, 99.9])
def test_percentile_is_that_of_numpy(percentile: float) -> None:
    values = activations()
    histogram = counted(values)
    expected = np.percentile(np.abs(values), percentile)
    assert range_of(histogram, 'percentile', percentile) == pytest.approx(
        expected, abs=2 * histogram.bin_width
    )


def test_entropy_alone_cuts_a_rare_large_value() -> None:
    values = np.append(activations(), [400.0])
    assert range_of(counted(values), 'entropy', 0.0) < 40
    # It is one in 200,000: a percentile above that keeps it.
    assert range_of(counted(values), 'entropy', 99.9999) == pytest.approx(400, rel=0.01)


def test_entropy_cuts_nothing_that_is_spread_evenly() -> None:
    values = np.random.default_rng(3).uniform(-5, 5, 300_000)
    assert range_of(counted(values), 'entropy', 0.0) == pytest.approx(5.0, rel=0.02)


def test_entropy_is_near_the_minimum_error_of_a_normal_distribution() -> None:
    # The best range of 8 bits for a normal distribution is about 4 standard deviations.
    values = np.random.default_rng(4).normal(0.0, 1.0, 1_000_000)
    assert 2.5 < range_of(counted(values), 'entropy', 0.0) < 5.0


@pytest.mark.parametrize('method', METHODS)
def test_zeros_have_no_range(method: str) -> None:
    assert range_of(counted([0.0, -0.0]), method) == 0.0


@pytest.mark.parametrize('method', METHODS)
def test_a_single_value_is_its_own_range(method: str) -> None:
    assert range_of(counted([0.3] * 10), method) == pytest.approx(0.3, rel=1e-3)


def test_the_cache_holds_ranges_in_order_under_the_wanted_header() -> None:
    histograms = {'b:0': counted([1.27]), 'a': counted([0.0]), 'never run': MagnitudeHistogram()}
    cache = make_cache(histograms, CalibrationMethod('minmax'), '8.6.1')
    assert cache.header == 'TRT-8601-MinMaxCalibration'
    assert list(cache.scales) == ['b:0', 'a']
    assert cache.scales['b:0'] == pytest.approx(0.01)
    assert cache.scales['a'] == 0.0


@pytest.mark.parametrize(
    ('name', 'percentile', 'message'),
    [
        ('kl', 99.0, "method is 'kl'"),
        ('percentile', 0.0, 'percentile is 0.0; expected 50 to 100'),
        ('entropy', 100.5, 'percentile is 100.5; expected 0 to 100'),
        ('entropy', math.nan, 'percentile is nan'),
    ],
)
def test_methods_that_do_not_exist_are_refused(name: str, percentile: float, message: str) -> None:
    with pytest.raises(CalibrationCacheError, match=message):
        CalibrationMethod(name, percentile)
