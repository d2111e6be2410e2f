# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Program that publishes image files as a camera does."""

from .main import main

__all__ = ['main']
