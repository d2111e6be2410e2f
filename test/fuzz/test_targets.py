# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""
Fuzz targets on seeds, on inputs that broke a rule once, and on changed seeds.

scripts/fuzz.sh runs the same targets for as long as wanted.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, HealthCheck, settings
from hypothesis import strategies as st
import pytest

from fuzz.run import format_summary, write_seeds
from fuzz.seeds import CRASHES, read_crashes, SEEDS
from fuzz.targets import TARGETS

EXAMPLES = 120

# An endless loop is a failure; scripts/fuzz.sh reports inputs that take more than 2 s.
pytestmark = pytest.mark.timeout(120)


@st.composite
def changed_seeds(draw: Any, seeds: list[bytes]) -> bytes:
    """Cut bytes out of a seed and put others, or a part of another seed, in their place."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(start + 16, len(data))))
        part = draw(st.one_of(st.binary(max_size=8), st.sampled_from(seeds)))
        data = data[:start] + part[:64] + data[end:]
    return data


@pytest.mark.parametrize('target', TARGETS)
def test_seeds(target: str) -> None:
    for number, data in enumerate(SEEDS[target]()):
        try:
            TARGETS[target](data)
        except Exception as error:
            raise AssertionError(f'seed {number} ends with {error!r}') from error


@pytest.mark.parametrize(
    ('target', 'name'), [(target, name) for target in TARGETS for name in read_crashes(target)]
)
def test_former_crashes(target: str, name: str) -> None:
    TARGETS[target](read_crashes(target)[name])


@pytest.mark.parametrize('target', TARGETS)
def test_changed_seeds(target: str) -> None:
    # The same examples each time: a failure is a change of the code and not chance.
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.one_of(changed_seeds(SEEDS[target]()), st.binary(max_size=200)))
    def search(data: bytes) -> None:
        TARGETS[target](data)

    search()


def test_every_target_has_seeds_and_every_crash_a_target() -> None:
    assert SEEDS.keys() == TARGETS.keys()
    assert {path.name for path in CRASHES.glob('*')} <= TARGETS.keys()


def test_the_corpus_begins_with_seeds_and_crashes(tmp_path: Any) -> None:
    write_seeds('manifest', tmp_path / 'manifest')
    contents = {path.read_bytes() for path in (tmp_path / 'manifest').iterdir()}
    assert contents == {*SEEDS['manifest'](), *read_crashes('manifest').values()}


def test_the_summary_names_executions_and_faults() -> None:
    row = {
        'target': 'manifest', 'minutes': 1.5, 'executions': 12345, 'coverage': 7, 'features': 8,
        'corpus': 9, 'faults': {'KeyError at x.py:1': 2}, 'ended': ['timeout-1'],
    }  # fmt: skip
    text = format_summary([row])
    assert '| manifest | 1.5 | 12,345 | 7 | 8 | 9 | 2 |' in text
    assert 'manifest: 2 x KeyError at x.py:1' in text
    assert 'manifest: ended by timeout-1' in text
