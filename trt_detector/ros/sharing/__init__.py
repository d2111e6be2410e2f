# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Image subscriptions that the nodes of one process share."""
