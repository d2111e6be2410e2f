# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
YOLOv8 without its decoding: box distributions and class scores of every stride.

Contract: the exports of Rockchip's fork of ultralytics (per stride box, class and an optional sum
of the class scores), graphs that are cut where Hailo's and other NPU compilers cut them, and the
maps that the head of ultralytics concatenates (Detect.forward_head). Checked with models of
ultralytics 8.4 in all three forms, against its own decoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ...values.detections import Detections
from ..feature_maps import CellMap, find_stride, has_logits, score_to_logit, sigmoid
from ..graph_info import GraphInfo
from ..head import DecodeOptions, Evidence, LayoutMatch
from ..postprocess import best_of_classes, filter_and_suppress, finite_rows

__all__ = ['SplitMap', 'YoloSplitHead', 'YoloSplitLayout']

# Bins of a distance in YOLOv8, v9, v10, 11 and 12.
_COMMON_BINS = 16


@dataclass(frozen=True, slots=True)
class SplitMap:
    """
    Predictions of one stride.

    :param cells: the grid.
    :param boxes: index of the output whose first 4 * bins channels are the box.
    :param scores: index of the output with the class scores.
    :param first: number of its channels before the class scores.
    :param bins: number of bins of a distance; 1 is a plain distance.
    """

    cells: CellMap
    boxes: int
    scores: int
    first: int
    bins: int


class YoloSplitHead:
    """
    Decoder for box maps [N, 4 * R, H, W] and class maps [N, C, H, W] of several strides.

    A box is the distances from the center of its cell to left, top, right and bottom in cells,
    each a distribution over R bins.

    :param maps: one per stride.
    :param num_classes: C.
    :param logits: the class maps are logits; None if unknown: then the sign of their values
        tells, because most of a picture is background.
    """

    layout = 'YOLO box and class maps per stride'

    def __init__(self, maps: Sequence[SplitMap], num_classes: int, *, logits: bool | None) -> None:
        self.num_classes: int | None = num_classes
        self._maps = tuple(sorted(maps, key=lambda one: one.cells.stride))
        self._count = num_classes
        self._logits = logits

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        logits = self._logits
        if options.raw.scores != 'auto':
            logits = options.raw.scores == 'logits'
        if logits is None:
            coarsest = self._maps[-1]
            logits = bool((outputs[coarsest.scores][:, coarsest.first :] < 0).any())
        return [
            self._decode_one([array[n] for array in outputs], options, logits)
            for n in range(len(outputs[self._maps[0].boxes]))
        ]

    def _decode_one(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions, logits: bool
    ) -> Detections:
        """
        Decode one image.

        :param outputs: (channels, H, W) each.
        """
        minimum = options.minimum_score
        threshold = score_to_logit(minimum) if logits else minimum
        boxes, values = [], []
        for one in self._maps:
            scores = outputs[one.scores].reshape(-1, one.cells.count)
            scores = scores[one.first : one.first + self._count]
            found, _ = best_of_classes(scores, threshold)
            raw = outputs[one.boxes].reshape(-1, one.cells.count)[: 4 * one.bins, found]
            boxes.append(_decode_boxes(raw.astype(np.float32, copy=False), one, found))
            values.append(scores[:, found].astype(np.float32, copy=False))
        corners, classes = np.concatenate(boxes), np.concatenate(values, axis=1)
        with np.errstate(invalid='ignore', over='ignore'):
            finite = finite_rows(classes, axis=0)
        best = classes.max(axis=0)
        return filter_and_suppress(
            corners,
            sigmoid(best) if logits else best,
            classes.argmax(axis=0),
            options,
            suppress=True,
            finite=finite,
            are_scores=True,
        )


def _decode_boxes(
    raw: npt.NDArray[np.float32], one: SplitMap, found: npt.NDArray[np.intp]
) -> npt.NDArray[np.float32]:
    """
    Decode the boxes of some cells.

    :param raw: (4 * bins, n).
    :param found: (n,) indices of the cells.
    :return: (n, 4) corners in input pixels.
    """
    bins = raw.reshape(4, one.bins, -1)
    if one.bins == 1:
        distances = bins[:, 0]
    else:
        with np.errstate(invalid='ignore', over='ignore'):
            shares = np.exp(bins - bins.max(axis=1, keepdims=True))
            weights = np.arange(one.bins, dtype=np.float32)
            distances = np.einsum('drn,r->dn', shares, weights) / shares.sum(axis=1)
    centers = one.cells.corners(found) + np.float32(0.5)
    stride = np.float32(one.cells.stride)
    near, far = centers - distances[:2].T, centers + distances[2:].T
    return np.concatenate((near, far), axis=1) * stride


class YoloSplitLayout:
    """Recognizes pairs of box and class maps (and their sum), or both in one map, per stride."""

    name = 'yolo_split'
    description = (
        'per stride a map [N, 4 * R, H, W] of box distances and a map [N, C, H, W] of class '
        'scores (and their sum [N, 1, H, W]), or both in one map'
    )
    preset = 'yolo'
    single_image = False
    normalized = False

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        levels = _group_by_stride(info)
        if len(levels) < 2:
            return None
        read = [_read_level(info, cells, outputs) for cells, outputs in levels.items()]
        maps = [one for one in read if one is not None]
        counts = {(info.outputs[m.scores].shape[1] or 0) - m.first for m in maps}
        bins = {one.bins for one in maps}
        if len(maps) < len(levels) or len(counts) != 1 or len(bins) != 1:
            return None
        [count], [bins_per_distance] = counts, bins
        fused = any(one.first for one in maps)
        evidence = Evidence.ANCHORS
        if bins_per_distance != _COMMON_BINS or (
            # Any number of channels above 64 could be read so.
            fused and not (info.num_names == count or info.is_common(count))
        ):
            evidence = Evidence.ON_REQUEST
        logits = has_logits(info, [one.scores for one in maps])
        return LayoutMatch(
            count,
            f'box distances of {bins_per_distance} bins and {count} class scores per cell',
            partial(YoloSplitHead, maps, count, logits=logits),
            evidence=evidence,
        )


def _group_by_stride(info: GraphInfo) -> dict[CellMap, list[int]]:
    """Group the outputs by their cells; empty if an output is no map."""
    levels: dict[CellMap, list[int]] = {}
    for index, output in enumerate(info.outputs):
        cells = find_stride(info, *output.shape[2:]) if len(output.shape) == 4 else None
        if cells is None or not output.shape[1]:
            return {}
        levels.setdefault(cells, []).append(index)
    return levels


def _read_level(info: GraphInfo, cells: CellMap, outputs: list[int]) -> SplitMap | None:
    """Read the outputs of one stride; None if they are no box and class scores."""
    channels = [info.outputs[index].shape[1] or 0 for index in outputs]
    common = 4 * _COMMON_BINS
    if len(outputs) == 1:
        if channels[0] <= common:
            return None
        return SplitMap(cells, outputs[0], outputs[0], common, _COMMON_BINS)
    if len(outputs) == 3 and channels[2] == 1:
        # The sum of the class scores tells nothing that they do not.
        outputs, channels = outputs[:2], channels[:2]
    if len(outputs) != 2:
        return None
    if (channels[1] == common) != (channels[0] == common):
        box = channels.index(common)
    elif channels[0] == common:
        # 64 classes: only a Sigmoid tells them from the boxes.
        plain = [n for n, index in enumerate(outputs) if has_logits(info, [index])]
        if len(plain) != 1:
            return None
        box = plain[0]
    else:
        # Boxes have a multiple of four channels, classes as many as there are names.
        classes = [n for n in (0, 1) if channels[n] % 4]
        classes = classes or [n for n in (0, 1) if channels[n] == info.num_names]
        box = 1 - classes[0] if len(classes) == 1 else 0
    if channels[box] % 4:
        return None
    return SplitMap(cells, outputs[box], outputs[1 - box], 0, channels[box] // 4)
