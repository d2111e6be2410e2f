# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Bags of ROS 2, read and written without ROS 2."""
