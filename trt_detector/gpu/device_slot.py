# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Processing of one batch on the device: upload, kernel, network, download."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
import logging
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engine import BatchSlot
from ..errors import EngineError
from ..image.image import Image
from ..preprocess import Letterbox
from ..values.candidates import Candidates
from .cuda_errors import make_engine_error, propose_batch
from .device_engine import DeviceEngine
from .kernels.candidates import CandidateFilter, CandidateSlot, is_worth_filtering
from .kernels.letterbox import KERNEL_ENCODINGS, LetterboxJob
from .network_runner import NetworkRunner
from .shared_streams import SharedStreams
from .stage_timer import StageTimer
from .uploads.image_upload import ImageUpload, UploadedImage
from .uploads.jpeg_decoder import DecodedJpeg
from .uploads.shared_uploads import SharedUpload

__all__ = ['DeviceSlot', 'SlotTarget']

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class SlotTarget:
    """Index of one image in a batch slot."""

    slot: DeviceSlot
    index: int


class DeviceSlot(BatchSlot):
    """
    Memory and events of one batch. The engine's context must be current for every call.

    :param engine: engine that runs the network.
    :param streams: shared with the engine's other slots.
    :param mapped: see :class:`.uploads.image_upload.ImageUpload`.
    :raises EngineError: if the memory cannot be allocated.
    """

    def __init__(self, engine: DeviceEngine, streams: SharedStreams, *, mapped: bool) -> None:
        cuda = engine.cuda
        self._engine = engine
        self._streams: SharedStreams | None = streams
        streams.users += 1
        self._jobs: list[LetterboxJob] = []
        self._count = 0
        self._copies: list[tuple[ImageUpload, Future[object]]] = []
        self._shared: list[SharedUpload] = []
        # Bytes that the device reads; memory that images arrive in is used again without them.
        self._sources: list[npt.NDArray[np.uint8]] = []
        self._jpegs: list[tuple[int, Image, Letterbox]] = []
        self._decoded: list[DecodedJpeg] = []
        self._views: list[npt.NDArray[Any]] = []
        self._timer = StageTimer(cuda)
        self._resources = ExitStack()
        with ExitStack() as undo:
            undo.callback(self.close)
            shape = engine.batch_shape(engine.padded_batch_size())
            self._image_bytes = math.prod(shape[1:]) * engine.input_spec.dtype.itemsize
            try:
                self._input: Any = cuda.mem_alloc(shape[0] * self._image_bytes)
            except cuda.Error as error:
                raise make_engine_error(
                    f'cannot allocate {shape[0] * self._image_bytes / 2**20:.1f} MiB of device '
                    f'memory for a batch of shape {list(shape)}',
                    error,
                    f'; {propose_batch(shape[0])}, or close other programs',
                ) from error
            self._resources.callback(self._input.free)
            # A network of a fixed batch size also reads the images after a smaller batch.
            cuda.memset_d8_async(int(self._input), 0, shape[0] * self._image_bytes, engine.stream)
            self._outputs = engine.make_outputs(mapped=mapped)
            for buffer in self._outputs:
                self._resources.callback(buffer.free)
            self._candidates = self._open_candidates(streams.candidates)
            self.runner = NetworkRunner(engine, int(self._input), self._outputs)
            self._resources.callback(self.runner.drop_graphs)
            self._uploads = [
                ImageUpload(cuda, mapped=mapped, locks=streams.shared.locks)
                for _ in range(shape[0])
            ]
            for upload in self._uploads:
                self._resources.callback(upload.free)
            # Blocking: a thread that spins until the GPU is done occupies a core.
            flags = cuda.event_flags.BLOCKING_SYNC | cuda.event_flags.DISABLE_TIMING
            self._events: list[Any] = [cuda.Event(flags) for _ in range(3)]
            undo.pop_all()

    def targets(self, count: int) -> Sequence[SlotTarget]:
        """Return the targets of count images."""
        self._engine.check_thread()
        self._jobs, self._jpegs = [], []
        self._count = count
        self._timer.mark(0, self._get_streams().upload)
        return [SlotTarget(self, index) for index in range(count)]

    def load(self, index: int, image: Image, letterbox: Letterbox) -> None:
        """
        Begin the upload of an image; the images of a batch are copied in parallel.

        :param index: index of the image in the batch.
        :param image: in one of KERNEL_ENCODINGS; not used after start() unless its memory is
            locked.
        :param letterbox: position of the image in the input.
        :raises EngineError: if CUDA reports an error.
        """
        uploaded = self._upload(index, image, letterbox)
        self._add_job(index, image.encoding, uploaded, letterbox)

    def load_jpeg(self, index: int, image: Image, letterbox: Letterbox) -> bool:
        """
        Let a JPEG be decoded on the device when the slot starts, with the others of the batch.

        :param index: index of the image in the batch.
        :param image: image of any kind.
        :param letterbox: position of the image in the input.
        :return: False if the device does not decode it.
        """
        accepted = self._get_streams().jpegs.accepts(image)
        if accepted:
            self._jpegs.append((index, image, letterbox))
        return accepted

    def load_parts(
        self,
        indices: Sequence[int],
        image: Image,
        boxes_xyxy: Sequence[tuple[int, int, int, int]],
        letterboxes: Sequence[Letterbox],
    ) -> None:
        """
        Begin the upload of an image of which parts are used.

        :param indices: index of each part in the batch.
        :param image: as for :meth:`load`.
        :param boxes_xyxy: left, top, right and bottom of each part in pixels; even numbers, or
            edges of the image.
        :param letterboxes: position of each part in the input.
        :raises EngineError: if CUDA reports an error.
        """
        uploaded = self._upload(indices[0], image, None)
        for index, (left, top, _, _), letterbox in zip(
            indices, boxes_xyxy, letterboxes, strict=True
        ):
            offset = top * uploaded.step + left * KERNEL_ENCODINGS[image.encoding][1]
            # The chroma planes have one byte per pixel in a row, and half as many rows.
            chroma = uploaded.chroma_offset + top // 2 * uploaded.step + left
            part = replace(
                uploaded, address=uploaded.address + offset, chroma_offset=chroma - offset
            )
            self._add_job(index, image.encoding, part, letterbox)

    def _upload(self, index: int, image: Image, letterbox: Letterbox | None) -> UploadedImage:
        """Begin the upload of an image; without a letterbox of all its rows."""
        streams, upload = self._get_streams(), self._uploads[index]
        try:
            if image.shared is not None:
                self._shared.append(streams.shared.get(image, letterbox, streams.upload))
                uploaded = self._shared[-1].image
            else:
                uploaded, work = upload.begin(image, letterbox)
                if work is None:
                    self._sources.append(image.data)
                if work is not None and self._count > 1:
                    self._copies.append((upload, streams.copiers.submit(work)))
                else:
                    if work is not None:
                        work()
                    upload.send(streams.upload)
        except self._engine.cuda.Error as error:
            raise make_engine_error('CUDA failed to copy an image', error) from error
        return uploaded

    def _add_job(
        self, index: int, encoding: str, uploaded: UploadedImage, letterbox: Letterbox
    ) -> None:
        """Let the kernel fill an image of the batch."""
        self._jobs.append(
            LetterboxJob(
                source=uploaded.address,
                target=int(self._input) + index * self._image_bytes,
                chroma_offset=uploaded.chroma_offset,
                step=uploaded.step,
                encoding=encoding,
                letterbox=letterbox,
                gathered=uploaded.gathered,
            )
        )

    def _decode_jpegs(self, streams: SharedStreams) -> None:
        """
        Decode the JPEG images of the batch on the device, or on the CPU if that fails.

        :raises ImageError: if the CPU cannot decode one, either.
        """
        jpegs, self._jpegs = self._jpegs, []
        if not jpegs:
            return
        decoded = streams.jpegs.decode([image for _, image, _ in jpegs], streams.upload)
        for (index, image, letterbox), found in zip(jpegs, decoded, strict=True):
            if found is None:
                self.load(index, image.decode(), letterbox)
                continue
            self._decoded.append(found)
            uploaded = UploadedImage(found.address, found.step, 0, gathered=False)
            self._add_job(index, found.encoding, uploaded, letterbox)

    def start(self, count: int, minimum_score: float) -> None:
        """Queue kernel, network and download; return at once."""
        try:
            self._enqueue(count, minimum_score)
        except self._engine.cuda.Error as error:
            raise make_engine_error('CUDA failed to start the network', error) from error

    def wait(self) -> None:
        """Wait for the network only."""
        self._wait_for(self._events[1])

    def finish(self) -> list[npt.NDArray[Any]]:
        """Wait for the download only, and return it."""
        self._wait_for(self._events[2])
        self._forget_images()
        return self._views

    def _forget_images(self) -> None:
        """Let the memory of the images go, which the device has read."""
        self._shared.clear()
        self._sources.clear()
        self._decoded.clear()

    def _wait_for(self, event: Any) -> None:
        """Wait until the device has reached an event."""
        try:
            event.synchronize()
        except self._engine.cuda.Error as error:
            raise make_engine_error('CUDA failed while the network ran', error) from error

    def get_candidates(self) -> list[Candidates] | None:
        """Return the candidates; see :class:`..engine.BatchSlot`."""
        return None if self._candidates is None else self._candidates.read()

    def time_stages(self) -> bool:
        """Time the stages with CUDA events from now on."""
        self._timer.start()
        return True

    def get_stage_ms(self) -> Mapping[str, float]:
        """Return the times of the last finished batch; see :class:`.stage_timer.StageTimer`."""
        return self._timer.get_stage_ms()

    def abandon(self) -> None:
        """Wait until no work of the slot is running."""
        if self._streams is None:
            return
        wait([copy for _, copy in self._copies])
        self._copies.clear()
        for stream in (self._streams.upload, self._engine.stream, self._streams.download):
            try:
                stream.synchronize()
            except self._engine.cuda.Error as error:
                _LOG.warning('CUDA failed after an inference that failed: %s', error)
        self._forget_images()

    def close(self) -> None:
        """Wait for the slot's work and free its memory; calling it again does nothing."""
        self.abandon()
        self._views, self._events = [], []
        self._timer.close()
        self._resources.close()
        streams, self._streams = self._streams, None
        if streams is not None:
            streams.leave()

    def _open_candidates(self, kernels: CandidateFilter | None) -> CandidateSlot | None:
        """Allocate the candidate buffers, None if filtering is not worth it."""
        if kernels is None or not is_worth_filtering(kernels.rule, self._outputs):
            return None
        candidates = CandidateSlot(self._engine.cuda, kernels, self._outputs[kernels.rule.output])
        self._resources.callback(candidates.free)
        return candidates

    def _enqueue(self, count: int, minimum_score: float) -> None:
        """Queue all work after the uploads."""
        streams, stream = self._get_streams(), self._engine.stream
        prepared, computed, done = self._events
        self._decode_jpegs(streams)
        for upload, copy in self._copies:
            copy.result()
            upload.send(streams.upload)
        self._copies.clear()
        self._timer.mark(1, streams.upload)
        streams.kernel.launch(self._jobs, streams.upload)
        self._timer.mark(2, streams.upload)
        prepared.record(streams.upload)
        stream.wait_for_event(prepared)
        self._timer.mark(3, stream)
        shapes = self.runner.enqueue(count)
        self._timer.mark(4, stream)
        computed.record(stream)
        streams.download.wait_for_event(computed)
        if self._candidates is None:
            self._download(count, shapes, streams.download)
        else:
            shape = shapes[self._candidates.output]
            self._candidates.enqueue(shape, count, minimum_score, streams.download)
        self._timer.mark(5, streams.download)
        done.record(streams.download)

    def _download(self, count: int, shapes: Sequence[tuple[int, ...]], stream: Any) -> None:
        """Queue the copies of the outputs."""
        views = [buffer.view(shape) for buffer, shape in zip(self._outputs, shapes, strict=True)]
        for buffer, view in zip(self._outputs, views, strict=True):
            buffer.download(view, stream)
        # An output without a batch dimension belongs to the only image of the batch.
        padded = count < self._engine.padded_batch_size()
        self._views = [view[:count] for view in views] if padded else views

    def _get_streams(self) -> SharedStreams:
        """
        Return the shared streams.

        :raises EngineError: if the slot is closed.
        """
        if self._streams is None:
            raise EngineError('a batch slot was used after close()')
        return self._streams
