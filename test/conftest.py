# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""How the property tests search."""

from __future__ import annotations

from collections.abc import Iterator
import gc
import itertools
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


@pytest.fixture(scope='session')
def _caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Provide folders for caches, each of them once."""
    # mktemp() for each of thousands of tests would list all the folders before each time.
    folder = tmp_path_factory.mktemp('caches')
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def _own_cache(_caches: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep plans and checks of one test from the others, and from the user's."""
    folder = next(_caches)
    folder.mkdir()
    monkeypatch.setenv('XDG_CACHE_HOME', str(folder))


@pytest.fixture(autouse=True, scope='module')
def _small_heap() -> None:
    """
    Leave what lives at the start of a module out of garbage collections.

    The modules and cases of all tests are some 300000 objects: each of the many collections that
    tests and nodes ask for would take a quarter of a second.
    """
    gc.collect()
    gc.freeze()
