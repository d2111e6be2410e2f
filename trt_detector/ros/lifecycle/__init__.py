# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Lifecycle nodes and their executables: what all nodes of this package have in common."""
