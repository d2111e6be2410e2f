# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Checks that decoded values can be detections at all: a wrong head must not go unnoticed."""

from __future__ import annotations

from dataclasses import replace
import logging
import math

import numpy as np
import numpy.typing as npt

from ..errors import DecodeError
from ..values.detections import Detections
from .head import DecodeOptions

__all__ = ['SanityCheck']

_LOG = logging.getLogger(__name__)

# Rounding to half precision; quantized scores may exceed 1 by about 3 percent.
_SCORE_TOLERANCE = 0.002
_QUANTIZED_SCORE_TOLERANCE = 0.05
_CLASS_TOLERANCE = 0.1
# In pixels: the largest coordinate of normalized boxes, and the largest side of a tiny one.
_UNIT = 1.5
_TINY = 1.0
# Number of batches of live images of which every prediction is checked.
_LIVE_PROBES = 3
_NO_LIMIT = 1 << 30
# Number of boxes that are compared with the edges of the input, and the part of its size that a
# box may reach beyond them.
_BOXES_TO_SEE = 30
_MARGIN = 0.1
# From this number of predictions on, most are background, and those of anchors are spread over the
# whole input.
_MANY_PREDICTIONS = 50
# More than half of the predictions have a lower score than the first, some than the second.
_BACKGROUND = 0.2
_NO_BACKGROUND = 0.5
_SIGMOID_OF_ONE = 0.7311
# Part of the input that holds the centers of all predictions only if they are misread.
_CORNER = 0.25

_TWICE = 'a Sigmoid may be applied twice (set scores to probabilities, or export without one)'
_HEAD = 'set head to the layout of the model (docs/models.md, "My boxes are wrong")'


class SanityCheck:
    """
    Check of what one head decodes, from the first batch on.

    A reading that is certainly wrong raises DecodeError for every image that shows it. What may
    be right is a warning, which is logged once. After the first plausible boxes, only the highest
    score and the class values of an image are checked.

    :param layout: name of the layout, for messages.
    :param num_names: number of class names that the user or the model gives, None for none.
    :param boxes_given: the user has told the unit of the boxes.
    :param quantized: the network may be INT8, so scores are rounded coarsely.
    :param queries: the network predicts a box per query, of which all may be objects.
    :param dense: there is a prediction per anchor, so predictions are spread over the input.
    """

    def __init__(
        self,
        layout: str,
        num_names: int | None,
        *,
        boxes_given: bool = False,
        quantized: bool = False,
        queries: bool = False,
        dense: bool = False,
    ) -> None:
        self._layout = layout
        self._queries = queries
        self._dense = dense
        self._tolerance = _QUANTIZED_SCORE_TOLERANCE if quantized else _SCORE_TOLERANCE
        self._num_names = num_names
        self._plausible = boxes_given
        self._boxes_seen = self._outside = 0
        self._probes = _LIVE_PROBES
        self._seen: set[str] = set()
        self.warnings: tuple[str, ...] = ()

    def take_probe(self) -> bool:
        """Tell whether every prediction of the next batch is to be decoded for :meth:`probe`."""
        if not self._probes:
            return False
        self._probes -= 1
        return True

    def expect_warm_up(self) -> None:
        """Check every prediction of one batch: black images are all alike."""
        self._probes = 1

    def expect_live_images(self) -> None:
        """Check every prediction of the next batches, the first ones of live images."""
        self._probes = _LIVE_PROBES

    @staticmethod
    def probe_options(options: DecodeOptions) -> DecodeOptions:
        """Make options that return every prediction with a box."""
        return replace(
            options,
            score_threshold=-math.inf,
            iou_threshold=1.0,
            max_detections=_NO_LIMIT,
            classes=None,
            class_score_thresholds=(),
            class_map=None,
        )

    def probe(self, predictions: Detections, input_size: tuple[int, int]) -> None:
        """
        Check every prediction of an image.

        :param predictions: in pixels of the network's input.
        :param input_size: (height, width) in pixels.
        :raises DecodeError: if they cannot come from a network of this layout.
        """
        self._check_scores(predictions.scores)
        self._check_classes(predictions)
        if not len(predictions) and predictions.invalid:
            self._warn_of_invalid(predictions.invalid)
        if len(predictions) < _MANY_PREDICTIONS:
            return
        if self._dense:
            self._check_background(predictions.scores)
        elif self._queries:
            self._check_queries(predictions.scores)
        # Without those that have no area, the rest may be the boxes around one object.
        complete = _MANY_PREDICTIONS * predictions.degenerate < len(predictions)
        if self._dense and complete and not self._plausible:
            self._check_spread(predictions.boxes_xyxy, input_size)

    def check(self, detections: Detections, input_size: tuple[int, int]) -> None:
        """
        Check the detections of an image.

        :param detections: in pixels of the network's input, highest score first.
        :param input_size: (height, width) in pixels.
        :raises DecodeError: if they cannot come from a network of this layout.
        """
        if detections.degenerate > len(detections):
            self._warn(
                'degenerate',
                f'{detections.degenerate} candidates have no area (x2 <= x1 or y2 <= y1): the '
                f'columns of the boxes may be in another order than {self._layout} has them; '
                f'{_HEAD}',
            )
        if not len(detections):
            if detections.invalid:
                self._warn_of_invalid(detections.invalid)
            return
        self._check_scores(detections.scores[:1])
        self._check_classes(detections)
        if not self._plausible:
            self._check_boxes(detections.boxes_xyxy, input_size)
        if self._boxes_seen < _BOXES_TO_SEE:
            self._count_outside(detections.boxes_xyxy, input_size)

    def _check_scores(self, scores: npt.NDArray[np.float32]) -> None:
        """Refuse scores outside 0 to 1."""
        if not len(scores):
            return
        low, high = float(scores.min()), float(scores.max())
        if low >= -self._tolerance and high <= 1 + self._tolerance:
            return
        found = f'scores of {low:.3g} to {high:.3g}' if low != high else f'a score of {high:.3g}'
        if low >= 0 and len(scores) > 1 and bool((scores == np.rint(scores)).all()):
            hint = f'the column of the scores seems to hold class numbers: {_HEAD}'
        else:
            hint = (
                'set scores to logits if the model ends without a Sigmoid; if columns of another '
                f'task (keypoints, an angle) are read as classes, {_HEAD}'
            )
        self._refuse(f'{found}; expected 0 to 1: {hint}')

    def _check_background(self, scores: npt.NDArray[np.float32]) -> None:
        """Refuse scores that no prediction of background has, and warn of such as most have."""
        low, high, middle = float(scores.min()), float(scores.max()), float(np.median(scores))
        causes = (
            f'{_TWICE}, or objectness, background or columns of another task may be read as '
            f'classes: {_HEAD}'
        )
        if low >= _NO_BACKGROUND:
            self._refuse(
                f'scores of {low:.3g} to {high:.3g} for all {len(scores)} predictions; expected '
                f'nearly 0 for most, which are background: {causes}'
            )
        if middle >= _BACKGROUND:
            self._warn(
                'background',
                f'half of {len(scores)} predictions have a score of {middle:.3g} or more; '
                f'expected nearly 0 for most, which are background: {causes}',
            )

    def _check_queries(self, scores: npt.NDArray[np.float32]) -> None:
        """Refuse scores that all lie where a Sigmoid puts scores of 0 to 1."""
        low, high = float(scores.min()), float(scores.max())
        if low >= _NO_BACKGROUND and high <= _SIGMOID_OF_ONE:
            self._refuse(
                f'scores of {low:.3g} to {high:.3g} for all {len(scores)} predictions; expected '
                f'nearly 0 for background: {_TWICE}'
            )

    def _check_spread(
        self, boxes_xyxy: npt.NDArray[np.float32], input_size: tuple[int, int]
    ) -> None:
        """Refuse predictions whose centers all lie in the top left corner."""
        centers = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
        right, bottom = (float(value) for value in centers.max(axis=0))
        height, width = input_size
        if right >= _CORNER * width or bottom >= _CORNER * height:
            return
        hint = 'offsets in cells (YOLOX) may be read as pixels: '
        if max(right, bottom) <= _UNIT:
            hint = 'set boxes to normalized if the model writes them so; otherwise '
        self._refuse(
            f'the centers of all {len(boxes_xyxy)} predictions lie left of {right:.3g} and above '
            f'{bottom:.3g} on {width}x{height} pixels: {hint}{_HEAD}'
        )

    def _warn_of_invalid(self, count: int) -> None:
        """Warn of an image that has nothing but non-finite candidates."""
        self._warn(
            'invalid',
            f'an image has no detections, and {count} candidates with NaN or infinite values: set '
            'precision to fp32, or export again without half precision',
        )

    def _check_classes(self, detections: Detections) -> None:
        """Refuse class values that are not whole, and warn of classes without a name."""
        if detections.class_error > _CLASS_TOLERANCE:
            self._refuse(
                f'class values that are up to {detections.class_error:.2f} from a whole number: '
                f'the columns are in another order than {self._layout} has them; {_HEAD}'
            )
        if self._num_names is None or not len(detections):
            return
        largest = int(detections.class_ids.max())
        if largest >= self._num_names:
            self._warn(
                'classes',
                f'class {largest} was found, but there are {self._num_names} class names (0 to '
                f'{self._num_names - 1}): give all of them in class_names, or {_HEAD}',
            )

    def _check_boxes(
        self, boxes_xyxy: npt.NDArray[np.float32], input_size: tuple[int, int]
    ) -> None:
        """Refuse boxes that are all tiny or far outside, until others were seen."""
        height, width = input_size
        sides = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]
        tiny = np.logical_or(
            (np.abs(boxes_xyxy) <= _UNIT).all(axis=1), (sides < _TINY).all(axis=1)
        )
        centers = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2 / np.array((width, height))
        far = ((centers < -1) | (centers > 2)).any(axis=1)
        if not (tiny | far).all():
            self._plausible = True
            return
        box = ', '.join(f'{value:.4g}' for value in boxes_xyxy[0].tolist())
        unit = 'normalized' if tiny[0] else 'pixels'
        fault = 'smaller than a pixel' if tiny[0] else 'far outside the input'
        self._refuse(
            f'boxes that are {fault} (e.g. {box} on {width}x{height} pixels): set boxes to {unit} '
            f'if the model writes them so; otherwise {_HEAD}'
        )

    def _count_outside(
        self, boxes_xyxy: npt.NDArray[np.float32], input_size: tuple[int, int]
    ) -> None:
        """Warn if most of the first boxes reach far beyond the edges of the input."""
        size = np.array((input_size[1], input_size[0]))
        above = boxes_xyxy[:, :2] < -_MARGIN * size
        beyond = (above | (boxes_xyxy[:, 2:] > (1 + _MARGIN) * size)).any(axis=1)
        self._boxes_seen += len(boxes_xyxy)
        self._outside += int(np.count_nonzero(beyond))
        if self._boxes_seen >= _BOXES_TO_SEE and 2 * self._outside > self._boxes_seen:
            self._warn(
                'outside',
                f'{self._outside} of the first {self._boxes_seen} boxes reach far beyond the '
                f'input of {input_size[1]}x{input_size[0]} pixels: corners may be read as center '
                f'and size; {_HEAD}',
            )

    def _refuse(self, text: str) -> None:
        """Raise the error for an image, and keep its text once among the warnings."""
        text = f'the outputs are not those of head {self._layout}: {text}'
        if 'refused' not in self._seen:
            self._seen.add('refused')
            self.warnings += (text,)
        raise DecodeError(text)

    def _warn(self, kind: str, text: str) -> None:
        """Log a warning, once."""
        if kind not in self._seen:
            self._seen.add(kind)
            self.warnings += (text,)
            _LOG.warning('%s', text)
