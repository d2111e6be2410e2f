# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Exit codes of a process that only a new one can replace."""

__all__ = ['EXIT_DEVICE_LOST', 'EXIT_HANGING']

EXIT_HANGING = 3
EXIT_DEVICE_LOST = 4
