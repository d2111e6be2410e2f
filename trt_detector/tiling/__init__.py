# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Detection in tiles of an image, for objects that are small in the whole image."""
