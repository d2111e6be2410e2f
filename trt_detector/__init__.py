# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Object detection for ROS 2 with TensorRT, and with ONNX Runtime where there is no GPU."""

__version__ = '0.1.0'
