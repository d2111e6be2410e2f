# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Checks that decoded values can be detections at all: a wrong head must not go unnoticed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import logging
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DecodeError
from ..values.candidates import Candidates
from ..values.detections import Detections
from .doubts import (
    check_background,
    check_corners,
    check_exchanged,
    check_queries,
    check_rows,
    check_spread,
    Doubt,
    HELP,
    read_rows,
)
from .first_boxes import FirstBoxes
from .head import CandidateHead, DecodeOptions, DoubtingHead, Head

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
# From this number of predictions on, most are background, and those of anchors are spread over the
# whole input.
_MANY_PREDICTIONS = 50
# In radians: a full turn and a bit.
_LARGEST_ANGLE = 6.4


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
        self._first_boxes = FirstBoxes(layout, suppresses=dense)
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
        boxes = predictions.boxes_xyxy
        if self._dense:
            self._tell(check_background(predictions.scores))
        elif self._queries:
            self._tell(check_queries(predictions))
        # Without those that have no area, the rest may be the boxes around one object.
        if _MANY_PREDICTIONS * predictions.degenerate >= len(predictions):
            return
        if self._dense or self._queries:
            self._tell(check_corners(self._layout, boxes, input_size, certain=self._dense))
        if self._dense:
            self._tell(check_exchanged(boxes, input_size))
        if self._dense and not self._plausible:
            self._tell(check_spread(boxes, input_size))

    def probe_outputs(
        self,
        head: Head,
        outputs: Sequence[npt.NDArray[Any]],
        candidates: Sequence[Candidates] | None,
    ) -> None:
        """
        Check every value of a batch that was decoded for :meth:`probe`.

        :param candidates: per image, None if the outputs have them.
        :raises DecodeError: if they cannot come from a network of this layout.
        """
        if isinstance(head, CandidateHead):
            rule = head.candidate_rule
            for rows in read_rows(rule, outputs, candidates):
                self._tell(check_rows(self._layout, rule, rows, self._tolerance))
        if isinstance(head, DoubtingHead):
            text = head.find_doubt(outputs)
            self._tell(Doubt('head', text, certain=False) if text else None)

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
                f'{HELP}',
            )
        if not len(detections):
            if detections.invalid:
                self._warn_of_invalid(detections.invalid)
            return
        self._check_scores(detections.scores[:1])
        self._check_classes(detections)
        if detections.angles is not None and np.abs(detections.angles).max() > _LARGEST_ANGLE:
            largest = float(np.abs(detections.angles).max())
            self._refuse(f'an angle of {largest:.4g}; expected radians: export angles as radians')
        if not self._plausible:
            self._check_boxes(detections.boxes_xyxy, input_size)
        for doubt in self._first_boxes.add(detections, input_size):
            self._tell(doubt)

    def _check_scores(self, scores: npt.NDArray[np.float32]) -> None:
        """Refuse scores outside 0 to 1."""
        if not len(scores):
            return
        # Of a single one, without the calls of NumPy.
        low, high = (float(scores[0]),) * 2 if len(scores) == 1 else (scores.min(), scores.max())
        if low >= -self._tolerance and high <= 1 + self._tolerance:
            return
        found = f'scores of {low:.3g} to {high:.3g}' if low != high else f'a score of {high:.3g}'
        if low >= 0 and len(scores) > 1 and bool((scores == np.rint(scores)).all()):
            hint = f'the column of the scores seems to hold class numbers: {HELP}'
        else:
            hint = (
                'set scores to logits if the model ends without a Sigmoid; if columns of another '
                f'task (keypoints, an angle) are read as classes, {HELP}'
            )
        self._refuse(f'{found}; expected 0 to 1: {hint}')

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
                f'the columns are in another order than {self._layout} has them; {HELP}'
            )
        if self._num_names is None or not len(detections):
            return
        largest = int(detections.class_ids.max())
        if largest >= self._num_names:
            self._warn(
                'classes',
                f'class {largest} was found, but there are {self._num_names} class names (0 to '
                f'{self._num_names - 1}): give all of them in class_names, or {HELP}',
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
        rows = ', head to detr_rows if they are centers and sizes (RT-DETR)'
        rows = rows if tiny[0] and self._layout == 'end_to_end' else ''
        self._refuse(
            f'boxes that are {fault} (e.g. {box} on {width}x{height} pixels): set boxes to {unit} '
            f'if the model writes them so{rows}; otherwise {HELP}'
        )

    def _tell(self, doubt: Doubt | None) -> None:
        """Refuse or warn of what a check found."""
        if doubt is not None and doubt.certain:
            self._refuse(doubt.text)
        elif doubt is not None:
            self._warn(doubt.kind, doubt.text)

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
