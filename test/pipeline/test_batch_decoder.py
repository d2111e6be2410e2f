# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Detections of a batch in pixels of its images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from doubles.no_check import NoCheck
import numpy as np
import numpy.typing as npt
import pytest
from trt_detector.decode import DecodeOptions
from trt_detector.pipeline.batch_decoder import BatchDecoder
from trt_detector.preprocess import Letterbox, PreprocessSpec
from trt_detector.values.detections import Detections

INPUT = (64, 96)


class GivenHead:
    """
    Head that decodes what it is given.

    :param found: detections of each image in pixels of the input.
    """

    layout = 'given'
    num_classes = 3

    def __init__(self, found: list[Detections]) -> None:
        self.found = found

    def decode(
        self, _outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Return the detections."""
        return [one.first(options.max_detections) for one in self.found]


def fit(width: int, height: int) -> Letterbox:
    """Return the geometry of an image."""
    return Letterbox.fit((width, height), INPUT[::-1], PreprocessSpec())


def detections(boxes: list[tuple[float, ...]], top_score: float = 0.9) -> Detections:
    """Return detections in boxes, the first with the top score."""
    count = len(boxes)
    scores = np.array([top_score, *np.linspace(0.8, 0.3, max(count - 1, 0))][:count], np.float32)
    return Detections(
        np.array(boxes, np.float32).reshape(count, 4), scores,
        np.arange(count, dtype=np.int32) % 3, invalid=count, degenerate=7,
    )  # fmt: skip


def map_box(box: tuple[float, ...], letterbox: Letterbox) -> list[float]:
    """Map a box to the image, one coordinate after the other."""
    mapped = []
    for index, value in enumerate(box):
        axis = index % 2
        padding = (letterbox.left, letterbox.top)[axis]
        gain = letterbox.resized_size[axis] / letterbox.source_size[axis]
        mapped.append(min(max((value - padding) / gain, 0), letterbox.source_size[axis]))
    return mapped


BOXES = [
    [(10.0, 20.0, 30.0, 40.0), (0.0, 0.0, 96.0, 64.0)],
    [],
    [(50.5, 12.25, 70.0, 50.0)],
    [(1.0, 15.0, 9.0, 33.0), (2.0, 16.0, 10.0, 34.0), (80.0, 30.0, 95.0, 40.0)],
]


@pytest.mark.parametrize(
    'sizes', [[(192, 64)] * 4, [(192, 64), (96, 64), (100, 100), (192, 64)], [(96, 64)] * 4]
)
def test_boxes_are_mapped_to_each_image(sizes: list[tuple[int, int]]) -> None:
    letterboxes = [fit(*size) for size in sizes]
    given = [detections(boxes) for boxes in BOXES]
    decoder = BatchDecoder(GivenHead(given), None, INPUT, NoCheck())
    found = decoder.decode([], None, letterboxes, DecodeOptions())
    for one, boxes, before, letterbox in zip(found, BOXES, given, letterboxes, strict=True):
        wanted = [map_box(box, letterbox) for box in boxes]
        np.testing.assert_allclose(
            one.boxes_xyxy, np.array(wanted).reshape(-1, 4), rtol=1e-6, atol=1e-4
        )
        np.testing.assert_array_equal(one.scores, before.scores)
        np.testing.assert_array_equal(one.class_ids, before.class_ids)
        assert (one.invalid, one.degenerate) == (len(boxes), 7)


def test_boxes_in_the_padding_are_left_out() -> None:
    # The picture is 96x32, with 16 rows of padding above and below.
    letterboxes = [fit(192, 64)] * 2
    given = [detections([(10, 20, 30, 40), (5, 1, 20, 15), (5, 30, 20, 47)]), detections(BOXES[2])]
    decoder = BatchDecoder(GivenHead(given), None, INPUT, NoCheck())
    found = decoder.decode([], None, letterboxes, DecodeOptions())
    assert [one.class_ids.tolist() for one in found] == [[0, 2], [0]]
    np.testing.assert_array_equal(found[0].scores, given[0].scores[[0, 2]])


def test_scores_above_one_are_limited() -> None:
    given = [detections(BOXES[0], 1.03), detections(BOXES[2])]
    decoder = BatchDecoder(GivenHead(given), None, INPUT, NoCheck())
    for letterboxes in ([fit(96, 64)] * 2, [fit(96, 64), fit(60, 60)]):
        found = decoder.decode([], None, letterboxes, DecodeOptions())
        assert found[0].scores[0] == 1
        assert found[0].scores[1] == np.float32(0.8)
    assert given[0].scores[0] == np.float32(1.03)
