# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The demo detector: network, loss, data and augmentation (PyTorch)."""
