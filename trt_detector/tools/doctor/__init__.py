# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Program that shows what is installed, what is missing, and how to fix it."""

from .main import main

__all__ = ['main']
