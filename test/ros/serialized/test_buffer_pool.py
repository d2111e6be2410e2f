# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test that memory of messages is used again, but never while anything refers to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
import weakref

import numpy as np
import pytest
from trt_detector.image.image import Image
from trt_detector.ros.serialized import buffer_pool
from trt_detector.ros.serialized.buffer_pool import BufferPool
from trt_detector.values.recent_peak import RecentPeak


@dataclass
class Message:
    """Message with the bytes of an image of 4x4 mono8 at the offset 4."""

    data: np.ndarray
    width: int = 4
    height: int = 4
    encoding: str = 'mono8'
    step: int = 4
    is_bigendian: int = 0


VIEWS: dict[str, Callable[[np.ndarray], Any]] = {
    'itself': lambda lent: lent,
    'slice': lambda lent: lent[4:20],
    'slice of a slice': lambda lent: lent[4:][2:9][1:],
    'other shape': lambda lent: lent[4:20].reshape(4, 4)[:, 1],
    'other dtype': lambda lent: lent[4:20].view(np.uint16)[1:],
    'memoryview': lambda lent: memoryview(lent)[4:8],
    'frombuffer': lambda lent: np.frombuffer(lent[4:20].data, np.uint8)[3:],
    'image': lambda lent: Image.from_message(Message(lent[4:20])),
    'pixels of an image': lambda lent: Image.from_message(Message(lent[4:20])).pixels()[0],
    'crop of an image': lambda lent: Image.from_message(Message(lent[4:20])).crop((0, 0, 4, 2)),
    'bgr of an image': lambda lent: Image.from_message(Message(lent[4:20])).data[:8].data,
}


@pytest.mark.parametrize('name', VIEWS)
def test_memory_is_not_used_again_while_a_view_exists(name: str) -> None:
    pool = BufferPool()
    memory = pool.take(100)
    view = VIEWS[name](pool.lend(memory, 100))
    other = pool.take(100)
    assert other is not memory
    pool.put(other)
    del view
    assert pool.take(100) is memory


def test_memory_is_large_enough_and_not_kept_if_it_is_too_small() -> None:
    pool = BufferPool()
    memory = pool.take(5000)
    assert memory.size >= 5000
    pool.put(memory)
    larger = pool.take(memory.size + 1)
    assert larger.size > memory.size
    assert memory.retired
    assert not larger.retired


def test_memory_has_the_size_of_recent_messages() -> None:
    pool = BufferPool()
    pool.lend(pool.take(100_000), 100_000)
    assert pool.take().size >= 100_000


def test_memory_of_large_messages_is_released_after_a_while_of_small_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(buffer_pool, 'RecentPeak', lambda: RecentPeak(window=3))
    pool = BufferPool()
    large = pool.take(100_000)
    pool.lend(large, 100_000)
    for _ in range(7):
        pool.lend(pool.take(), 10)
    assert large.retired
    assert pool.take().size < 100_000


def test_only_some_free_memory_is_kept() -> None:
    pool = BufferPool()
    memories = [pool.take(10) for _ in range(9)]
    lent = [pool.lend(memory, 10) for memory in memories]
    del lent
    kept = {pool.take() for _ in range(9)} & set(memories)
    assert len(kept) == buffer_pool._MOST_FREE
    assert all(memory.retired != (memory in kept) for memory in memories)


def test_a_closed_pool_releases_memory_after_the_last_view() -> None:
    pool = BufferPool()
    memory, free = pool.take(10), pool.take(10)
    lent = pool.lend(memory, 10)
    pool.put(free)
    pool.close()
    assert free.retired
    assert not memory.retired
    view = lent[3:]
    del lent
    assert not memory.retired
    del view
    assert memory.retired
    # The pool does not keep it.
    reference = weakref.ref(memory)
    del memory
    assert reference() is None


def test_messages_of_almost_one_size_use_the_same_memory() -> None:
    pool = BufferPool()
    # Pages of 4096 bytes: frame_id differs by some bytes.
    memory = pool.take(5000)
    assert memory.size == 8192
    pool.put(memory)
    assert pool.take(5100) is memory
