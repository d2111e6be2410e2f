# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Regions, masks and sizes that decide which detections are published."""
