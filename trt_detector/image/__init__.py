# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Images: encodings, files, completeness checks and drawing."""

from .compressed import decode_compressed, MAX_IMAGE_PIXELS
from .drawing import class_color_bgr, class_label, draw_detections
from .files import picture_files
from .image import Image, PICTURE_SUFFIXES, SUPPORTED_ENCODINGS
from .message import check_pixel_count, read_message

__all__ = [
    'Image',
    'MAX_IMAGE_PIXELS',
    'PICTURE_SUFFIXES',
    'SUPPORTED_ENCODINGS',
    'check_pixel_count',
    'class_color_bgr',
    'class_label',
    'decode_compressed',
    'draw_detections',
    'picture_files',
    'read_message',
]
