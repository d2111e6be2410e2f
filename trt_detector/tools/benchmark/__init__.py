# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Program that measures stages, precisions and batch sizes on this machine."""

from .main import main

__all__ = ['main']
