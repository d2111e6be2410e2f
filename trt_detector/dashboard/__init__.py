# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Web page that shows and controls detector nodes; started by trt_detector.tools.dashboard."""
