# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""CUDA kernels: sources, PTX and the code that launches them."""
