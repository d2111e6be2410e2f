# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Doubles of TensorRT, the CUDA bindings and the driver, for tests on machines without a GPU.

They execute through ONNX Runtime in host memory, refuse what the recorded API of the version they
play does not have, and notice what would corrupt memory or leak on a GPU.
"""
