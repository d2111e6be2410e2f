# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Support for several test modules: models, plans, graphs and requirements."""
