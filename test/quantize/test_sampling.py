# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Which frames of an input are calibrated with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from trt_detector.errors import ImageError
from trt_detector.image.image import Image
from trt_detector.quantize.sampling import FrameSampler, SourceFrame


def picture(seed: int) -> Image:
    """Return a picture unlike that of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.from_array(np.kron(coarse, np.ones((8, 8, 1), np.uint8)))


def frames(seeds: Sequence[int | None]) -> Iterator[SourceFrame]:
    """Yield a frame a seed; None is one that cannot be read."""

    def load(seed: int | None) -> Image:
        if seed is None:
            raise ImageError('damaged')
        return picture(seed)

    for number, seed in enumerate(seeds):
        yield SourceFrame(number, f'frame {number}', lambda seed=seed: load(seed))


def numbers(sampler: FrameSampler, seeds: Sequence[int | None]) -> list[int]:
    """Return the places of the frames that are taken."""
    return [frame.number for frame, _ in sampler.sample(frames(seeds))]


@pytest.mark.parametrize(('wanted', 'total'), [(1, 10), (3, 10), (7, 100), (10, 10), (20, 5)])
def test_frames_are_spread_over_the_input(wanted: int, total: int) -> None:
    taken = numbers(FrameSampler(wanted, total), range(total))
    assert len(taken) == min(wanted, total)
    gaps = np.diff([*taken, total])
    assert gaps.max() <= np.ceil(total / wanted) + 1


def test_the_next_frames_stand_in_for_duplicates() -> None:
    # A camera that stood still for the first half of the recording.
    seeds = [0] * 50 + list(range(1, 51))
    sampler = FrameSampler(20, 100)
    taken = numbers(sampler, seeds)
    assert len(taken) == 20
    assert sum(number < 50 for number in taken) == 1
    assert sampler.coverage.duplicates > 20


def test_almost_equal_frames_are_duplicates_unless_all_are_wanted() -> None:
    base = picture(1)
    noisy = Image.from_array(np.clip(base.to_bgr().astype(int) + 1, 0, 255).astype(np.uint8))
    pair = [SourceFrame(0, 'a', lambda: base), SourceFrame(1, 'b', lambda: noisy)]
    assert len(list(FrameSampler(2, 2).sample(pair))) == 1
    assert len(list(FrameSampler(2, 2, min_difference=0).sample(pair))) == 2


def test_unreadable_frames_are_reported_and_counted() -> None:
    errors: list[ImageError] = []
    sampler = FrameSampler(4, 4, on_unreadable=errors.append)
    assert numbers(sampler, [0, None, 2, 3]) == [0, 2, 3]
    assert sampler.coverage.unreadable == len(errors) == 1


def test_an_input_without_an_end_is_taken_from_its_start() -> None:
    sampler = FrameSampler(3, None)
    assert numbers(sampler, range(100)) == [0, 1, 2]


def test_coverage_reports_the_parts_of_the_input() -> None:
    sampler = FrameSampler(5, 100)
    numbers(sampler, [0] * 90 + list(range(1, 11)))
    coverage = sampler.coverage
    assert (coverage.used, coverage.available) == (5, 100)
    # The first tenth, and the last, where something moves.
    assert coverage.tenths == 2


def test_the_hash_is_that_of_the_pixels_in_order() -> None:
    def sha256(seeds: Sequence[int]) -> str:
        sampler = FrameSampler(len(seeds), len(seeds))
        numbers(sampler, seeds)
        return sampler.coverage.sha256

    assert sha256([1, 2]) == sha256([1, 2])
    assert len({sha256(seeds) for seeds in ([1, 2], [2, 1], [1], [1, 3])}) == 4
