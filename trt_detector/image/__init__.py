# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Images: encodings, files, completeness checks and drawing."""

from .image import Image

__all__ = ['Image']
