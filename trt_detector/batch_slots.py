# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""The batches that a detector has under way at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import overload, Protocol, runtime_checkable

from .decode import CandidateHead, Head
from .engine import BatchSlot, HostSlot, InferenceEngine
from .errors import EngineError
from .preprocess import Preprocessor
from .values.candidates import CandidateRule
from .values.engine_info import CudaGraphUse

__all__ = ['SlotPool', 'SlotSource']


@runtime_checkable
class SlotSource(Protocol):
    """
    A preprocessor that fills slots of its own: it works on the device, say.

    :attr:`cuda_graph` is known once the slots are open.
    """

    cuda_graph: CudaGraphUse | None

    def open_slots(self, rule: CandidateRule | None) -> Sequence[BatchSlot]:
        """
        Return the slots, first to be used first; the caller closes them.

        :param rule: which predictions the head has to see; None for all.
        """


class SlotPool(Sequence[BatchSlot]):
    """
    The slots of an engine, used one after the other; they belong to the engine's thread.

    Its cuda_graph is that of the source of its slots. Its candidate_head decodes candidates; it is
    None if the slots give whole outputs.

    :param engine: whose input they fill; it stays the caller's.
    """

    def __init__(self, engine: InferenceEngine) -> None:
        self._engine = engine
        self._slots: tuple[BatchSlot, ...] = ()
        self._free: deque[BatchSlot] = deque()
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
        Make the slots for a preprocessor and a head, at the engine's present input size.

        :raises EngineError: if there is no memory for them.
        """
        self.close()
        if isinstance(preprocessor, SlotSource):
            self.candidate_head = head if isinstance(head, CandidateHead) else None
            rule = None if self.candidate_head is None else self.candidate_head.candidate_rule
            self._slots = tuple(preprocessor.open_slots(rule))
            self.cuda_graph = preprocessor.cuda_graph
        else:
            self._slots, self.cuda_graph = (HostSlot(self._engine),), None
        self._free.extend(self._slots)

    def take(self) -> BatchSlot:
        """
        Return the slot for the next batch.

        :raises EngineError: if all are under way.
        """
        if not self._free:
            raise EngineError(f'{len(self)} batches are under way; collect the first one')
        return self._free.popleft()

    def give_back(self, slot: BatchSlot) -> None:
        """Take back the slot of a batch whose outputs are not needed any more."""
        self._free.append(slot)

    def release_failed(self, slot: BatchSlot) -> None:
        """Take back the slot of a batch that failed."""
        self._free.append(slot)
        slot.abandon()

    def close(self) -> None:
        """Free the slots; calling it again does nothing."""
        self._free.clear()
        slots, self._slots = self._slots, ()
        with self._engine.device_lock():
            for slot in slots:
                slot.close()
