# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Images on their way to device memory: as bytes, shared by detectors, or as JPEG."""
