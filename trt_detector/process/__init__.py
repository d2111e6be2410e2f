# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Settings and signals of the process of a node or tool."""
