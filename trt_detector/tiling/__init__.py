# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Tiles of an image for objects that are small in it: their grid, and the merge of detections."""
