# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Page of the dashboard: no ROS 2."""
