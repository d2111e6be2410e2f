# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Preprocessing on the device, directly into the input of an engine."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
import functools
import logging

from ..engine import BatchSlot, InferenceEngine
from ..errors import BackendUnavailableError, EngineError
from ..image.image import Image
from ..image.shared_values import SharedValues
from ..preprocess import InputLayout, Letterbox, PreprocessSpec
from ..values.candidates import CandidateRule
from ..values.engine_info import CudaGraphUse
from .context import make_stream
from .device_engine import DeviceEngine
from .device_info import DeviceInfo, read_device
from .device_lock import device_lock
from .device_slot import DeviceSlot, SlotTarget
from .kernels.candidates import CandidateFilter
from .kernels.letterbox import KERNEL_ENCODINGS, LetterboxKernel
from .network_runner import BUILD_IN_PROGRESS, capture_graphs
from .shared_streams import SharedStreams
from .uploads.jpeg_decoder import JpegDecoder
from .uploads.shared_uploads import SharedUploads

__all__ = ['DevicePreprocessor', 'preprocess_on_device']

_LOG = logging.getLogger(__name__)

# One batch is uploaded, one runs, and one is decoded by the host.
_SLOTS = 3
# One core does not saturate the bus; more than a few compete for memory bandwidth.
_COPIERS = 4


class DevicePreprocessor:
    """
    Preprocessor that fills batch slots, as :class:`..preprocess.CpuPreprocessor` fills arrays.

    It belongs to the engine's thread.

    :param spec: preprocessing that the network expects.
    :param engine: engine whose input it fills, at the current input size.
    :param mapped_memory: let the device access page-locked host memory directly: 'on', 'off', or
        'auto' to do so if the GPU shares the system memory.
    :param cuda_graph: capture the network as CUDA graphs if possible.
    :raises BackendUnavailableError: if the kernel cannot be loaded.
    :raises ModelError: if the input is not an image of 1 or 3 channels.
    """

    def __init__(
        self,
        spec: PreprocessSpec,
        engine: DeviceEngine,
        *,
        mapped_memory: str,
        cuda_graph: bool,
    ) -> None:
        device = read_device(engine.device_id)
        self._compute_capability = device.compute_capability
        height, width = engine.get_input_shape()
        self._spec = spec
        self._engine = engine
        self._input_size = (width, height)
        self._cuda_graph = cuda_graph
        self.cuda_graph: CudaGraphUse | None = None
        self._mapped = _choose_mapped(mapped_memory, device)
        layout, capability = InputLayout.of(engine.input_spec), device.compute_capability
        with device_lock(engine.device_id):
            self._kernel: LetterboxKernel | None = LetterboxKernel(
                engine.cuda, spec, layout, (height, width), capability
            )

    def open_slots(self, rule: CandidateRule | None) -> Sequence[BatchSlot]:
        """
        Open the batch slots, which take ownership of the kernel; it can be called once.

        :param rule: candidates that the head needs; None for all predictions.
        :raises EngineError: if it was called before, or the memory cannot be allocated.
        """
        kernel, self._kernel = self._kernel, None
        if kernel is None:
            raise EngineError('open_slots() was called twice')
        cuda = self._engine.cuda
        copiers = ThreadPoolExecutor(_COPIERS, thread_name_prefix='copy')
        slots: list[DeviceSlot] = []
        with device_lock(self._engine.device_id), ExitStack() as undo:
            candidates = self._load_filter(rule)
            streams = SharedStreams(
                kernel,
                make_stream(cuda),
                make_stream(cuda),
                copiers,
                SharedUploads.join(cuda, self._engine.device_id, mapped=self._mapped),
                JpegDecoder(self._engine.device_id),
                candidates,
            )
            # Otherwise a traceback would keep the streams alive longer than their context.
            undo.callback(streams.close)
            for _ in range(_SLOTS):
                slots.append(DeviceSlot(self._engine, streams, mapped=self._mapped))
                undo.callback(slots[-1].close)
            if self._cuda_graph:
                self._capture(slots)
            # The slots are cleared in the engine's stream and filled in the upload stream.
            self._engine.stream.synchronize()
            undo.pop_all()
        return slots

    def _load_filter(self, rule: CandidateRule | None) -> CandidateFilter | None:
        """Load the candidate filter, None if there is no rule or the kernels do not load."""
        if rule is None:
            return None
        try:
            return CandidateFilter(self._engine.cuda, rule, self._compute_capability)
        except BackendUnavailableError as error:
            _LOG.warning('no candidate filter, all outputs are copied to the host: %s', error)
            return None

    def _capture(self, slots: Sequence[DeviceSlot]) -> None:
        """Let the slots run the network as CUDA graphs if possible."""
        reason = capture_graphs(self._engine, [slot.runner for slot in slots])
        self.cuda_graph = CudaGraphUse(not reason, reason)
        _LOG.log(
            logging.WARNING if reason == BUILD_IN_PROGRESS else logging.INFO,
            'CUDA graph: %s',
            self.cuda_graph,
        )

    def __call__(self, image: Image, out: SlotTarget) -> Letterbox:
        """
        Upload an image into a batch slot; the kernel runs when the slot starts.

        :param image: image of any size and encoding; encodings that the kernel does not support
            are converted to bgr8 first.
        :param out: image of the batch slot to fill.
        :return: position of the image in the network's input.
        """
        letterbox = _fit(image.width, image.height, self._input_size, self._spec)
        if image.decoded is not None:
            if out.slot.load_jpeg(out.index, image, letterbox):
                return letterbox
            reduction = image.find_reduction(letterbox.resized_size)
            letterbox = replace(letterbox, reduction=reduction)
            image = image.decode(reduction)
        out.slot.load(out.index, self.convert(image), letterbox)
        return letterbox

    def convert(self, image: Image) -> Image:
        """Decode a JPEG, and convert an image to bgr8 if the kernel lacks its encoding."""
        image = image.decode()
        if image.encoding in KERNEL_ENCODINGS:
            return image
        if image.shared is None:
            return Image.from_array(image.to_bgr())
        converted: Image = image.shared.get(
            'bgr8', lambda: replace(Image.from_array(image.to_bgr()), shared=SharedValues())
        )
        return converted

    def fill_parts(
        self,
        image: Image,
        boxes_xyxy: Sequence[tuple[int, int, int, int]],
        targets: Sequence[SlotTarget],
    ) -> tuple[Letterbox, ...]:
        """
        Upload an image once for several parts; see :class:`..preprocess.Preprocessor`.

        Of a single part, only its own pixels are uploaded.
        """
        if len(targets) == 1:
            whole = (0, 0, image.width, image.height)
            part = image if boxes_xyxy[0] == whole else image.crop(boxes_xyxy[0])
            return (self(part, targets[0]),)
        letterboxes = tuple(
            _fit(right - left, bottom - top, self._input_size, self._spec)
            for left, top, right, bottom in boxes_xyxy
        )
        targets[0].slot.load_parts(
            [target.index for target in targets], image, boxes_xyxy, letterboxes
        )
        return letterboxes


@functools.lru_cache(maxsize=64)
def _fit(width: int, height: int, input_size: tuple[int, int], spec: PreprocessSpec) -> Letterbox:
    """Return the letterbox of an image size; a camera's images all have the same size."""
    return Letterbox.fit((width, height), input_size, spec)


def preprocess_on_device(
    spec: PreprocessSpec,
    engine: InferenceEngine,
    *,
    mapped_memory: str = 'auto',
    cuda_graph: bool = True,
) -> DevicePreprocessor | None:
    """
    Create the preprocessor of an engine on a device, None if the CPU has to preprocess.

    For the parameters see :class:`DevicePreprocessor`.
    """
    if not isinstance(engine, DeviceEngine) or not engine.works_on_device:
        return None
    try:
        return DevicePreprocessor(spec, engine, mapped_memory=mapped_memory, cuda_graph=cuda_graph)
    except BackendUnavailableError as error:
        _LOG.warning('images are preprocessed on the CPU: %s', error)
        return None


def _choose_mapped(mapped_memory: str, device: DeviceInfo) -> bool:
    """Return whether to use mapped host memory, and log the reason."""
    mapped = device.integrated if mapped_memory == 'auto' else mapped_memory == 'on'
    effect = (
        'the GPU reads images from and writes results to the system memory'
        if mapped
        else 'images and results are copied to and from the GPU memory'
    )
    reason = f'mapped_memory is {mapped_memory}'
    if mapped_memory == 'auto':
        memory = 'shares the system memory' if mapped else 'has its own memory'
        reason += f' and {device.name} {memory}'
    _LOG.info('%s: %s', effect, reason)
    return mapped
