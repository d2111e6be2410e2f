# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's OpenVINO provider on the CPU."""
