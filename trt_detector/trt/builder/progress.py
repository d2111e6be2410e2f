# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Progress and cancellation of a build."""

from __future__ import annotations

import threading
import time
from typing import Any

from ...errors import BuildCancelledError
from ...values.progress import Progress, ProgressCallback
from ..interrupts import deferred_interrupt
from ..library import TensorRTLibrary

__all__ = ['BuildProgress', 'make_progress_monitor']

_HEARTBEAT_S = 0.5
_SHORTEST_S = 0.1


class _Phase:
    """Phase of a build; phases of TensorRT are nested."""

    __slots__ = ('done', 'name', 'parent', 'steps')

    def __init__(self, name: str, parent: str | None, steps: int) -> None:
        self.name = name
        self.parent = parent
        self.steps = max(1, steps)
        self.done = 0


class BuildProgress:
    """
    Progress of a build, reported at most ten times per second.

    Use it as a context manager: while it is open, a heartbeat thread repeats the last phase with
    the elapsed time, so that long phases, and versions of TensorRT without progress, are not
    silent. An exception of the callback and Ctrl-C cancel the build; they are raised when the
    context closes.
    All methods may be called from any thread.

    :param on_progress: callback, called with no lock held; None for no reports.
    :param cancel: event that cancels the build; None if it cannot be cancelled.
    """

    def __init__(
        self, on_progress: ProgressCallback | None, cancel: threading.Event | None
    ) -> None:
        self._on_progress = on_progress
        self._cancel = cancel
        self._lock = threading.Lock()
        self._calling = threading.Lock()
        self._phases: dict[str, _Phase] = {}
        self._text = 'starting'
        self._fraction: float | None = None
        self._start = time.monotonic()
        self._notified_s = -1.0
        self._failure: BaseException | None = None
        self._interrupts = deferred_interrupt(self._fail)
        self._ended = threading.Event()
        self._heartbeat: threading.Thread | None = None

    def __enter__(self) -> BuildProgress:
        # TensorRT drops exceptions of its progress monitor and logger.
        self._interrupts.__enter__()
        self._heartbeat = threading.Thread(target=self._repeat, name='build_progress', daemon=True)
        self._heartbeat.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._heartbeat is not None:
            self._heartbeat.join()
        self._interrupts.__exit__(None, None, None)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    @property
    def cancelled(self) -> bool:
        """Return whether the build has to end, because of the user or of a failed callback."""
        return self._failure is not None or (self._cancel is not None and self._cancel.is_set())

    def check(self) -> None:
        """
        End a cancelled build.

        :raises BuildCancelledError: if the build was cancelled.
        """
        if self.cancelled:
            elapsed = time.monotonic() - self._start
            raise BuildCancelledError(f'the build was cancelled after {elapsed:.1f} s')

    def report(self, text: str, fraction: float | None = None) -> None:
        """Report a step outside of TensorRT's phases (loading, parsing, inspecting)."""
        with self._lock:
            self._text, self._fraction = text, fraction
            self._notified_s = -1.0
        self._notify()

    def phase_start(self, name: str, parent: str | None, steps: int) -> None:
        """Record the start of a phase of TensorRT."""
        with self._lock:
            self._phases[name] = _Phase(name, parent, steps)
            self._text = name
            self._fraction = self._total()
        self._notify()

    def step_complete(self, name: str, step: int) -> bool:
        """Record a step; return whether the build continues."""
        with self._lock:
            if name in self._phases:
                self._phases[name].done = step + 1
            self._fraction = self._total()
        self._notify()
        return not self.cancelled

    def phase_finish(self, name: str) -> None:
        """Record the end of a phase of TensorRT."""
        with self._lock:
            phase = self._phases.pop(name, None)
            if phase is not None and phase.parent is None:
                self._fraction = 1.0
        self._notify()

    def _fail(self, error: BaseException) -> None:
        """Cancel the build, and raise an exception when the context closes."""
        self._failure = error

    def _total(self) -> float | None:
        """Return the fraction of the whole build; it never decreases."""
        root = next((phase for phase in self._phases.values() if phase.parent is None), None)
        if root is None:
            return self._fraction
        fraction = min(1.0, self._share(root, depth=0))
        return max(fraction, self._fraction or 0.0)

    def _share(self, phase: _Phase, depth: int) -> float:
        """Return the fraction of a phase; its running children count toward the next step."""
        children = [p for p in self._phases.values() if p.parent == phase.name]
        inner = max((self._share(p, depth + 1) for p in children), default=0.0) if depth < 8 else 0
        return min(1.0, (phase.done + min(inner, 1.0)) / phase.steps)

    def _repeat(self) -> None:
        """Report the last phase periodically until the end."""
        while not self._ended.wait(_HEARTBEAT_S):
            self._notify()

    def _notify(self) -> None:
        """Call the callback, unless it was called less than 0.1 s ago or is running."""
        if self._on_progress is None or self._failure is not None:
            return
        now = time.monotonic()
        with self._lock:
            if self._notified_s >= 0 and now - self._notified_s < _SHORTEST_S:
                return
            self._notified_s = now
            progress = Progress(self._text, self._fraction, now - self._start)
        if not self._calling.acquire(blocking=False):
            return
        try:
            self._on_progress(progress)
        except BaseException as error:  # noqa: BLE001 - must not pass through C++; see __exit__
            self._fail(error)
        finally:
            self._calling.release()


def make_progress_monitor(library: TensorRTLibrary, progress: BuildProgress) -> Any:
    """Create an IProgressMonitor that reports to progress; the caller keeps it alive."""
    base: Any = library.trt.IProgressMonitor

    class _Monitor(base):
        def __init__(self) -> None:
            # pybind11 trampoline: without this call the first callback crashes.
            base.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            progress.phase_start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return progress.step_complete(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            progress.phase_finish(phase_name)

    return _Monitor()
