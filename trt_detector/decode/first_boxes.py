# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Signs in the boxes of several images that a layout reads them wrongly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..values.detections import Detections
from .doubts import Doubt, HELP
from .overlap import intersection_over_union

__all__ = ['FirstBoxes', 'count_duplicates']

_ENOUGH = 30
# Part of the input's size that a box may reach beyond its edges.
_MARGIN = 0.1
# Part of the boxes that tells if right ones hardly ever do so.
_SOME = 0.2
# Intersection over union of two boxes of one object; any suppression removes one of them.
_SAME_PLACE = 0.8


class FirstBoxes:
    """
    Counts of the first boxes that are found.

    :param layout: name of the layout, for messages.
    :param suppresses: the head suppresses duplicates itself.
    """

    def __init__(self, layout: str, *, suppresses: bool) -> None:
        self._layout = layout
        self._suppresses = suppresses
        self._seen = self._outside = self._duplicates = self._degenerate = 0
        # Boxes that reach beyond the short side of the input, and the largest corner of all
        # along its long side.
        self._beyond_short = 0
        self._largest_long = 0.0

    def add(self, detections: Detections, input_size: tuple[int, int]) -> Iterator[Doubt]:
        """
        Count the boxes of an image; judge all once they are enough, and none afterwards.

        :param input_size: (height, width) in pixels.
        """
        if self._seen >= _ENOUGH:
            return
        self._count(detections, input_size)
        if self._seen < _ENOUGH:
            return
        size = f'{input_size[1]}x{input_size[0]}'
        if 2 * self._outside > self._seen:
            yield Doubt(
                'outside',
                f'{self._outside} of the first {self._seen} boxes reach far beyond the input of '
                f'{size} pixels: corners may be read as center and size; {HELP}',
                certain=False,
            )
        elif self._beyond_short > _SOME * self._seen and self._largest_long <= min(input_size):
            yield Doubt(
                'exchanged',
                f'{self._beyond_short} of the first {self._seen} boxes reach beyond the short '
                f'side of {size} pixels, and none as far along the long side: x and y may be '
                'exchanged: export boxes that begin with x',
                certain=False,
            )
        if self._degenerate > _SOME * (self._seen + self._degenerate):
            yield Doubt(
                'degenerate',
                f'{self._degenerate} of the first {self._seen + self._degenerate} candidates have '
                'no area (x2 <= x1 or y2 <= y1): center and size may be read as corners; the '
                f'others are wrong then: {HELP}',
                certain=False,
            )
        if 2 * self._duplicates > self._seen:
            yield Doubt(
                'duplicates',
                f'{self._duplicates} of the first {self._seen} boxes lie where a better one of '
                'their class does: the model does not suppress duplicates, as head '
                f'{self._layout} expects: set head to deepstream if its output is [N, M, 6], else '
                'export it with its suppression (NMS)',
                certain=False,
            )

    def _count(self, detections: Detections, input_size: tuple[int, int]) -> None:
        """Count the boxes of an image."""
        boxes = detections.boxes_xyxy
        size = np.array((input_size[1], input_size[0]))
        beyond = boxes[:, 2:] > (1 + _MARGIN) * size
        outside = ((boxes[:, :2] < -_MARGIN * size) | beyond).any(axis=1)
        short = int(size.argmin())
        self._seen += len(boxes)
        self._outside += int(np.count_nonzero(outside))
        self._degenerate += detections.degenerate
        if size[0] != size[1] and len(boxes):
            self._beyond_short += int(np.count_nonzero(beyond[:, short]))
            self._largest_long = max(self._largest_long, float(boxes[:, 3 - short].max()))
        if not self._suppresses:
            self._duplicates += count_duplicates(detections.first(_ENOUGH))


def count_duplicates(detections: Detections) -> int:
    """Count the boxes that have nearly the place of a better one of their class."""
    edges, class_ids = detections.boxes_xyxy.T, detections.class_ids
    if len(detections) < 2 or detections.angles is not None:
        return 0
    same = intersection_over_union(edges[:, :, None], edges) > _SAME_PLACE
    same &= class_ids[:, None] == class_ids
    return int(np.count_nonzero(np.tril(same, -1).any(axis=1)))
