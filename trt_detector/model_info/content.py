# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Bytes of an ONNX file between its description and its use."""

from __future__ import annotations

__all__ = ['ModelContent']


class ModelContent:
    """
    Bytes that a description was made from, so that what was hashed is what is built or run.

    :param data: the bytes; None if they are to be read from the file and compared again.
    """

    __slots__ = ('data',)

    def __init__(self, data: bytes | None = None) -> None:
        self.data = data

    def release(self) -> None:
        """Free the bytes: who needs them later reads the file, and compares the hash."""
        self.data = None
