# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Interface of the outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ...image.image import Image
from ..bag.reader import BagMessage
from .record import ImageRecord

__all__ = ['Output']


class Output(Protocol):
    """Output of a run; opened, written and finished in one thread, in the order of the bag."""

    @property
    def needs_pixels(self) -> bool:
        """Return whether write() uses the images."""

    def open(self) -> None:
        """
        Create the file.

        :raises OSError: if it cannot be created.
        """

    def write(self, record: ImageRecord, image: Image | None) -> None:
        """
        Write the detections of an image that is not malformed.

        :param image: the image; None unless :attr:`needs_pixels`.
        :raises OSError: if it cannot be written.
        """

    def copy(self, message: BagMessage) -> None:
        """Copy a message of the bag."""

    def finish(self) -> Path:
        """Complete the output and return its file or folder."""

    def abort(self) -> None:
        """Close what is open; the output is incomplete."""
