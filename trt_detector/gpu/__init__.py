# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
CUDA: contexts, memory, streams, graphs, kernels, and the state of the GPU.

It is the only package that imports pycuda, cuda (CUDA Python) and pynvml. They are imported inside
functions, so that importing this package needs none of them.
"""
