# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Positions and sizes of detections in 3D from a depth image, without ROS."""
