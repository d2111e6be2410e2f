# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX networks in files and in memory, with external data."""

from __future__ import annotations

from pathlib import Path

import onnx

__all__ = ['load_onnx', 'serialize_onnx']


def load_onnx(path: Path) -> onnx.ModelProto:
    """
    Read a network with its external data.

    :raises ModelError: if it or its external data cannot be read.
    """
    raise NotImplementedError


def serialize_onnx(model: onnx.ModelProto) -> bytes:
    """
    Return a network as one ONNX file.

    :raises ModelError: if it exceeds the 2 GiB that such a file may have.
    """
    raise NotImplementedError
