# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Program that measures the whole node over DDS, beside its bare model and beside other nodes."""

from .main import main

__all__ = ['main']
