# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Fuzz targets by name: a function that takes bytes and fails if the package breaks a rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from .calibration_cache import check_calibration_cache
from .images import check_compressed_image, check_picture_file, check_raw_image
from .metadata import check_metadata_file, check_paddle_config, check_processor_config
from .models import check_graph_outputs, check_onnx_file, check_onnx_metadata
from .parameters import check_parameter_file, check_parameters
from .plans import check_manifest, check_plan_header

__all__ = ['TARGETS']

TARGETS: Mapping[str, Callable[[bytes], None]] = MappingProxyType(
    {
        'raw_image': check_raw_image,
        'compressed_image': check_compressed_image,
        'picture_file': check_picture_file,
        'calibration_cache': check_calibration_cache,
        'manifest': check_manifest,
        'plan_header': check_plan_header,
        'parameters': check_parameters,
        'parameter_file': check_parameter_file,
        'onnx_file': check_onnx_file,
        'onnx_metadata': check_onnx_metadata,
        'graph_outputs': check_graph_outputs,
        'processor_config': check_processor_config,
        'paddle_config': check_paddle_config,
        'metadata_file': check_metadata_file,
    }
)
