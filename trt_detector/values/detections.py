# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Detections of one image."""

from __future__ import annotations

from dataclasses import dataclass, replace
import math

import numpy as np
import numpy.typing as npt

__all__ = ['Detections']


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """
    Parallel arrays, one row per detection, highest score first.

    A head gives boxes in pixels of the network's input, :class:`trt_detector.pipeline.Detector`
    in pixels of the original image.

    :param boxes_xyxy: float32 (n, 4), left, top, right, bottom in pixels.
    :param scores: float32 (n,), 0 to 1, descending.
    :param class_ids: int32 (n,), index of the class.
    :param invalid: number of non-finite candidates, which are not among the rows.
    :param degenerate: number of candidates without area, which are not among the rows.
    :param class_error: largest distance of a class value in the network's output from a whole
        number, 0 if the network writes no such values.
    :param angles: float32 (n,), rotation of each box about its center in radians, positive from
        the x axis (right) to the y axis (down); None for upright boxes. boxes_xyxy are the boxes
        before the rotation then.
    :param track_ids: int64 (n,), number of the track of each detection, 0 without one; None if no
        tracker is on.
    :raises ValueError: if the shapes of the arrays do not match.
    """

    boxes_xyxy: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    class_ids: npt.NDArray[np.int32]
    invalid: int = 0
    degenerate: int = 0
    class_error: float = 0.0
    angles: npt.NDArray[np.float32] | None = None
    track_ids: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        count = len(self.scores)
        shapes = (self.boxes_xyxy.shape, self.scores.shape, self.class_ids.shape)
        if shapes != ((count, 4), (count,), (count,)):
            raise ValueError(
                f'boxes_xyxy, scores, class_ids have shapes {shapes}; expected (n, 4), (n,), (n,)'
            )
        for name, values in (('angles', self.angles), ('track_ids', self.track_ids)):
            if values is not None and values.shape != (count,):
                raise ValueError(f'{name} have the shape {values.shape}; expected ({count},)')

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls) -> Detections:
        """Make the result of an image without detections."""
        return cls(
            boxes_xyxy=np.empty((0, 4), np.float32),
            scores=np.empty(0, np.float32),
            class_ids=np.empty(0, np.int32),
        )

    def select(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Detections:
        """
        Select rows.

        :param rows: indices in the wanted order, or a mask of length n.
        """
        return replace(
            self,
            boxes_xyxy=self.boxes_xyxy[rows],
            scores=self.scores[rows],
            class_ids=self.class_ids[rows],
            angles=None if self.angles is None else self.angles[rows],
            track_ids=None if self.track_ids is None else self.track_ids[rows],
        )

    def find_corners(self, row: int) -> list[tuple[float, float]]:
        """Find the corners of a box, turned by its angle, clockwise from the upper left."""
        left, top, right, bottom = self.boxes_xyxy[row].tolist()
        angle = 0.0 if self.angles is None else float(self.angles[row])
        if not angle:
            return [(left, top), (right, top), (right, bottom), (left, bottom)]
        x, y, cos, sin = (left + right) / 2, (top + bottom) / 2, math.cos(angle), math.sin(angle)
        half_w, half_h = (right - left) / 2, (bottom - top) / 2
        return [
            (x + u * half_w * cos - v * half_h * sin, y + u * half_w * sin + v * half_h * cos)
            for u, v in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]

    def first(self, limit: int) -> Detections:
        """Select the rows with the highest scores, limit of them at most."""
        return self if len(self) <= limit else self.select(np.arange(limit))
