# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""What an ONNX file and the files beside it say of a model, read without running it."""

from __future__ import annotations

from .metadata_files import read_metadata_files
from .prepare import prepare_model
from .read import ModelInfo, parse_names, read_model_info
from .splits import slice_unequal_splits

__all__ = [
    'ModelInfo',
    'parse_names',
    'prepare_model',
    'read_model_info',
    'read_metadata_files',
    'slice_unequal_splits',
]
