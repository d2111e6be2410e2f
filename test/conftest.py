# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""How the property tests search."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadline: a slow machine is no defect. In continuous integration the same examples are drawn
# each time, so that a change fails and not chance; elsewhere the search goes on at random.
settings.register_profile('local', deadline=None)
settings.register_profile('ci', deadline=None, derandomize=True)
settings.load_profile('ci' if os.environ.get('CI') else 'local')
