# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Bytes of an ONNX file: read, hashed, parsed, and kept between description and use."""

from __future__ import annotations

from collections.abc import Sequence
import hashlib
import os
from pathlib import Path
from typing import Any

from ..errors import ModelError
from ..values.regular_file import HashedBytes, open_regular, read_hashed
from ..values.user_path import describe_start
from .file_type import is_plan
from .graph import has_broken_text

__all__ = ['ModelContent', 'hash_model', 'parse_model', 'read_model_file']

# protobuf counts bytes in 32 bits with a sign.
_LARGEST_FILE = 2**31 - 1


class ModelContent:
    """
    Bytes that a description was made from, so that what was hashed is what is built or run.

    :param data: the bytes; None if they are to be read from the file and compared again.
    """

    __slots__ = ('data',)

    def __init__(self, data: bytes | None) -> None:
        self.data = data

    def release(self) -> None:
        """Free the bytes: who needs them later reads the file, and compares the hash."""
        self.data = None


def read_model_file(path: Path) -> HashedBytes:
    """
    Read and hash an ONNX file.

    :raises ModelError: if it cannot be read, is too large, or its first bytes are those of
        another format.
    """
    if is_plan(path):
        raise ModelError(f'{path} is a TensorRT plan; expected an ONNX file')
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > _LARGEST_FILE:
                raise ModelError(
                    f'{path} has {size / 2**30:.1f} GiB; the maximum of an ONNX file is 2 GiB '
                    '(protobuf): export the model with its weights as external data'
                )
            return read_hashed(file)
    except OSError as error:
        place = describe_start(path)
        raise ModelError(f'cannot read the model {path}{place}: {error.strerror}') from error


def parse_model(path: Path, data: bytes) -> Any:
    """Return the ModelProto in the bytes, or raise ModelError."""
    # onnx takes 0.2 s to import, which --help should not pay for.
    import onnx

    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's DecodeError, which has moved between its versions
        raise ModelError(f'{path} is not an ONNX file, or is damaged: {error}') from error
    if not model.graph.node or not model.graph.output:
        raise ModelError(
            f'{path} ({len(data)} bytes) holds no ONNX graph with nodes and outputs; export the '
            'model again'
        )
    if has_broken_text(model):
        raise ModelError(
            f'{path} holds a name or metadata that is not UTF-8 text; it is damaged: export the '
            'model again'
        )
    return model


def hash_model(model: HashedBytes, external: Sequence[Path]) -> str:
    """Return the hash over a model and its external data."""
    if not external:
        return model.sha256
    digest = hashlib.sha256(model.data)
    for file in external:
        with file.open('rb') as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()
