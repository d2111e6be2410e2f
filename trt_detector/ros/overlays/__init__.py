# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Overlays that viewers draw on the camera image."""
