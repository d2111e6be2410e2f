# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test values that are computed once."""

from __future__ import annotations

from dataclasses import replace
import threading
from typing import Any

import numpy as np
import pytest
from trt_detector.image.image import Image
from trt_detector.image.shared_values import SharedValues


def test_value_is_computed_by_one_of_several_threads() -> None:
    values, calls, got = SharedValues(), [], []
    entered, released = threading.Event(), threading.Event()

    def compute() -> Any:
        calls.append(1)
        entered.set()
        released.wait(20)
        return object()

    threads = [
        threading.Thread(target=lambda: got.append(values.get('key', compute))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    assert entered.wait(20)
    released.set()
    for thread in threads:
        thread.join(20)
    assert len(calls) == 1
    assert got[0] is got[1] is got[2]
    assert values.get('other', lambda: 2) == 2


def test_failed_computation_is_tried_again() -> None:
    values = SharedValues()

    def fail() -> None:
        raise ValueError('once')

    with pytest.raises(ValueError, match='once'):
        values.get('key', fail)
    assert values.get('key', lambda: 1) == 1


def test_values_of_different_keys_are_computed_at_the_same_time() -> None:
    values = SharedValues()
    entered, released = threading.Event(), threading.Event()

    def compute() -> int:
        entered.set()
        assert released.wait(20)
        return 1

    thread = threading.Thread(target=values.get, args=('slow', compute))
    thread.start()
    assert entered.wait(20)
    got: list[int] = []
    other = threading.Thread(target=lambda: got.append(values.get('fast', lambda: 2)), daemon=True)
    other.start()
    other.join(10)
    released.set()
    thread.join(20)
    assert got == [2]
    assert values.get('slow', lambda: 3) == 1


def test_part_of_an_image_shares_nothing_with_the_whole() -> None:
    whole = replace(Image.from_array(np.zeros((8, 8, 3), np.uint8)), shared=SharedValues())
    assert whole.crop((0, 0, 4, 4)).shared is None
