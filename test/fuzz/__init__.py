# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Fuzzing: targets, their invariants, seeds, and the programs that run them."""
