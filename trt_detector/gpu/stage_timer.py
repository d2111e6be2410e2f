# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Times of the stages of a batch on the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .cuda_errors import make_engine_error

__all__ = ['StageTimer']


class StageTimer:
    """
    CUDA events between the stages of a batch; none before :meth:`start`.

    :param cuda: CUDA bindings; the context must be current for every call.
    """

    def __init__(self, cuda: Any) -> None:
        self._cuda = cuda
        self._marks: list[Any] = []

    def start(self) -> None:
        """Time the stages from now on."""
        flags = self._cuda.event_flags.BLOCKING_SYNC
        self._marks = [self._cuda.Event(flags) for _ in range(6)]

    def mark(self, number: int, stream: Any) -> None:
        """Record the begin or end of a stage in a stream if the stages are timed."""
        if self._marks:
            self._marks[number].record(stream)

    def get_stage_ms(self) -> Mapping[str, float]:
        """
        Return the times of the last finished batch in milliseconds per stage.

        The upload lasts from the first image to the last, host work in between included.

        :raises EngineError: if CUDA reports an error.
        """
        if not self._marks:
            return {}
        began, uploaded, prepared, ready, computed, done = self._marks
        try:
            return {
                'upload': began.time_till(uploaded),
                'kernel': uploaded.time_till(prepared),
                'network': ready.time_till(computed),
                'download': computed.time_till(done),
            }
        except self._cuda.Error as error:
            raise make_engine_error('CUDA failed to time the stages', error) from error

    def close(self) -> None:
        """Free the events."""
        self._marks = []
