# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Convert a network to FP16, its decode arithmetic left in FP32."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

__all__ = ['convert_to_fp16']


def convert_to_fp16(
    model: onnx.ModelProto, *, keep_io: bool = True, exclude: Sequence[str] = ()
) -> onnx.ModelProto:
    """
    Return the network in FP16.

    :param keep_io: keep inputs and outputs FP32.
    :param exclude: names of further nodes to leave in FP32.
    :raises ModelError: if it cannot be converted.
    """
    raise NotImplementedError
