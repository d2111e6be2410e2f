# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Errors of trt_detector."""

from __future__ import annotations

__all__ = [
    'AccuracyError',
    'BackendUnavailableError',
    'BagError',
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
    'printable',
]


_LONGEST_MESSAGE = 8000


def printable(text: str) -> str:
    """Escape the control characters of a text, which may come from a foreign file."""
    if text.isprintable():
        return text
    return ''.join(
        char if char.isprintable() or char in '\n\t' else ascii(char)[1:-1] for char in text
    )


class DetectorError(Exception):
    """
    Root of the package's errors: a message has the problem, the actual value and the remedy.

    :param message: control characters in it are escaped, and its end is cut if it is very long.
    """

    def __init__(self, message: str = '') -> None:
        text = printable(message[:_LONGEST_MESSAGE])
        if len(text) > _LONGEST_MESSAGE - 40 or len(message) > _LONGEST_MESSAGE:
            text = f'{text[: _LONGEST_MESSAGE - 40]} ... ({len(message)} characters)'
        super().__init__(text)


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


class BagError(DetectorError):
    """A bag cannot be read or written."""


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
