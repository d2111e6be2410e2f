# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Candidates of all images of a batch decoded together: NumPy takes most of its time per call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ..values.candidates import Candidates
from ..values.detections import Detections
from .head import DecodeOptions
from .nms import batched_nms
from .postprocess import all_finite, filter_and_suppress, mask_wanted

__all__ = ['Rows', 'decode_images']

# The suppression treats more boxes of one image in another way.
_MOST = 1000
_ALL = slice(None)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """
    Candidates that a head has read.

    :param found: (n,) their indices among the predictions that it was given, ascending.
    :param boxes_xyxy: float32 (n, 4) in pixels of the network's input.
    :param scores: float32 (n,).
    :param class_ids: (n,).
    :param finite: (n,), mask of the candidates that come from finite values; None for all.
    :param are_scores: the scores are final, even if the network's values are logits.
    """

    found: npt.NDArray[np.intp]
    boxes_xyxy: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    class_ids: npt.NDArray[np.intp]
    finite: npt.NDArray[np.bool_] | None
    are_scores: bool = False

    def select(self, options: DecodeOptions, part: slice = _ALL) -> Detections:
        """
        Select the candidates of one image; see :func:`.postprocess.filter_and_suppress`.

        :param part: the rows of the image.
        """
        return filter_and_suppress(
            self.boxes_xyxy[part], self.scores[part], self.class_ids[part], options,
            suppress=True, finite=None if self.finite is None else self.finite[part],
            are_scores=self.are_scores,
        )  # fmt: skip


def decode_images(
    candidates: Sequence[Candidates],
    read: Callable[[npt.NDArray[Any], npt.NDArray[Any], DecodeOptions], Rows],
    options: DecodeOptions,
) -> list[Detections]:
    """
    Decode the candidates of the images of a batch, together if that is worth it.

    The result is that of each image alone.

    :param read: reads (n, values) with their (n,) indices of the predictions.
    """
    counts = [len(found.numbers) for found in candidates]
    if len(candidates) < 2 or sum(counts) > _MOST:
        return [read(found.values, found.numbers, options).select(options) for found in candidates]
    rows = read(
        np.concatenate([found.values for found in candidates]),
        np.concatenate([found.numbers for found in candidates]),
        options,
    )
    images = np.repeat(np.arange(len(candidates)), counts).take(rows.found)
    return _select_images(rows, images, len(candidates), options)


def _select_images(
    rows: Rows, images: npt.NDArray[np.intp], count: int, options: DecodeOptions
) -> list[Detections]:
    """
    Select the candidates of several images.

    :param rows: at most 1,000.
    :param images: (n,) number of the image of each candidate, ascending.
    :param count: number of images.
    """
    scores = rows.scores if rows.are_scores else options.to_scores(rows.scores)
    if options.raw.box_scale is not None or not _are_plain(rows, scores):
        return [rows.select(options, part) for part in _find_parts(images, count)]
    class_ids = options.map_classes(rows.class_ids)
    wanted = mask_wanted(scores, class_ids, options).nonzero()[0]
    boxes, scores = rows.boxes_xyxy.take(wanted, axis=0), scores.take(wanted)
    ids, images = class_ids.take(wanted).astype(np.int32), images.take(wanted)
    if options.iou_threshold < 1:
        kept = batched_nms(
            boxes, scores, ids, options.iou_threshold, len(ids), images=images,
            class_agnostic=options.class_agnostic,
        )  # fmt: skip
    else:
        kept = np.argsort(-scores, kind='stable')
    # By image, and highest score first as before.
    kept = kept.take(np.argsort(images.take(kept), kind='stable'))
    boxes, scores, ids = boxes.take(kept, axis=0), scores.take(kept), ids.take(kept)
    found = []
    for part in _find_parts(images.take(kept), count):
        best = slice(part.start, min(part.stop, part.start + options.max_detections))
        found.append(Detections(boxes[best], scores[best], ids[best]))
    return found


def _are_plain(rows: Rows, scores: npt.NDArray[np.float32]) -> bool:
    """Tell whether certainly every candidate is finite and has an area; nearly always so."""
    if not all_finite(rows.boxes_xyxy, scores, rows.class_ids, rows.finite):
        return False
    return bool((rows.boxes_xyxy[:, 2:] > rows.boxes_xyxy[:, :2]).all())


def _find_parts(images: npt.NDArray[np.intp], count: int) -> list[slice]:
    """Find the rows of each image."""
    ends = np.searchsorted(images, np.arange(count + 1)).tolist()
    return [slice(*part) for part in pairwise(ends)]
