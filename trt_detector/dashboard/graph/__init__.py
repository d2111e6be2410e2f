# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""ROS 2 side of the dashboard: no NiceGUI."""
