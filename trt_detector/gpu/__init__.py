# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
TensorRT: the only place that imports tensorrt, tensorrt_rtx, pycuda and pynvml.

All of them are imported inside functions: importing this package needs none.
"""
