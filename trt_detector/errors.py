# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of trt_detector."""

from __future__ import annotations

__all__ = [
    'AccuracyError',
    'BackendUnavailableError',
    'BuildCancelledError',
    'BuildError',
    'CalibrationCacheError',
    'ConfigError',
    'DecodeError',
    'DetectorError',
    'EngineError',
    'ImageError',
    'ModelError',
    'PlanError',
]


class DetectorError(Exception):
    """Root of the package's errors: a message has the problem, the actual value and the remedy."""


class ConfigError(DetectorError, ValueError):
    """
    One or more parameters have values that cannot be used.

    :param sentences: one per parameter.
    """

    def __init__(self, *sentences: str) -> None:
        self.sentences = sentences
        if len(sentences) == 1:
            super().__init__(sentences[0])
        else:
            numbered = (f'({n}) {sentence}' for n, sentence in enumerate(sentences, start=1))
            super().__init__(f'{len(sentences)} errors in parameters: {"; ".join(numbered)}')


class ImageError(DetectorError, ValueError):
    """One image cannot be read: the frame is dropped and counted, the node goes on."""


class ModelError(DetectorError):
    """A model file cannot be read, or is not a detector that this package knows."""


class DecodeError(DetectorError):
    """The outputs of a network contradict the head that decodes them."""


class BackendUnavailableError(DetectorError):
    """A library, driver or device that the chosen backend needs is missing."""


class EngineError(DetectorError):
    """The inference runtime refused to load a model or to run a batch."""


class DeviceLostError(EngineError):
    """CUDA is unusable in this process after a sticky error: only a new process can go on."""


class BuildError(EngineError):
    """TensorRT could not build a plan from the model."""


class BuildCancelledError(BuildError):
    """The build was cancelled before it ended."""


class PlanError(DetectorError):
    """A plan file, its manifest or the folder that keeps them cannot be used."""


class CalibrationCacheError(DetectorError, ValueError):
    """An INT8 calibration cache cannot be read, or does not fit the network."""


class AccuracyError(DetectorError):
    """An INT8 engine finds too little of what the full-precision model finds."""
