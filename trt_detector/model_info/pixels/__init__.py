# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Arithmetic of a graph on its pixels, from its image input to its first layers."""

from .input_pixels import find_input_pixels, InputPixels

__all__ = ['InputPixels', 'find_input_pixels']
