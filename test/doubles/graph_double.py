# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Double of the driver's functions for CUDA graphs, on the streams of the CUDA double."""

from __future__ import annotations

from typing import Any

from trt_detector.gpu import device_lock as locks

from doubles.cuda_double import CudaDouble

_INVALIDATED = 901
_WORDS = {
    _INVALIDATED: b'operation failed due to a previous error during capture',
    700: b'an illegal memory access was encountered',
}


class GraphDriverDouble:
    """
    Double of libcuda.so.1 as gpu/cuda_graph.py calls it.

    :param world: state with the captured streams. Its graph_node is the kind of every captured
        node: 'kernel', 'host', or a copy 'host to device' or 'device to device'. graph_runs is the
        number of nodes that a launch runs (None for all), fail_launch the status of a launch.
    """

    def __init__(self, world: CudaDouble) -> None:
        self._world = world

    def cuStreamBeginCapture_v2(self, handle: Any, mode: int) -> int:  # noqa: N802
        assert mode == 2, 'the runtime could not allocate memory'
        self._world.require_context('cuStreamBeginCapture')
        record = self._world.streams[handle.value]
        assert record.flags == 1, (
            'copies of other threads in the default stream would invalidate it'
        )
        lock = locks._DEVICE_LOCKS.get(self._world.stack()[-1].number)
        # A test may put another kind of lock there.
        owned = getattr(lock, '_is_owned', lambda: lock is not None)
        assert owned(), 'another thread could open an engine meanwhile and invalidate it'
        assert record.capture_from is None
        record.capture_from, record.capture_broken = len(record.queue), False
        return 0

    def cuStreamEndCapture(self, handle: Any, graph: Any) -> int:  # noqa: N802
        record = self._world.streams[handle.value]
        assert record.capture_from is not None
        work = record.queue[record.capture_from :]
        del record.queue[record.capture_from :]
        record.capture_from = None
        if record.capture_broken:
            return _INVALIDATED
        graph._obj.value = self._keep('graphs', work)
        return 0

    def cuGraphGetNodes(self, graph: Any, nodes: Any, count: Any) -> int:  # noqa: N802
        work = self._world.graphs[graph.value]
        count._obj.value = len(work)
        for i in range(len(work) if nodes is not None else 0):
            nodes[i] = i + 1
        return 0

    def cuGraphNodeGetType(self, node: Any, kind: Any) -> int:  # noqa: N802
        kind._obj.value = {'kernel': 0, 'host': 3}.get(self._world.graph_node, 1)
        return 0

    def cuGraphMemcpyNodeGetParams(self, node: Any, copy: Any) -> int:  # noqa: N802
        source, _, target = self._world.graph_node.partition(' to ')
        for side, kind in ((copy._obj.source, source), (copy._obj.target, target)):
            side.memory_type, side.device = 4, {'host': 1, 'device': 2}[kind]
        return 0

    def cuPointerGetAttribute(self, value: Any, attribute: int, pointer: Any) -> int:  # noqa: N802
        assert attribute == 2
        value._obj.value = pointer.value
        return 0

    def cuGraphInstantiateWithFlags(self, executable: Any, graph: Any, flags: Any) -> int:  # noqa: N802
        work = self._world.graphs[graph.value]
        executable._obj.value = self._keep('executables', work)
        return 0

    def cuGraphLaunch(self, executable: Any, handle: Any) -> int:  # noqa: N802
        self._world.require_context('cuGraphLaunch')
        if self._world.fail_launch:
            return self._world.fail_launch
        work = self._world.executables[executable.value][: self._world.graph_runs]
        self._world.streams[handle.value].queue.extend(work)
        self._world.graph_launches += 1
        return 0

    def cuGraphDestroy(self, graph: Any) -> int:  # noqa: N802
        del self._world.graphs[graph.value]
        return 0

    def cuGraphExecDestroy(self, executable: Any) -> int:  # noqa: N802
        self._world.require_context('cuGraphExecDestroy')
        del self._world.executables[executable.value]
        return 0

    def cuGetErrorString(self, status: int, text: Any) -> int:  # noqa: N802
        text._obj.value = _WORDS[status]
        return 0

    def _keep(self, shelf: str, work: list[Any]) -> int:
        """Store captured work under a new handle of the world."""
        shelves: dict[int, list[Any]] = getattr(self._world, shelf)
        number = next(self._world._handles)
        shelves[number] = work
        return number
