# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Head layouts, one per file: from raw outputs to boxes, scores and class IDs."""
