# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Conversion of a network to the ONNX opset that an operator needs."""

from __future__ import annotations

import onnx
from onnx import version_converter

from ..errors import ModelError

__all__ = ['get_opset', 'raise_opset']


def get_opset(model: onnx.ModelProto) -> int:
    """Return the version of the standard operators that a network uses."""
    return max((o.version for o in model.opset_import if o.domain in ('', 'ai.onnx')), default=1)


def raise_opset(model: onnx.ModelProto, needed: int) -> onnx.ModelProto:
    """
    Convert a copy of a network to the needed opset, unless it has it.

    :raises ModelError: if it cannot be converted.
    """
    present = get_opset(model)
    if present >= needed:
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        return copy
    try:
        converted = version_converter.convert_version(model, needed)
    except Exception as error:  # the converter is C++ and raises whatever fits
        raise ModelError(
            f'the network has ONNX opset {present} and cannot be brought to {needed}, which its '
            f'quantization needs: {error}; export the model with opset {needed} or later'
        ) from error
    converted.ir_version = max(
        converted.ir_version,
        onnx.helper.find_min_ir_version_for(list(converted.opset_import), ignore_unknown=True),
    )
    return converted
