# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Preprocessing on the device, straight into the engine's input."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
import functools
import logging

from ..engine import BatchSlot, InferenceEngine
from ..errors import BackendUnavailableError, EngineError
from ..image.image import Image
from ..preprocess import InputLayout, Letterbox, PreprocessSpec
from ..values.candidates import CandidateRule
from ..values.engine_info import CudaGraphUse
from .context import make_stream
from .device_engine import DeviceEngine
from .device_info import DeviceInfo, read_device
from .device_lock import device_lock
from .device_slot import DeviceSlot, SharedStreams, SlotTarget
from .kernels.candidates import CandidateFilter
from .kernels.letterbox import KERNEL_ENCODINGS, LetterboxKernel
from .network_runner import BEING_BUILT, capture_graphs

__all__ = ['DevicePreprocessor', 'preprocess_on_device']

_LOG = logging.getLogger(__name__)

# One batch is copied in, one runs, and one is decoded by the host.
_SLOTS = 3
# One core alone does not fill the bus; more than a few take turns at the memory.
_COPIERS = 4


class DevicePreprocessor:
    """
    Fills the slots that it opens, as :class:`..preprocess.CpuPreprocessor` fills arrays.

    It belongs to the engine's thread.

    :param engine: whose input it fills, at the size that it has now.
    :param mapped_memory: whether the device reads and writes page-locked memory itself: 'on',
        'off', or 'auto' for where it shares the machine's memory.
    :param cuda_graph: record the network as CUDA graphs where that is possible.
    :raises BackendUnavailableError: if the kernel cannot be loaded.
    :raises ModelError: if the input is not an image of 1 or 3 channels.
    """

    def __init__(
        self,
        spec: PreprocessSpec,
        engine: DeviceEngine,
        *,
        mapped_memory: str = 'auto',
        cuda_graph: bool = True,
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
        Return the slots, which take the kernel with them: it can be called once.

        :param rule: which predictions the head has to see; None for all.
        :raises EngineError: if it was called before, or the memory is not to be had.
        """
        kernel, self._kernel = self._kernel, None
        if kernel is None:
            raise EngineError('the slots of a preprocessor were opened twice')
        cuda = self._engine.cuda
        copiers = ThreadPoolExecutor(_COPIERS, thread_name_prefix='copy')
        slots: list[DeviceSlot] = []
        with device_lock(self._engine.device_id), ExitStack() as undo:
            picker = self._load_filter(rule)
            lanes = SharedStreams(kernel, make_stream(cuda), make_stream(cuda), copiers, picker)
            # Else the traceback would keep the streams beyond the life of the context.
            undo.callback(lanes.close)
            for _ in range(_SLOTS):
                slots.append(DeviceSlot(self._engine, lanes, mapped=self._mapped))
                undo.callback(slots[-1].close)
            if self._cuda_graph:
                self._capture(slots)
            # The slots are cleared in another stream than the one that fills them.
            self._engine.stream.synchronize()
            undo.pop_all()
        return slots

    def _load_filter(self, rule: CandidateRule | None) -> CandidateFilter | None:
        """Return the kernels that pick candidates, None where there is no rule for them."""
        if rule is None:
            return None
        try:
            return CandidateFilter(self._engine.cuda, rule, self._compute_capability)
        except BackendUnavailableError as error:
            _LOG.warning('all outputs are copied to the host: %s', error)
            return None

    def _capture(self, slots: Sequence[DeviceSlot]) -> None:
        """Let the slots run the network as CUDA graphs, where that is possible."""
        reason = capture_graphs(self._engine, [slot.runner for slot in slots])
        self.cuda_graph = CudaGraphUse(not reason, reason)
        _LOG.log(
            logging.WARNING if reason == BEING_BUILT else logging.INFO,
            'CUDA graph: %s',
            self.cuda_graph,
        )

    def __call__(self, image: Image, out: SlotTarget) -> Letterbox:
        """
        Send an image into its place; the kernel runs when the slot starts.

        :param image: of any size and encoding; what the kernel cannot read is converted first.
        :return: where the image lies in the network's input.
        """
        if image.encoding not in KERNEL_ENCODINGS:
            image = Image.from_array(image.to_bgr())
        place = _fit(image.width, image.height, self._input_size, self._spec)
        out.slot.load(out.index, image, place)
        return place


@functools.lru_cache(maxsize=64)
def _fit(width: int, height: int, input_size: tuple[int, int], spec: PreprocessSpec) -> Letterbox:
    """Return where an image of a size lies in the input; a camera's images are all of one."""
    return Letterbox.fit((width, height), input_size, spec)


def preprocess_on_device(
    spec: PreprocessSpec,
    engine: InferenceEngine,
    *,
    mapped_memory: str = 'auto',
    cuda_graph: bool = True,
) -> DevicePreprocessor | None:
    """
    Return the preprocessor of an engine that works on a device, None where the CPU has to.

    For the other parameters see :class:`DevicePreprocessor`.
    """
    if not isinstance(engine, DeviceEngine) or not engine.works_on_device:
        return None
    try:
        return DevicePreprocessor(spec, engine, mapped_memory=mapped_memory, cuda_graph=cuda_graph)
    except BackendUnavailableError as error:
        _LOG.warning('images are prepared by the CPU: %s', error)
        return None


def _choose_mapped(mapped_memory: str, device: DeviceInfo) -> bool:
    """Return whether the device works in page-locked memory itself, and log why."""
    mapped = device.integrated if mapped_memory == 'auto' else mapped_memory == 'on'
    what = (
        'the GPU reads images and writes results in the memory of the machine'
        if mapped
        else 'images and results are copied to and from the memory of the GPU'
    )
    why = f'mapped_memory is {mapped_memory}'
    if mapped_memory == 'auto':
        shares = 'shares the memory of the machine' if mapped else 'has memory of its own'
        why += f' and {device.name} {shares}'
    _LOG.info('%s: %s', what, why)
    return mapped
