# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Intake of images as serialized messages in memory that is reused."""
