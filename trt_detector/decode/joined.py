# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Candidates of all images of a batch decoded together: NumPy takes most of its time per call."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ..values.candidates import Candidates
from ..values.detections import Detections
from .head import DecodeOptions
from .nms import batched_nms
from .postprocess import all_finite, filter_and_suppress, mask_wanted

__all__ = ['filter_images', 'join_candidates']

# The suppression treats more boxes of one image in another way.
_MOST = 1000

_Array = npt.NDArray[Any]


def join_candidates(
    candidates: Sequence[Candidates],
) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp]] | None:
    """
    Join the candidates of the images of a batch, unless that gains nothing.

    :return: (n, values), and (n,) the image of each; None if there is one image, or so many
        candidates that :func:`filter_images` would part them.
    """
    counts = [len(found.numbers) for found in candidates]
    if len(candidates) < 2 or sum(counts) > _MOST:
        return None
    values = np.concatenate([found.values for found in candidates])
    return values, np.repeat(np.arange(len(candidates)), counts)


def filter_images(
    boxes_xyxy: _Array,
    scores: _Array,
    class_ids: npt.NDArray[np.intp],
    images: npt.NDArray[np.intp],
    count: int,
    options: DecodeOptions,
    *,
    finite: npt.NDArray[np.bool_] | None,
) -> list[Detections]:
    """
    Select the candidates of several images; see :func:`.postprocess.filter_and_suppress`.

    The result is that of each image alone.

    :param boxes_xyxy: (n, 4) in pixels of the network's input, of at most 1,000 candidates.
    :param scores: (n,) float32.
    :param class_ids: (n,).
    :param images: (n,) number of the image of each candidate, ascending.
    :param count: number of images.
    :param finite: (n,), mask of the candidates that come from finite values; None for all.
    """
    own_scores = options.to_scores(scores)
    scaled = options.raw.box_scale is not None
    if scaled or finite is not None or not _all_plain(boxes_xyxy, own_scores, class_ids):
        return [
            filter_and_suppress(
                boxes_xyxy[part], scores[part], class_ids[part], options, suppress=True,
                finite=None if finite is None else finite[part],
            )
            for part in _find_parts(images, count)
        ]  # fmt: skip
    class_ids = options.map_classes(class_ids)
    wanted = mask_wanted(own_scores, class_ids, options).nonzero()[0]
    boxes, own_scores = boxes_xyxy.take(wanted, axis=0), own_scores.take(wanted)
    ids, images = class_ids.take(wanted).astype(np.int32), images.take(wanted)
    if options.iou_threshold < 1:
        kept = batched_nms(
            boxes, own_scores, ids, options.iou_threshold, len(ids), images=images,
            class_agnostic=options.class_agnostic,
        )  # fmt: skip
    else:
        kept = np.argsort(-own_scores, kind='stable')
    # By image, and highest score first as before.
    kept = kept.take(np.argsort(images.take(kept), kind='stable'))
    boxes, own_scores, ids = boxes.take(kept, axis=0), own_scores.take(kept), ids.take(kept)
    found = []
    for part in _find_parts(images.take(kept), count):
        rows = slice(part.start, min(part.stop, part.start + options.max_detections))
        found.append(Detections(boxes[rows], own_scores[rows], ids[rows]))
    return found


def _all_plain(boxes_xyxy: _Array, scores: _Array, class_ids: npt.NDArray[np.intp]) -> bool:
    """Tell whether certainly every candidate is finite and has an area; nearly always so."""
    if not all_finite(boxes_xyxy, scores, class_ids, None):
        return False
    return bool((boxes_xyxy[:, 2:] > boxes_xyxy[:, :2]).all())


def _find_parts(images: npt.NDArray[np.intp], count: int) -> list[slice]:
    """Find the rows of each image."""
    ends = np.searchsorted(images, np.arange(count + 1)).tolist()
    return [slice(*part) for part in pairwise(ends)]
