# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""How the property tests search."""

from __future__ import annotations

import gc
import os
from pathlib import Path

from hypothesis import settings
import pytest

# No deadline: a slow machine is no defect. In continuous integration the same examples are drawn
# each time, so that a change fails and not chance; elsewhere the search goes on at random.
settings.register_profile('local', deadline=None)
settings.register_profile('ci', deadline=None, derandomize=True)
settings.load_profile('ci' if os.environ.get('CI') else 'local')
# It keeps a list of the fonts, which takes seconds to make.
os.environ.setdefault('MPLCONFIGDIR', str(Path.home() / '.cache' / 'matplotlib'))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep plans and checks of one test from the others, and from the user's."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))


@pytest.fixture(autouse=True, scope='module')
def _small_heap() -> None:
    """
    Leave what lives at the start of a module out of garbage collections.

    The modules and cases of all tests are some 300000 objects: each of the many collections that
    tests and nodes ask for would take a quarter of a second.
    """
    gc.collect()
    gc.freeze()
