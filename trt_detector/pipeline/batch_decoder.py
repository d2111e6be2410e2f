# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""From the outputs of the network to detections in the images of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..decode import CandidateHead, DecodeOptions, Head, SanityCheck
from ..errors import DecodeError
from ..preprocess import Letterbox
from ..values.candidates import Candidates
from ..values.detections import Detections

__all__ = ['BatchDecoder']

_NO_LIMIT = 1 << 31
_Outputs = Sequence[npt.NDArray[Any]]


class BatchDecoder:
    """
    Decoder of batches at one input size.

    :param head: decodes whole outputs.
    :param candidate_head: decodes candidates; None if the slots give whole outputs.
    :param input_size: (height, width) of the network's input in pixels.
    :param sanity: check of the decoded values.
    """

    def __init__(
        self,
        head: Head,
        candidate_head: CandidateHead | None,
        input_size: tuple[int, int],
        sanity: SanityCheck,
    ) -> None:
        self._head = head
        self._candidate_head = candidate_head
        self._input_size = input_size
        self._sanity = sanity

    def decode(
        self,
        outputs: _Outputs,
        candidates: Sequence[Candidates] | None,
        letterboxes: Sequence[Letterbox],
        options: DecodeOptions,
        *,
        probing: bool = False,
    ) -> tuple[Detections, ...]:
        """
        Decode the whole outputs of a batch, or only its candidates.

        :param letterboxes: geometry of each image in the network's input.
        :param probing: check every prediction, see :class:`..decode.SanityCheck`.
        :return: in pixels of the images. What lies in the padding does not count toward
            max_detections.
        :raises DecodeError: if the outputs contradict the head.
        """
        maximum, count = options.max_detections, len(letterboxes)
        if probing:
            everything = self._sanity.probe_options(options)
            for one in self._run_head(outputs, candidates, everything, count):
                self._sanity.probe(one, self._input_size)
            self._sanity.probe_outputs(self._head, outputs, candidates)
        for limit in (maximum, 4 * maximum, _NO_LIMIT):
            limited = options
            if limit != maximum:
                limited = replace(options, max_detections=limit)
            found = self._run_head(outputs, candidates, limited, count)
            if limit == maximum:
                for one in found:
                    self._sanity.check(one, self._input_size)
            inside = _to_sources(found, letterboxes)
            if all(
                len(kept) >= maximum or len(all_found) < limit
                for all_found, kept in zip(found, inside, strict=True)
            ):
                break
        return tuple(kept.first(maximum) for kept in inside)

    def _run_head(
        self,
        outputs: _Outputs,
        candidates: Sequence[Candidates] | None,
        options: DecodeOptions,
        count: int,
    ) -> list[Detections]:
        """
        Decode the whole outputs, or only the candidates, in pixels of the network's input.

        :param count: number of images.
        """
        if candidates is not None and self._candidate_head is not None:
            return self._candidate_head.decode_candidates(candidates, options)
        mismatch = None
        try:
            found = self._head.decode(outputs, options)
        except (IndexError, ValueError) as error:
            found, mismatch = [], error
        if mismatch is not None or len(found) != count:
            shapes = '; '.join(str(list(output.shape)) for output in outputs)
            raise DecodeError(
                f'the outputs have the shapes {shapes} for {count} image(s); head '
                f'{self._head.layout} expects one entry per image: export the model with a fixed '
                'batch of 1, or with an open batch of input and outputs'
            ) from mismatch
        return found


def _to_sources(found: Sequence[Detections], letterboxes: Sequence[Letterbox]) -> list[Detections]:
    """
    Map the detections of a batch to pixels of the original images.

    Those of images of one size are mapped together: NumPy takes most of its time per call.
    """
    first = letterboxes[0]
    alike = all(one is first or one == first for one in letterboxes)
    if alike and len(found) > 1 and all(one.angles is None for one in found):
        boxes = first.to_source(np.concatenate([one.boxes_xyxy for one in found]))
        if (boxes[:, 2:] > boxes[:, :2]).all():
            ends = np.cumsum([len(one) for one in found]).tolist()
            return [
                Detections(
                    boxes[end - len(one) : end], _limit(one.scores), one.class_ids,
                    one.invalid, one.degenerate, one.class_error,
                )
                for one, end in zip(found, ends, strict=True)
            ]  # fmt: skip
    return [_to_source(*pair) for pair in zip(found, letterboxes, strict=True)]


def _limit(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Limit descending scores to 1: a quantized score may exceed it by a rounding error."""
    return np.minimum(scores, 1) if len(scores) and scores[0] > 1 else scores


def _to_source(detections: Detections, letterbox: Letterbox) -> Detections:
    """Map detections to pixels of the original image, leaving out those in the padding."""
    if not len(detections):
        return detections
    angles = detections.angles
    if angles is None:
        boxes = letterbox.to_source(detections.boxes_xyxy)
        inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    else:
        boxes, angles = letterbox.rotated_to_source(detections.boxes_xyxy, angles)
        centers = (boxes[:, :2] + boxes[:, 2:]) / 2
        inside = np.all((centers > 0) & (centers < letterbox.source_size), axis=1)
    scores = _limit(detections.scores)
    mapped = replace(detections, boxes_xyxy=boxes, scores=scores, angles=angles)
    return mapped if inside.all() else mapped.select(inside)
