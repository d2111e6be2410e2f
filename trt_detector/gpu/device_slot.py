# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""One batch on its way through the device: upload, kernel, network, download."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
import logging
import math
from typing import Any

import numpy.typing as npt

from ..engine import BatchSlot
from ..errors import EngineError
from ..image.image import Image
from ..preprocess import Letterbox
from ..values.candidates import Candidates
from .device_engine import DeviceEngine
from .image_upload import ImageUpload
from .kernels.candidates import CandidateFilter, CandidateSlot, is_worth_filtering
from .kernels.letterbox import LetterboxJob, LetterboxKernel
from .network_runner import NetworkRunner

__all__ = ['DeviceSlot', 'SharedStreams', 'SlotTarget']

_LOG = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class SharedStreams:
    """
    What the slots of an engine share.

    The engine's stream has the network alone; what comes before and after it runs beside the
    network of another slot. Events order the three.

    :param kernel: fills the input.
    :param upload: stream of the images and of the kernel.
    :param download: stream of the outputs and of the candidates.
    :param copiers: threads that copy images to page-locked memory.
    :param candidates: picks those of a raw head, None where all outputs are copied.
    :param users: slots that are open.
    """

    kernel: LetterboxKernel
    upload: Any
    download: Any
    copiers: ThreadPoolExecutor
    candidates: CandidateFilter | None = None
    users: int = 0

    def leave(self) -> None:
        """Close them when the last slot leaves."""
        self.users -= 1
        if not self.users:
            self.close()

    def close(self) -> None:
        """Drop kernels, streams and threads while the context is current."""
        self.copiers.shutdown()
        self.kernel.close()
        if self.candidates is not None:
            self.candidates.close()
        self.upload = self.download = None


@dataclass(frozen=True, slots=True, eq=False)
class SlotTarget:
    """Place of one image in a slot."""

    slot: DeviceSlot
    index: int


class DeviceSlot(BatchSlot):
    """
    Memory and events of one batch. The engine's context has to be current for every call.

    :param engine: runs the network.
    :param lanes: shared with the engine's other slots.
    :param mapped: see :class:`.image_stage.ImageUpload`.
    :raises EngineError: if the memory is not to be had.
    """

    def __init__(self, engine: DeviceEngine, lanes: SharedStreams, *, mapped: bool) -> None:
        cuda = engine.cuda
        self._engine = engine
        self._lanes: SharedStreams | None = lanes
        lanes.users += 1
        self._jobs: list[LetterboxJob] = []
        self._count = 0
        self._copies: list[tuple[ImageUpload, Future[object]]] = []
        self._views: list[npt.NDArray[Any]] = []
        self._resources = ExitStack()
        with ExitStack() as undo:
            undo.callback(self.close)
            shape = engine.batch_shape(engine.padded_batch_size())
            self._image_bytes = math.prod(shape[1:]) * engine.input_spec.dtype.itemsize
            try:
                self._input: Any = cuda.mem_alloc(shape[0] * self._image_bytes)
            except cuda.Error as error:
                raise EngineError(
                    f'no device memory for a batch of {list(shape)}: {error}; lower '
                    'batch_size, or free memory'
                ) from error
            self._resources.callback(self._input.free)
            # What lies behind a small batch is read by networks of a fixed one.
            cuda.memset_d8_async(int(self._input), 0, shape[0] * self._image_bytes, engine.stream)
            self._outputs = engine.make_outputs(mapped=mapped)
            for buffer in self._outputs:
                self._resources.callback(buffer.free)
            self._candidates = self._open_candidates(lanes.candidates)
            self.runner = NetworkRunner(engine, int(self._input), self._outputs)
            self._resources.callback(self.runner.drop_graphs)
            self._stages = [ImageUpload(cuda, mapped=mapped) for _ in range(shape[0])]
            for stage in self._stages:
                self._resources.callback(stage.free)
            # Blocking: a thread that spins until the GPU is done burns a core.
            flags = cuda.event_flags.BLOCKING_SYNC | cuda.event_flags.DISABLE_TIMING
            self._events: list[Any] = [cuda.Event(flags) for _ in range(3)]
            self._marks: list[Any] = []
            undo.pop_all()

    def targets(self, count: int) -> Sequence[SlotTarget]:
        """Return the places of count images."""
        self._engine.check_thread()
        self._jobs = []
        self._count = count
        self._mark(0, self._open_lanes().upload)
        return [SlotTarget(self, index) for index in range(count)]

    def load(self, index: int, image: Image, place: Letterbox) -> None:
        """
        Send an image on its way.

        The images of a batch are copied side by side.

        :param image: in an encoding of the kernel; not needed once start() returns, unless it is
            page-locked.
        """
        lanes, stage = self._open_lanes(), self._stages[index]
        try:
            staged, work = stage.begin(image, place)
            if work is not None and self._count > 1:
                self._copies.append((stage, lanes.copiers.submit(work)))
            else:
                if work is not None:
                    work()
                stage.send(lanes.upload)
        except self._engine.cuda.Error as error:
            raise EngineError(f'CUDA failed to copy an image: {error}') from error
        self._jobs.append(
            LetterboxJob(
                source=staged.address,
                target=int(self._input) + index * self._image_bytes,
                chroma_offset=staged.chroma_offset,
                step=staged.step,
                encoding=image.encoding,
                place=place,
                gathered=staged.gathered,
            )
        )

    def start(self, count: int, least_score: float) -> None:
        """Queue kernel, network and download; return at once."""
        try:
            self._enqueue(count, least_score)
        except self._engine.cuda.Error as error:
            raise EngineError(f'CUDA failed to start the network: {error}') from error

    def wait(self) -> None:
        """Wait for the network, and for nothing else."""
        self._wait_for(self._events[1])

    def finish(self) -> list[npt.NDArray[Any]]:
        """Wait for the download, and for nothing else, and return it."""
        self._wait_for(self._events[2])
        return self._views

    def _wait_for(self, event: Any) -> None:
        """Wait until the device has passed an event."""
        try:
            event.synchronize()
        except self._engine.cuda.Error as error:
            raise EngineError(f'CUDA failed while the network ran: {error}') from error

    def get_candidates(self) -> list[Candidates] | None:
        """Return the candidates, as :class:`..engine.BatchSlot` says."""
        return None if self._candidates is None else self._candidates.read()

    def time_stages(self) -> bool:
        """Let CUDA events time the stages from now on."""
        flags = self._engine.cuda.event_flags.BLOCKING_SYNC
        self._marks = [self._engine.cuda.Event(flags) for _ in range(6)]
        return True

    def get_stage_ms(self) -> Mapping[str, float]:
        """
        Return the times of the batch that finished last.

        The upload runs from the first image to the last, what the host did between them included.
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
        except self._engine.cuda.Error as error:
            raise EngineError(f'CUDA failed to time the stages: {error}') from error

    def abandon(self) -> None:
        """Wait until nothing of the slot runs any more."""
        if self._lanes is None:
            return
        wait([copy for _, copy in self._copies])
        self._copies.clear()
        for stream in (self._lanes.upload, self._engine.stream, self._lanes.download):
            try:
                stream.synchronize()
            except self._engine.cuda.Error as error:
                _LOG.warning('CUDA failed after an inference that failed: %s', error)

    def close(self) -> None:
        """Free the memory once nothing of it is in use; calling it again does nothing."""
        self.abandon()
        self._views, self._events, self._marks = [], [], []
        self._resources.close()
        lanes, self._lanes = self._lanes, None
        if lanes is not None:
            lanes.leave()

    def _open_candidates(self, kernels: CandidateFilter | None) -> CandidateSlot | None:
        """Return what picks the candidates, None where it is not worth it."""
        if kernels is None or not is_worth_filtering(kernels.rule, self._outputs):
            return None
        picked = CandidateSlot(self._engine.cuda, kernels, self._outputs[kernels.rule.output])
        self._resources.callback(picked.free)
        return picked

    def _enqueue(self, count: int, least_score: float) -> None:
        """Queue everything behind the uploads."""
        lanes, stream = self._open_lanes(), self._engine.stream
        prepared, computed, done = self._events
        for stage, copy in self._copies:
            copy.result()
            stage.send(lanes.upload)
        self._copies.clear()
        self._mark(1, lanes.upload)
        lanes.kernel.launch(self._jobs, lanes.upload)
        self._mark(2, lanes.upload)
        prepared.record(lanes.upload)
        stream.wait_for_event(prepared)
        self._mark(3, stream)
        shapes = self.runner.enqueue(count)
        self._mark(4, stream)
        computed.record(stream)
        lanes.download.wait_for_event(computed)
        if self._candidates is None:
            self._download(count, shapes, lanes.download)
        else:
            shape = shapes[self._candidates.output]
            self._candidates.enqueue(shape, count, least_score, lanes.download)
        self._mark(5, lanes.download)
        done.record(lanes.download)

    def _download(self, count: int, shapes: Sequence[tuple[int, ...]], stream: Any) -> None:
        """Queue the copies of the outputs."""
        views = [buffer.view(shape) for buffer, shape in zip(self._outputs, shapes, strict=True)]
        for buffer, view in zip(self._outputs, views, strict=True):
            buffer.download(view, stream)
        # An output without a batch dimension is that of the one image of a batch of one.
        padded = count < self._engine.padded_batch_size()
        self._views = [view[:count] for view in views] if padded else views

    def _mark(self, number: int, stream: Any) -> None:
        """Note in a stream that a stage begins or ends, where the stages are timed."""
        if self._marks:
            self._marks[number].record(stream)

    def _open_lanes(self) -> SharedStreams:
        """Return the lanes, or raise EngineError where the slot is closed."""
        if self._lanes is None:
            raise EngineError('a slot was used after close()')
        return self._lanes
