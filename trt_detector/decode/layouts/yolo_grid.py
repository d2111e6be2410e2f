# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
YOLOv3, v5 and v7 without their decoding: one grid of anchor boxes per stride.

Contract: YOLOv5 and YOLOv7 exported in training mode or for an NPU (Detect.forward without its
grid), and region outputs of Darknet's YOLOv3 as NVIDIA's sample yolov3_onnx writes them. Checked
with models of the package yolov5 7.0 and with YOLOv3 of Tianxiaomo/pytorch-YOLOv4, against their
own decoding.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ModelError
from ...values.detections import Detections
from ..feature_maps import CellMap, find_stride, has_logits, score_to_logit, sigmoid
from ..graph_info import GraphInfo
from ..head import DecodeOptions, Evidence, LayoutMatch
from ..postprocess import centers_to_corners, filter_and_suppress, finite_rows

__all__ = ['AnchorGrid', 'YoloGridHead', 'YoloGridLayout']

_Anchors = tuple[tuple[float, float], ...]

# Width and height in pixels for strides 8, 16, 32, of YOLOv3 and YOLOv5 on COCO. YOLOv4 and
# YOLOv7 have others, and so has every model whose anchors were fitted to its data set.
_DEFAULT_ANCHORS: _Anchors = (
    (10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119), (116, 90), (156, 198), (373, 326),
)  # fmt: skip
_DEFAULT_STRIDES = (8, 16, 32)
_DEFAULT_PER_CELL = 3


@dataclass(frozen=True, slots=True)
class AnchorGrid:
    """
    Predictions of one stride.

    :param output: index of the output.
    :param cells: the grid.
    :param per_cell: number of anchors.
    :param values: 5 + C.
    :param values_last: the output is [N, anchors, H, W, 5 + C], else [N, anchors * (5 + C), H, W].
    """

    output: int
    cells: CellMap
    per_cell: int
    values: int
    values_last: bool

    def objectness(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Get the objectness (n,) of all predictions, anchor by anchor."""
        return self._split(image)[..., 4].reshape(-1)

    def rows(
        self, image: npt.NDArray[Any], found: npt.NDArray[np.intp]
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Get values (n, 5 + C), index of the anchor and index of the cell of predictions."""
        anchors, cells = np.divmod(found, self.cells.count)
        return self._split(image)[anchors, cells], anchors, cells

    def _split(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """View an output without its batch dimension as (anchors, cells, 5 + C)."""
        if self.values_last:
            return image.reshape(self.per_cell, self.cells.count, self.values)
        return image.reshape(self.per_cell, self.values, self.cells.count).transpose(0, 2, 1)


class YoloGridHead:
    """
    Decoder for grids of anchor boxes: x, y, width, height, objectness, C class scores.

    :param grids: one per stride.
    :param anchors: width and height in pixels, those of the smallest stride first.
    :param exponential: sizes are exp(value) * anchor (Darknet), else (2 * score)^2 * anchor.
    :param logits: the values are logits; None if unknown: then the sign of the objectness tells,
        because most of a picture is background.
    :raises ModelError: if the number of anchors is not that of the grids.
    """

    def __init__(
        self,
        grids: Sequence[AnchorGrid],
        anchors: _Anchors,
        *,
        exponential: bool,
        logits: bool | None,
    ) -> None:
        self._grids = tuple(sorted(grids, key=lambda grid: grid.cells.stride))
        expected = sum(grid.per_cell for grid in self._grids)
        if len(anchors) != expected:
            given = f'anchors has {len(anchors)} pairs' if anchors else 'the anchors are unknown'
            raise ModelError(
                f'{given}; expected {expected} for the grids {self._describe()}: set anchors to '
                'width and height in pixels of every anchor, those of the smallest stride first'
            )
        self.num_classes: int | None = self._grids[0].values - 5
        self.layout = 'Darknet anchor grids' if exponential else 'YOLO anchor grids'
        sizes = np.array(anchors, np.float32)
        edges = np.cumsum([grid.per_cell for grid in self._grids])[:-1]
        self._anchors = np.split(sizes, edges)
        self._exponential = exponential
        self._logits = logits

    def decode(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions
    ) -> list[Detections]:
        """Decode a batch, see :class:`.head.Head`."""
        coarsest, logits = self._grids[-1], self._logits
        if options.raw.scores != 'auto':
            logits = options.raw.scores == 'logits'
        images = len(outputs[coarsest.output])
        if logits is None:
            scores = [coarsest.objectness(image) for image in outputs[coarsest.output]]
            logits = any(bool((values < 0).any()) for values in scores)
        return [
            self._decode_one([array[n] for array in outputs], options, logits)
            for n in range(images)
        ]

    def _decode_one(
        self, outputs: Sequence[npt.NDArray[Any]], options: DecodeOptions, logits: bool
    ) -> Detections:
        """Decode one image; outputs are without their batch dimension."""
        minimum = options.minimum_score
        threshold = score_to_logit(minimum) if logits else minimum
        boxes, values, inputs = [], [], []
        for grid, sizes in zip(self._grids, self._anchors, strict=True):
            image = outputs[grid.output]
            # No class score is above 1: the objectness alone rules most predictions out.
            found = np.flatnonzero(~(grid.objectness(image) < threshold))
            rows, anchors, cells = grid.rows(image, found)
            raw = rows.astype(np.float32, copy=False)
            scores = sigmoid(raw) if logits else raw
            with np.errstate(invalid='ignore', over='ignore'):
                boxes.append(self._decode_boxes(raw, scores, sizes[anchors], grid.cells, cells))
            values.append(scores)
            inputs.append(raw)
        rows = np.concatenate(values)
        with np.errstate(invalid='ignore', over='ignore'):
            # A sigmoid makes a score of infinity.
            finite = finite_rows(np.concatenate(inputs), axis=1)
            corners = centers_to_corners(np.concatenate(boxes))
            scores = rows[:, 4] * rows[:, 5:].max(axis=1)
        class_ids = rows[:, 5:].argmax(axis=1)
        return filter_and_suppress(
            corners, scores, class_ids, options, suppress=True, finite=finite, are_scores=True
        )

    def _decode_boxes(
        self,
        raw: npt.NDArray[np.float32],
        scores: npt.NDArray[np.float32],
        anchors: npt.NDArray[np.float32],
        cells: CellMap,
        indices: npt.NDArray[np.intp],
    ) -> npt.NDArray[np.float32]:
        """
        Decode center boxes of predictions.

        :param raw: (n, 5 + C) values of the network.
        :param scores: (n, 5 + C) after the sigmoid.
        :param anchors: (n, 2) in pixels.
        :param indices: (n,) of their cells.
        """
        if self._exponential:
            centers, sizes = scores[:, :2], np.exp(raw[:, 2:4])
        else:
            centers, sizes = scores[:, :2] * 2 - 0.5, (scores[:, 2:4] * 2) ** 2
        centers = (centers + cells.corners(indices)) * np.float32(cells.stride)
        return np.concatenate((centers, sizes * anchors), axis=1, dtype=np.float32)

    def _describe(self) -> str:
        """Describe the grids in one text."""
        cells = [grid.cells for grid in self._grids]
        return ', '.join(f'{one.columns}x{one.rows} (stride {one.stride})' for one in cells)


class YoloGridLayout:
    """
    Recognizes one output per stride; the parameter 'anchors' or the metadata tell the anchors.

    :param exponential: look for Darknet's sizes.
    """

    preset = 'yolo'
    single_image = False
    normalized = False

    def __init__(self, *, exponential: bool = False) -> None:
        self._exponential = exponential
        self.name = 'darknet_grid' if exponential else 'yolo_grid'
        author = 'Darknet (YOLOv3)' if exponential else 'YOLOv5 and YOLOv7'
        self.description = (
            f'grids of {author} per stride, [N, 3, H, W, 5 + C] or [N, 3 * (5 + C), H, W]: box '
            'relative to the anchors, objectness, C class scores'
        )

    def match(self, info: GraphInfo) -> LayoutMatch | None:
        """Match a graph, see :class:`.head.HeadLayout`."""
        if any(len(output.shape) not in (4, 5) for output in info.outputs):
            return None
        given = _read_anchors(info)
        grids = _read_grids(info, given)
        if len(grids) < 2:
            return None
        logits = has_logits(info, [grid.output for grid in grids])
        if self._exponential and logits is False:
            # Darknet's sizes never pass a Sigmoid.
            return None
        count = grids[0].values - 5
        likely = info.num_names == count or info.is_common(count) or grids[0].values_last
        evidence = Evidence.THREE_ANCHORS if likely else Evidence.POSSIBLE
        if self._exponential and (grids[0].values_last or 'stride' in info.metadata):
            # Ultralytics writes the stride, and nobody else five dimensions.
            evidence = Evidence.ON_REQUEST
        anchors = given or _DEFAULT_ANCHORS
        if not given and not _are_default(grids):
            anchors = ()
        sizes = 'exp(value)' if self._exponential else '(2 * score)^2'
        return LayoutMatch(
            count,
            f'anchors times {sizes}, objectness and {count} class scores',
            lambda: YoloGridHead(grids, anchors, exponential=self._exponential, logits=logits),
            evidence=evidence,
            warnings=() if given else (_ASSUMED,),
        )


_ASSUMED = (
    'the model does not tell its anchors: those of YOLOv5 and YOLOv3 on COCO are assumed '
    f'({", ".join(f"{w:g},{h:g}" for w, h in _DEFAULT_ANCHORS)}); YOLOv4, YOLOv7 and models with '
    'fitted anchors have others and get boxes of a wrong size: set anchors to those of the '
    'training'
)


def _are_default(grids: Sequence[AnchorGrid]) -> bool:
    """Tell whether the default anchors are those of such grids."""
    strides = tuple(sorted(grid.cells.stride for grid in grids))
    return strides == _DEFAULT_STRIDES and all(g.per_cell == _DEFAULT_PER_CELL for g in grids)


def _read_grids(info: GraphInfo, anchors: _Anchors) -> tuple[AnchorGrid, ...]:
    """Read all outputs as grids of different strides; empty if they are others."""
    per_cell = _DEFAULT_PER_CELL
    if anchors and len(anchors) % max(len(info.outputs), 1) == 0:
        per_cell = len(anchors) // len(info.outputs)
    grids = []
    for index, output in enumerate(info.outputs):
        grid = _read_grid(info, index, output.shape, per_cell)
        if grid is None:
            return ()
        grids.append(grid)
    strides = {grid.cells.stride for grid in grids}
    values = {(grid.values, grid.values_last) for grid in grids}
    return tuple(grids) if len(strides) == len(grids) and len(values) == 1 else ()


def _read_grid(
    info: GraphInfo, index: int, shape: tuple[int | None, ...], per_cell: int
) -> AnchorGrid | None:
    """Read one output as a grid; None if it is another."""
    if len(shape) == 5 and shape[1] and (shape[4] or 0) > 5:
        cells = find_stride(info, *shape[2:4])
        return None if cells is None else AnchorGrid(index, cells, shape[1], shape[4] or 0, True)
    if len(shape) == 4 and shape[1] and shape[1] % per_cell == 0 and shape[1] // per_cell > 5:
        cells = find_stride(info, *shape[2:4])
        values = shape[1] // per_cell
        return None if cells is None else AnchorGrid(index, cells, per_cell, values, False)
    return None


def _read_anchors(info: GraphInfo) -> _Anchors:
    """
    Read the anchors of the metadata, where the parameter 'anchors' stands, too.

    :raises ModelError: if they are no pairs of positive numbers.
    """
    text = info.metadata.get('anchors')
    if not text:
        return ()
    try:
        numbers = [float(value) for value in _flatten(ast.literal_eval(text))]
    except (ValueError, SyntaxError, TypeError):
        numbers = [math.nan]
    if not numbers or len(numbers) % 2 or not all(0 < v < math.inf for v in numbers):
        raise ModelError(
            f'anchors is {text[:80]!r}; expected width and height in pixels of every anchor, '
            'those of the smallest stride first'
        )
    return tuple(itertools.pairwise(numbers))[::2]


def _flatten(value: Any) -> Iterator[Any]:
    """Yield the numbers in nested lists."""
    if isinstance(value, list | tuple):
        for one in value:
            yield from _flatten(one)
    else:
        yield value
