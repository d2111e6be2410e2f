# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Images: encodings, files, completeness checks and drawing."""

from .drawing import class_color_bgr, class_label, draw_detections
from .files import picture_files
from .image import Image, PICTURE_SUFFIXES, SUPPORTED_ENCODINGS

__all__ = [
    'Image',
    'PICTURE_SUFFIXES',
    'SUPPORTED_ENCODINGS',
    'class_color_bgr',
    'class_label',
    'draw_detections',
    'picture_files',
]
