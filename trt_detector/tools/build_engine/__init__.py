# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Program that builds the TensorRT engine of a model."""

from .main import main

__all__ = ['main']
