# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Counts, stage times and diagnostics of the node."""
