# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""How far a build has come, and how it is given up."""

from __future__ import annotations

import threading
import time
from typing import Any

from ...errors import BuildCancelledError
from ...values.progress import Progress, ProgressCallback
from ..library import TensorRTLibrary

__all__ = ['BuildProgress', 'make_progress_monitor']

_HEARTBEAT_S = 0.5
_SHORTEST_S = 0.1


class _Phase:
    """One of TensorRT's nested phases."""

    __slots__ = ('done', 'name', 'parent', 'steps')

    def __init__(self, name: str, parent: str | None, steps: int) -> None:
        self.name = name
        self.parent = parent
        self.steps = max(1, steps)
        self.done = 0


class BuildProgress:
    """
    Collects the phases of a build from any thread and tells the caller at most ten times a second.

    Use it as a context manager: while it is open a heartbeat repeats the last phase with the
    elapsed time, so that a phase of minutes, or a TensorRT that reports nothing, is not silent.
    An exception of the callback ends the build and is raised when the context closes.

    :param on_progress: called with no lock held; None for nobody.
    :param cancel: set it to give up the build; None for never.
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
        self._told = -1.0
        self._failure: BaseException | None = None
        self._ended = threading.Event()
        self._heart: threading.Thread | None = None

    def __enter__(self) -> BuildProgress:
        self._heart = threading.Thread(target=self._beat, name='build_progress', daemon=True)
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._heart is not None:
            self._heart.join()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    @property
    def cancelled(self) -> bool:
        """Return whether the build shall end, because of the user or of a failed callback."""
        return self._failure is not None or (self._cancel is not None and self._cancel.is_set())

    def check(self) -> None:
        """
        Give up between two steps.

        :raises BuildCancelledError: if the build was cancelled.
        """
        if self.cancelled:
            elapsed = time.monotonic() - self._start
            raise BuildCancelledError(f'the build was cancelled after {elapsed:.1f} s')

    def say(self, text: str, fraction: float | None = None) -> None:
        """Begin a step of our own (loading, converting, parsing, checking)."""
        with self._lock:
            self._text, self._fraction = text, fraction
            self._told = -1.0
        self._tell()

    def phase_start(self, name: str, parent: str | None, steps: int) -> None:
        """Note the begin of one of TensorRT's phases."""
        with self._lock:
            self._phases[name] = _Phase(name, parent, steps)
            self._text = name
            self._fraction = self._whole()
        self._tell()

    def step_complete(self, name: str, step: int) -> bool:
        """Note a step; return whether the build goes on."""
        with self._lock:
            if name in self._phases:
                self._phases[name].done = step + 1
            self._fraction = self._whole()
        self._tell()
        return not self.cancelled

    def phase_finish(self, name: str) -> None:
        """Note the end of one of TensorRT's phases."""
        with self._lock:
            phase = self._phases.pop(name, None)
            if phase is not None and phase.parent is None:
                self._fraction = 1.0
        self._tell()

    def _whole(self) -> float | None:
        """Return the fraction of the whole build; it never goes back."""
        root = next((phase for phase in self._phases.values() if phase.parent is None), None)
        if root is None:
            return self._fraction
        fraction = min(1.0, self._share(root, depth=0))
        return max(fraction, self._fraction or 0.0)

    def _share(self, phase: _Phase, depth: int) -> float:
        """Return the fraction of one phase, its running children as part of its next step."""
        children = [p for p in self._phases.values() if p.parent == phase.name]
        inner = max((self._share(p, depth + 1) for p in children), default=0.0) if depth < 8 else 0
        return min(1.0, (phase.done + min(inner, 1.0)) / phase.steps)

    def _beat(self) -> None:
        """Repeat the last phase until the end."""
        while not self._ended.wait(_HEARTBEAT_S):
            self._tell()

    def _tell(self) -> None:
        """Call the callback, unless it was called a moment ago or is running."""
        if self._on_progress is None or self._failure is not None:
            return
        now = time.monotonic()
        with self._lock:
            if self._told >= 0 and now - self._told < _SHORTEST_S:
                return
            self._told = now
            progress = Progress(self._text, self._fraction, now - self._start)
        if not self._calling.acquire(blocking=False):
            return
        try:
            self._on_progress(progress)
        except BaseException as error:  # noqa: BLE001 - it must not pass through C++; see __exit__
            self._failure = error
        finally:
            self._calling.release()


def make_progress_monitor(library: TensorRTLibrary, progress: BuildProgress) -> Any:
    """Return an IProgressMonitor that reports to progress; the caller keeps it alive."""
    base: Any = library.trt.IProgressMonitor

    class _Monitor(base):
        def __init__(self) -> None:
            # A trampoline class: without its own constructor the first call crashes.
            base.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            progress.phase_start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return progress.step_complete(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            progress.phase_finish(phase_name)

    return _Monitor()
