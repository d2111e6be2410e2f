# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Values that the stages pass on: no logic, no libraries but NumPy."""
