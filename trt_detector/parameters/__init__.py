# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Groups of parameters that belong to no other folder."""
