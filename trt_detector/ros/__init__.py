# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Lifecycle node, the only part of the package that needs rclpy."""
