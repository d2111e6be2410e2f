# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Tests of with_provider/ run in a process that has the provider: test_with_provider.py."""

from __future__ import annotations

import onnxruntime

_HAS_PROVIDER = 'OpenVINOExecutionProvider' in onnxruntime.get_available_providers()
collect_ignore = [] if _HAS_PROVIDER else ['with_provider']
