# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX networks in files and in memory, with external data."""

from __future__ import annotations

from pathlib import Path

import onnx

from ..errors import ModelError
from ..model_info import resolve_external_data

__all__ = ['load_onnx_bytes', 'serialize_onnx']

_LARGEST = 2**31 - 1


def load_onnx_bytes(data: bytes, folder: Path) -> onnx.ModelProto:
    """
    Read a network from memory, its external data from a folder.

    :raises ModelError: if it or its external data cannot be read.
    """
    try:
        data, folder = resolve_external_data(data, folder)
        model = onnx.load_model_from_string(data)
        onnx.external_data_helper.load_external_data_for_model(model, str(folder))
    except OSError as error:
        raise ModelError(
            f'the external data of the model cannot be read: {error.strerror or error}: '
            f'{error.filename or folder}'
        ) from error
    except Exception as error:  # protobuf's DecodeError, which has moved between its versions
        raise ModelError(f'the model is not a complete ONNX file: {error}') from error
    return model


def serialize_onnx(model: onnx.ModelProto) -> bytes:
    """
    Serialize a network as one ONNX file.

    :raises ModelError: if it exceeds 2 GiB, the maximum of such a file.
    """
    size = sum(
        tensor.ByteSize() for tensor in model.graph.initializer
    )  # the whole model overflows if the sum does
    try:
        if size <= _LARGEST:
            return bytes(model.SerializeToString())
    except Exception as error:  # protobuf's EncodeError, as above
        raise ModelError(f'the network cannot be written as one ONNX file: {error}') from error
    raise ModelError(
        f'the network has {size / 2**30:.1f} GiB; the maximum of one ONNX file is 2 GiB: give a '
        'smaller network, or run this one at the precision of its file'
    )
