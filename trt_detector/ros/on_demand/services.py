# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Services that pause the detection, and that detect in single images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
import json
import time
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from std_srvs.srv import SetBool, Trigger

from ...demand import DetectRequest, RequestAnswer
from ...image.records import make_records
from ..monitoring.diagnostics import NodeHealth
from ..monitoring.silence import explain_silence
from ..session import DetectionSession

__all__ = ['SERVICE_QOS', 'DemandServices']

SERVICE_QOS = QoSProfile(depth=100)
"""Of the default depth of 10, requests beyond ten that wait are discarded without an answer."""


class DemandServices:
    """
    Services ``~/set_enabled`` and ``~/detect`` of a node, in every lifecycle state.

    With several cameras, a node has ``<namespace of the image topic>/detect`` of each as well,
    once it has been configured. A request waits in a thread of the executor, because rclpy cannot
    send a response after its callback; one request is served at a time, so that it is one thread
    at most.

    :param node: creates the services.
    :param health: state of the node.
    """

    def __init__(self, node: Node, health: NodeHealth) -> None:
        self._node = node
        self._health = health
        self._group = MutuallyExclusiveCallbackGroup()
        # The number of the camera and the service, by name.
        self._camera_services: dict[str, tuple[int, Any]] = {}
        # In the group of the services of the parameters: of two changes at the same moment, each
        # would be made to the configuration without the other.
        node.create_service(
            SetBool,
            '~/set_enabled',
            self._answer_set_enabled,
            qos_profile=SERVICE_QOS,
            callback_group=node.default_callback_group,
        )
        self._create_detect('~/detect', None)

    def open(self, session: DetectionSession) -> None:
        """
        Create the services of single cameras, if the session has several.

        Those of an earlier session stay until here: a service that is destroyed leaves its
        requests without an answer.
        """
        several = enumerate(session.cameras) if len(session.cameras) > 1 else ()
        wanted = {
            f'{camera.detections.removesuffix("detections")}detect': number
            for number, camera in several
        }
        present = self._camera_services
        for name in [name for name, (number, _) in present.items() if wanted.get(name) != number]:
            self._node.destroy_service(present.pop(name)[1])
        for name in wanted.keys() - present.keys():
            number = wanted[name]
            present[name] = (number, self._create_detect(name, number))

    def _create_detect(self, name: str, camera: int | None) -> Any:
        """Create a service that detects in an image of one camera, or of each."""
        return self._node.create_service(
            Trigger,
            name,
            partial(self._answer_detect, camera),
            qos_profile=SERVICE_QOS,
            callback_group=self._group,
        )

    def _answer_set_enabled(self, request: Any, response: Any) -> Any:
        """Set parameter enabled: it is the only state, and tools see it."""
        (result,) = self._node.set_parameters([Parameter('enabled', value=bool(request.data))])
        response.success, response.message = result.successful, result.reason
        if result.successful:
            response.message = 'detection is on' if request.data else 'detection is paused'
            if self._health.state != 'active':
                response.message += f'; the node is {self._health.state}'
        return response

    def _answer_detect(self, camera: int | None, _: Any, response: Any) -> Any:
        """Wait for the detections of the next image of one camera, or of each."""
        session = self._health.session
        if session is None or session.started_s is None:
            response.message = (
                f'the node is {self._health.state} and receives no images; activate it first'
            )
            return response
        cameras = range(len(session.cameras)) if camera is None else [camera]
        with session.intake.requests(cameras) as requests:
            answers = self._wait(session, requests)
        problems = [answer.problem for answer in answers if answer.problem]
        response.success = not problems
        response.message = '; '.join(problems) or json.dumps(
            [
                _describe(session, number, answer)
                for number, answer in zip(cameras, answers, strict=True)
            ]
        )
        return response

    def _wait(
        self, session: DetectionSession, requests: Sequence[DetectRequest]
    ) -> list[RequestAnswer]:
        """Wait for the answers to requests, all together at most detect_timeout."""
        timeout_s = session.config.detect_timeout
        deadline_s = time.monotonic() + timeout_s
        answers = []
        for request in requests:
            answer = request.wait(max(deadline_s - time.monotonic(), 0.0))
            if answer is None:
                answer = RequestAnswer(self._explain_timeout(session, request, timeout_s))
            answers.append(answer)
        return answers

    def _explain_timeout(
        self, session: DetectionSession, request: DetectRequest, timeout_s: float
    ) -> str:
        """Name the likely reason why a request got no detections in time."""
        topic = session.cameras[request.camera].image
        if request.admitted:
            text = (
                f'an image of {topic} was received, but its detections are not there after '
                f'{timeout_s:g} s: set detect_timeout to more than the inference takes'
            )
            return f'{text}; {self._health.hang}' if self._health.hang else text
        reason = explain_silence(self._node, session.subscriptions[request.camera])
        return f'no image of {topic} within {timeout_s:g} s: {reason}'


def _describe(session: DetectionSession, camera: int, answer: RequestAnswer) -> dict[str, Any]:
    """Describe the detections of one image for JSON."""
    detector, found = session.detector, answer.detections
    names = () if detector is None else detector.class_names
    width, height = answer.size_wh
    stamp = answer.header.stamp
    return {
        'camera': session.cameras[camera].image,
        'stamp': {'sec': stamp.sec, 'nanosec': stamp.nanosec},
        'frame_id': answer.header.frame_id,
        'width': width,
        'height': height,
        'detections': [] if found is None else make_records(found, names),
    }
