# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""JPEG images on the device."""
