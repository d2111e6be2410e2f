# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Description of a model: its file and the metadata files beside it, read without running it."""

from __future__ import annotations

from .class_names import parse_names
from .external_data import resolve_external_data
from .file_type import describe_misnamed, is_onnx, is_plan
from .hugging_face import ProcessorConfig, read_model_type, read_processor_config
from .info import ModelInfo
from .metadata_files import merge_metadata
from .paddle_config import read_paddle_config
from .pixels import InputPixels
from .plan_header import add_plan_header, read_plan_metadata, split_plan_header
from .prepare import prepare_model
from .read import read_model_info
from .splits import slice_unequal_splits

__all__ = [
    'InputPixels',
    'ModelInfo',
    'ProcessorConfig',
    'add_plan_header',
    'describe_misnamed',
    'is_onnx',
    'is_plan',
    'merge_metadata',
    'parse_names',
    'prepare_model',
    'read_model_info',
    'read_model_type',
    'read_paddle_config',
    'read_plan_metadata',
    'read_processor_config',
    'resolve_external_data',
    'slice_unequal_splits',
    'split_plan_header',
]
