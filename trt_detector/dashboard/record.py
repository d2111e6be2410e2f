# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Keep what a detector node has reported."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .views import CameraView, LogLine, NodeView, Notice, Sample, StageView, Status

__all__ = ['NodeRecord']

#: Time that the charts cover.
HISTORY_S = 300.0
_LOG_LINES = 200
_NOTICES = 10
# Rates are those of this time.
_WINDOW_S = 5.0
_SAMPLE_PERIOD_S = 0.9
# A node is dead after so many diagnostics periods without a message, and not before this time.
_MISSED_PERIODS = 2.5
_SILENCE_S = 3.0
# A request and its answer can get lost while a new node and its clients discover each other.
_RETRY_S = 3.0
_REQUEST_S = 15.0
_CAMERA = 'camera '
_STAGES = ('wait', 'preprocess', 'infer', 'decode', 'publish')


@dataclass(frozen=True, slots=True)
class _Counts:
    """Counters of a camera at one time."""

    at_s: float
    received: float
    published: float
    dropped: float


@dataclass(frozen=True, slots=True)
class _Request:
    """Transition that was requested in a state."""

    transition: str
    state: str
    at_s: float
    sent_s: float


class NodeRecord:
    """
    State of one detector node, as far as it is known; not thread-safe.

    Times are those of time.monotonic().

    :param name: full name of the node.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.last_seen_s: float | None = None
        self.picture_topics: tuple[str, ...] = ()
        self._is_present = True
        self._heard_s: float | None = None
        self._state = ''
        self._statuses: tuple[Status, ...] = ()
        self._parameters: dict[str, Any] = {}
        self._counts: dict[str, deque[_Counts]] = {}
        self._samples: deque[Sample] = deque()
        self._log: deque[LogLine] = deque(maxlen=_LOG_LINES)
        self._notices: deque[Notice] = deque(maxlen=_NOTICES)
        self._notice_number = 0
        self._request: _Request | None = None
        self._refused = ''

    def note_presence(self, is_present: bool, now_s: float) -> None:
        """Store whether the node is in the ROS graph."""
        self._is_present = is_present
        if is_present:
            self.last_seen_s = now_s

    def note_statuses(self, statuses: Sequence[Status], now_s: float) -> None:
        """Store the diagnostics of the node, one status or more of one message."""
        self._heard_s = self.last_seen_s = now_s
        self._statuses = tuple(statuses)
        for status in statuses:
            if status.part == 'detector':
                self.note_state(status.values.get('state', ''))
                self._explain_refusal(status)
            elif status.part.startswith(_CAMERA):
                self._note_counts(status, now_s)
        if not self._samples or now_s - self._samples[-1].at_s >= _SAMPLE_PERIOD_S:
            self._samples.append(self._make_sample(now_s))
        while now_s - self._samples[0].at_s > HISTORY_S:
            self._samples.popleft()

    def note_state(self, state: str) -> None:
        """Store the lifecycle state."""
        if state != self._state:
            # The samples of another state are no rates of this one.
            self._counts.clear()
        self._state = state

    def note_log(self, line: LogLine) -> None:
        """Store a line of the log."""
        self._log.append(line)

    def note_parameters(self, values: Mapping[str, Any]) -> None:
        """Store values of parameters."""
        self._parameters |= values

    def note_request(self, transition: str, now_s: float) -> None:
        """Store that a transition was requested."""
        self._request = _Request(transition, self._state, now_s, now_s)

    def take_retry(self, now_s: float) -> str:
        """Return the transition that is to be requested again; '' if there is none."""
        request = self._request
        if request is None:
            return ''
        if request.state != self._state:
            # A transition may take minutes; from now on the state tells of it.
            self._request = None
        elif now_s - request.at_s > _REQUEST_S:
            self._request = None
            self.notify(f'{request.transition}: the node has not answered', is_error=True)
        elif now_s - request.sent_s > _RETRY_S:
            self._request = replace(request, sent_s=now_s)
            return request.transition
        return ''

    def note_answer(self, transition: str, is_done: bool) -> None:
        """Store the answer to a transition; the reason of a failure is in the next diagnostics."""
        if self._request is not None and self._request.transition == transition:
            self._request = None
            self._refused = '' if is_done else transition

    def notify(self, text: str, *, is_error: bool) -> None:
        """Add a notice for the users."""
        self._notice_number += 1
        self._notices.append(Notice(self._notice_number, is_error, text))

    def view(self, now_s: float) -> NodeView:
        """Create the view of the node at a time."""
        condition = self._judge(now_s)
        silent_s = now_s - self._heard_s if self._heard_s is not None else 0.0
        return NodeView(
            name=self.name,
            condition=condition,
            silent_s=silent_s,
            state=self._state,
            statuses=self._statuses,
            cameras=self._view_cameras(),
            stages=self._view_stages(),
            samples=tuple(self._samples),
            log=tuple(self._log),
            notices=tuple(self._notices),
            parameters=dict(self._parameters),
            requested='' if self._request is None else self._request.transition,
        )

    def _explain_refusal(self, status: Status) -> None:
        """Add a notice about a transition that failed."""
        if self._refused:
            reason = status.text if status.level == 'error' else f'the node is {self._state}'
            self.notify(f'{self._refused} failed: {reason}', is_error=True)
            self._refused = ''

    def _judge(self, now_s: float) -> str:
        """Judge whether the node is alive."""
        if not self._is_present:
            return 'dead'
        if self._heard_s is None:
            return 'waiting'
        period_s = self._parameters.get('diagnostics_period', 1.0)
        limit_s = max(_SILENCE_S, _MISSED_PERIODS * float(period_s))
        return 'dead' if now_s - self._heard_s > limit_s else 'alive'

    def _find(self, part: str) -> Status | None:
        """Find the last status of a part."""
        return next((status for status in self._statuses if status.part == part), None)

    def _note_counts(self, status: Status, now_s: float) -> None:
        """Store the counters of a camera."""
        numbers = [status.number(key) or 0.0 for key in ('received', 'published', 'dropped')]
        counts = self._counts.setdefault(status.part, deque())
        if counts and numbers[0] < counts[-1].received:
            counts.clear()  # configured again
        counts.append(_Counts(now_s, *numbers))
        while len(counts) > 2 and now_s - counts[1].at_s >= _WINDOW_S:
            counts.popleft()

    def _rates(self, part: str) -> tuple[float, float, float]:
        """Compute received, published and dropped images per second of a camera."""
        counts = self._counts.get(part)
        if counts is None or len(counts) < 2:
            return 0.0, 0.0, 0.0
        first, last = counts[0], counts[-1]
        span_s = max(last.at_s - first.at_s, 1e-3)
        return (
            (last.received - first.received) / span_s,
            (last.published - first.published) / span_s,
            (last.dropped - first.dropped) / span_s,
        )

    def _make_sample(self, now_s: float) -> Sample:
        """Create the point of the charts for the last diagnostics."""
        stages = self._find('stages')
        parts = [part for part, counts in self._counts.items() if len(counts) > 1]
        if self._state != 'active' or stages is None or not parts:
            return Sample(now_s, None, None, None, None, None)
        rates = [self._rates(part) for part in parts]
        received, published, dropped = map(sum, zip(*rates, strict=True))
        # The percentiles are of the last images, however old they are.
        moves = published > 0
        return Sample(
            now_s,
            stages.number('total ms p50') if moves else None,
            stages.number('total ms p99') if moves else None,
            received,
            published,
            dropped,
        )

    def _view_cameras(self) -> tuple[CameraView, ...]:
        """Create the views of the cameras."""
        cameras = [each for each in self._statuses if each.part.startswith(_CAMERA)]
        views = []
        for status in cameras:
            topic = status.part.removeprefix(_CAMERA)
            received, published, dropped = self._rates(status.part)
            views.append(
                CameraView(
                    topic=topic,
                    picture=self._find_picture(topic, len(cameras)),
                    level=status.level,
                    text=status.text,
                    received_hz=received,
                    published_hz=published,
                    dropped_share=dropped / received if received > 0 else 0.0,
                    lost=int(status.number('lost') or 0),
                )
            )
        return tuple(views)

    def _find_picture(self, topic: str, cameras: int) -> str:
        """Find the debug image of a camera; '' if there is none."""
        if cameras == 1 and len(self.picture_topics) == 1:
            return self.picture_topics[0]
        wanted = f'{topic.removesuffix("/compressed").rpartition("/")[0]}/debug_image/compressed'
        return wanted if wanted in self.picture_topics else ''

    def _view_stages(self) -> tuple[StageView, ...]:
        """Create the views of the stages."""
        status = self._find('stages')
        if status is None:
            return ()
        views = []
        for name in _STAGES:
            p50_ms, p99_ms = status.number(f'{name} ms p50'), status.number(f'{name} ms p99')
            if p50_ms is not None and p99_ms is not None:
                views.append(StageView(name, p50_ms, p99_ms))
        return tuple(views)
