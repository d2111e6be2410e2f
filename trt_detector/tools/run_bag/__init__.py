# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Detect objects in the images of a bag."""

from .main import main

__all__ = ['main']
