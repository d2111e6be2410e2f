# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Batches in flight of a detector."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import overload, Protocol, runtime_checkable

from ..decode import CandidateHead, Head
from ..engine import BatchSlot, HostSlot, InferenceEngine
from ..errors import EngineError
from ..preprocess import Preprocessor
from ..values.candidates import CandidateRule
from ..values.engine_info import CudaGraphUse

__all__ = ['SlotPool', 'SlotSource']


@runtime_checkable
class SlotSource(Protocol):
    """
    Preprocessor that fills slots of its own, e.g. on the device.

    :attr:`cuda_graph` is known once the slots are open.
    """

    cuda_graph: CudaGraphUse | None

    def open_slots(self, rule: CandidateRule | None) -> Sequence[BatchSlot]:
        """
        Open the slots, in the order of their use; the caller closes them.

        :param rule: predictions that the head needs; None for all.
        """


class SlotPool(Sequence[BatchSlot]):
    """
    Slots of an engine, used in turn; they belong to the engine's thread.

    Its cuda_graph is that of the source of its slots. Its candidate_head decodes candidates; it is
    None if the slots give whole outputs.

    :param engine: the slots fill its input; it stays the caller's.
    """

    def __init__(self, engine: InferenceEngine) -> None:
        self._engine = engine
        self._slots: tuple[BatchSlot, ...] = ()
        self._free: deque[BatchSlot] = deque()
        self._threads: ThreadPoolExecutor | None = None
        self.cuda_graph: CudaGraphUse | None = None
        self.candidate_head: CandidateHead | None = None

    def __len__(self) -> int:
        return len(self._slots)

    @overload
    def __getitem__(self, index: int) -> BatchSlot: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[BatchSlot, ...]: ...

    def __getitem__(self, index: int | slice) -> BatchSlot | tuple[BatchSlot, ...]:
        return self._slots[index]

    def open(self, preprocessor: Preprocessor, head: Head) -> None:
        """
        Open the slots for a preprocessor and a head, at the engine's current input size.

        :raises EngineError: if they cannot be allocated.
        """
        self.close()
        if isinstance(preprocessor, SlotSource):
            self.candidate_head = head if isinstance(head, CandidateHead) else None
            rule = None if self.candidate_head is None else self.candidate_head.candidate_rule
            self._slots = tuple(preprocessor.open_slots(rule))
            self.cuda_graph = preprocessor.cuda_graph
        else:
            self._slots, self.cuda_graph = self._open_host_slots(), None
        self._free.extend(self._slots)

    def _open_host_slots(self) -> tuple[HostSlot, ...]:
        """
        Open the slots of an engine that takes its batch from host memory.

        With parallel runs, there is one slot more than runs: it is filled while the others run.
        """
        runs = self._engine.get_parallel_runs()
        if runs == 1:
            return (HostSlot(self._engine),)
        self._threads = ThreadPoolExecutor(runs, thread_name_prefix='run')
        return tuple(HostSlot(self._engine, self._threads) for _ in range(runs + 1))

    def acquire(self) -> BatchSlot:
        """
        Return the slot for the next batch.

        :raises EngineError: if all are in flight.
        """
        if not self._free:
            raise EngineError(f'{len(self)} batches are in flight; collect the first one')
        return self._free.popleft()

    def release(self, slot: BatchSlot) -> None:
        """Release the slot of a batch whose outputs are no longer needed."""
        self._free.append(slot)

    def release_failed(self, slot: BatchSlot) -> None:
        """Discard a batch that failed and release its slot."""
        self._free.append(slot)
        slot.abandon()

    def close(self) -> None:
        """Free the slots; calling it again does nothing."""
        self._free.clear()
        slots, self._slots = self._slots, ()
        with self._engine.device_lock():
            for slot in slots:
                slot.close()
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown()
