# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Detection of hanging and failing inferences, and the way back to the active state."""
