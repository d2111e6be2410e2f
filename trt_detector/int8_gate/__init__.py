# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Comparison of an INT8 engine with the full-precision model before it is used."""
