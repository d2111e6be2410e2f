# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Image message that several detectors of the process read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...image.shared_values import SharedValues

__all__ = ['SharedMessage']


@dataclass(frozen=True, slots=True, eq=False)
class SharedMessage:
    """
    Image message that several detectors read once for all of them.

    :param message: the image message.
    :param images: image in the message, by the limit of its pixels.
    """

    message: Any
    images: SharedValues = field(default_factory=SharedValues)

    @property
    def header(self) -> Any:
        """Header of the message."""
        return self.message.header
