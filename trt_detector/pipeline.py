# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Images in, detections in their own pixels out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from .decode import DecodeOptions, Head
from .detections import Detections
from .engine import EngineInfo, InferenceEngine
from .image import Image
from .preprocess import Letterbox, Preprocessor

__all__ = ['BatchResult', 'Detector', 'FitInput', 'StageTimes']

# Given (width, height) of the first image, sets the engine's input size and returns the stages
# for it; None where the size stays.
FitInput = Callable[[tuple[int, int]], tuple[Preprocessor, Head] | None]


@dataclass(frozen=True, slots=True)
class StageTimes:
    """How long the stages of one batch took, in milliseconds."""

    preprocess_ms: float
    infer_ms: float
    decode_ms: float


@dataclass(frozen=True, slots=True, eq=False)
class BatchResult:
    """
    What was found in a batch.

    :param detections: one an image in the order of the images, boxes in the image's own pixels.
    :param times: of the whole batch.
    """

    detections: tuple[Detections, ...]
    times: StageTimes

    @property
    def invalid(self) -> int:
        """Return how many candidates were left out because they were NaN or infinite."""
        return sum(found.invalid for found in self.detections)


class Detector:
    """
    A model with its preprocessing and decoding.

    It belongs to the thread that made it, except for :attr:`options`.

    :param engine: the network; closed with the detector.
    :param preprocessor: fills the slots of the batch.
    :param head: decodes the network's outputs.
    :param model_name: for people.
    :param class_names: names by class id.
    :param options: which detections to report.
    :param fit: chooses the input size as the first image comes, None where it is settled.
    :param warnings: sentences for :attr:`info`, beside the engine's own.
    """

    def __init__(
        self,
        engine: InferenceEngine,
        preprocessor: Preprocessor,
        head: Head,
        *,
        model_name: str,
        class_names: tuple[str, ...],
        options: DecodeOptions,
        fit: FitInput | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self._engine = engine
        self._preprocessor = preprocessor
        self._head = head
        self.model_name = model_name
        self.class_names = class_names
        self._options = options
        self._fit = fit
        self._warnings = warnings
        self._details: tuple[tuple[str, str], ...] = ()
        self._batch = _empty_batch(engine)

    @property
    def info(self) -> EngineInfo:
        """Return what really runs."""
        info = self._engine.info
        return replace(
            info, warnings=info.warnings + self._warnings, details=info.details + self._details
        )

    @property
    def size_is_open(self) -> bool:
        """Return whether the first image is still to choose the input size."""
        return self._fit is not None

    @property
    def layout(self) -> str:
        """Return the name of the head layout."""
        return self._head.layout

    @property
    def batch_size(self) -> int:
        """Return the largest number of images that detect() takes."""
        return self._engine.get_batch_size()

    @property
    def input_size(self) -> tuple[int, int]:
        """Return (height, width) of the network's input in pixels."""
        return self._engine.get_input_shape()

    @property
    def options(self) -> DecodeOptions:
        """Return which detections are reported."""
        return self._options

    @options.setter
    def options(self, options: DecodeOptions) -> None:
        """Change which detections the next batch reports; any thread may."""
        self._options = options

    def detect(self, images: Sequence[Image]) -> BatchResult:
        """
        Detect objects.

        :param images: 1 to :attr:`batch_size` images of any sizes and encodings.
        :raises ValueError: if there are more or fewer.
        :raises EngineError: if the inference fails; nothing is known of the images then.
        """
        options = self._options
        if self._fit is not None:
            self._fit_input(images[0])
        started = time.perf_counter()
        batch, places = self._fill(images)
        prepared = time.perf_counter()
        outputs = self._engine.run(batch)
        inferred = time.perf_counter()
        found = self._head.decode(outputs, options)
        mapped = tuple(
            _to_source(detections, place) for detections, place in zip(found, places, strict=True)
        )
        decoded = time.perf_counter()
        times = StageTimes(
            preprocess_ms=(prepared - started) * 1e3,
            infer_ms=(inferred - prepared) * 1e3,
            decode_ms=(decoded - inferred) * 1e3,
        )
        return BatchResult(mapped, times)

    def annotate(self, warnings: tuple[str, ...], details: tuple[tuple[str, str], ...]) -> None:
        """Add to what :attr:`info` tells."""
        self._warnings += warnings
        self._details += details

    def prepare(self, images: Sequence[Image]) -> tuple[npt.NDArray[Any], list[Letterbox]]:
        """
        Preprocess images, as :meth:`detect` does; calibration takes its inputs from here.

        :param images: 1 to :attr:`batch_size` images.
        :return: the network's input, valid until the next call, and where each image lies in it.
        :raises ValueError: if there are more or fewer images.
        """
        if self._fit is not None:
            self._fit_input(images[0])
        return self._fill(images)

    def _fill(self, images: Sequence[Image]) -> tuple[npt.NDArray[Any], list[Letterbox]]:
        """Write images into the batch."""
        count = len(images)
        if not 1 <= count <= self.batch_size:
            raise ValueError(f'got {count} images; expected 1 to {self.batch_size}')
        places = [
            self._preprocessor(image, slot)
            for image, slot in zip(images, self._batch, strict=False)
        ]
        return self._batch[:count], places

    def _fit_input(self, image: Image) -> None:
        """Settle the input size by the first image."""
        fit, self._fit = self._fit, None
        stages = fit((image.width, image.height)) if fit is not None else None
        if stages is not None:
            self._preprocessor, self._head = stages
            self._batch = _empty_batch(self._engine)

    def warm_up(self, iterations: int) -> None:
        """
        Run on zeros, at one image and at a full batch.

        :param iterations: runs of each size.
        """
        self._engine.warm_up(iterations)

    def close(self) -> None:
        """Free the engine; calling it again does nothing."""
        self._engine.close()

    def __enter__(self) -> Detector:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _empty_batch(engine: InferenceEngine) -> npt.NDArray[Any]:
    """Return room for a full batch."""
    shape = engine.batch_shape(engine.get_batch_size())
    return np.zeros(shape, engine.input_spec.dtype)


def _to_source(detections: Detections, place: Letterbox) -> Detections:
    """Return detections in pixels of the original image; what lies in the padding is left out."""
    boxes = place.to_source(detections.boxes_xyxy)
    inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    mapped = Detections(boxes, detections.scores, detections.class_ids, detections.invalid)
    return mapped.select(inside)
