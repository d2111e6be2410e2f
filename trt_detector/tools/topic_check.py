# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Check a live image topic: its publishers, their quality of service, rate, size and loss."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
import difflib
import time
from typing import Any

from ..errors import ConfigError, ImageError
from ..image.loss_counter import LossCounter
from ..image.message import describe_compressed_topic, read_message, read_stamp_ns
from ..process.tuning import describe_camera_settings
from .finding import Finding, NOTE, OK, PROBLEM
from .ros_tool import match_reliability, SOURCE_ROS, start_ros

__all__ = [
    'COMPRESSED_TYPE',
    'TopicReport',
    'check_topic_name',
    'explain_no_image',
    'judge_topic',
    'observe_topic',
]

_RAW, COMPRESSED_TYPE = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
# Of depth images in millimeters (REP 118), and of some thermal cameras.
_DEPTH_ENCODING = '16UC1'
_DISCOVERY_S = 10.0
_DEPTH = 10


@dataclass(frozen=True, slots=True)
class TopicReport:
    """
    Observation of an image topic.

    :param topic: full name.
    :param publishers: a description of each publisher.
    :param types: message types of the publishers.
    :param reliability: of the subscription, 'reliable' or 'best effort'.
    :param seconds: duration of the measurement.
    :param received: images received in that time.
    :param bytes_mean: mean size of the data of a message.
    :param lost: images lost in that time.
    :param loss_method: source of that number, see :class:`.loss_counter.LossCounter`.
    :param content: size and encoding of the last image, or '' if it cannot be read.
    :param error: reason why it cannot be read.
    :param image_topics: all image topics of the graph.
    """

    topic: str
    publishers: tuple[str, ...] = ()
    types: frozenset[str] = frozenset()
    reliability: str = ''
    seconds: float = 0.0
    received: int = 0
    bytes_mean: float = 0.0
    lost: int = 0
    loss_method: str = ''
    content: str = ''
    error: str = ''
    image_topics: tuple[str, ...] = ()


def judge_topic(report: TopicReport) -> list[Finding]:
    """List the findings of an observation, with the remedy of each problem."""
    if not report.publishers:
        known = ', '.join(report.image_topics) or 'none'
        near = difflib.get_close_matches(report.topic, report.image_topics, n=1)
        hint = f'use {near[0]}' if near else 'start the camera, and check ROS_DOMAIN_ID'
        text = f'no publisher of {report.topic}; image topics here: {known}'
        return [Finding('publishers', PROBLEM, text, hint)]
    findings = [Finding('publishers', OK, '; '.join(report.publishers))]
    if len(report.publishers) > 1:
        text = (
            f'{len(report.publishers)} publishers: the node detects in the images of all of them'
        )
        remedy = 'if they are several cameras, remap the topic of all but one'
        findings.append(Finding('cameras', NOTE, text, remedy))
    if len(report.types) > 1 or not report.types <= {_RAW, COMPRESSED_TYPE}:
        text = f'type is {", ".join(sorted(report.types))}; expected {_RAW} or {COMPRESSED_TYPE}'
        return [*findings, Finding('type', PROBLEM, text, 'choose an image topic')]
    if report.types == {COMPRESSED_TYPE} and not report.topic.endswith('/compressed'):
        text = f'compressed images, but {report.topic} does not end in /compressed'
        findings.append(Finding('name', NOTE, text, describe_compressed_topic(report.topic)))
    settings = describe_camera_settings(is_reliable=report.reliability == 'reliable')
    if not report.received:
        text = f'no image in {report.seconds:.1f} s with reliability {report.reliability}'
        return [*findings, Finding('rate', PROBLEM, text, settings)]
    rate = report.received / report.seconds
    text = (
        f'{report.received} images in {report.seconds:.1f} s, {rate:.1f} Hz, '
        f'{report.bytes_mean / 1e6:.2f} MB each, reliability {report.reliability}'
    )
    findings.append(Finding('rate', OK, text))
    if report.error:
        findings.append(Finding('image', PROBLEM, report.error))
    else:
        findings.append(Finding('image', OK, report.content))
        if f' {_DEPTH_ENCODING}' in report.content:
            text = f'{_DEPTH_ENCODING} is read as gray, with 65535 for white'
            remedy = 'if these are depths in millimeters, choose the topic of the color image'
            findings.append(Finding('encoding', NOTE, text, remedy))
    sent = report.received + report.lost
    text = f'{report.lost} of {sent} images lost, by {report.loss_method}'
    remedy = settings if report.lost else ''
    findings.append(Finding('loss', NOTE if report.lost else OK, text, remedy))
    return findings


def observe_topic(topic: str, seconds: float) -> TopicReport:
    """
    Subscribe to an image topic for some time.

    :param topic: name of the topic; relative names are in the root namespace.
    :param seconds: duration of the measurement, after up to 10 s of discovery.
    :raises ConfigError: if ROS 2 is missing, or the name is invalid.
    """
    try:
        import rclpy
    except ImportError as error:
        raise ConfigError(f'--topic needs ROS 2 ({error}): {SOURCE_ROS}') from error
    topic = check_topic_name(topic)
    with ExitStack() as stack:
        context = rclpy.Context()
        start_ros(context=context)
        stack.callback(rclpy.shutdown, context=context)
        node = rclpy.create_node('trt_detector_doctor', context=context)
        stack.callback(node.destroy_node)
        executor = rclpy.executors.SingleThreadedExecutor(context=context)
        stack.callback(executor.shutdown)
        executor.add_node(node)
        return _observe(node, executor, topic, seconds)


def check_topic_name(topic: str) -> str:
    """
    Check the name of a topic.

    :param topic: name; relative names are in the root namespace.
    :return: its full name.
    :raises ConfigError: if it is invalid.
    """
    from rclpy.exceptions import InvalidTopicNameException
    from rclpy.validate_full_topic_name import validate_full_topic_name

    topic = f'/{topic.lstrip("/")}'
    try:
        validate_full_topic_name(topic)
    except InvalidTopicNameException as error:
        raise ConfigError(f'--topic {topic!r} is not the name of a topic: {error}') from error
    return topic


def explain_no_image(node: Any, topic: str, seconds: float) -> str:
    """
    Name the reason why a best-effort subscription got no image, with the remedy.

    :param node: of rclpy.
    :param topic: full name of the topic.
    :param seconds: time that the subscription waited.
    """
    found = node.get_publishers_info_by_topic(topic)
    report = TopicReport(
        topic,
        tuple(_describe(info) for info in found),
        frozenset(info.topic_type for info in found),
        'best effort',
        seconds,
        image_topics=_image_topics(node),
    )
    findings = judge_topic(report)
    problem = next(each for each in findings if each.status == PROBLEM)
    publishers = f' from {"; ".join(report.publishers)}' if problem.name == 'rate' else ''
    return f'{problem.text}{publishers}; {problem.remedy}'


def _observe(node: Any, executor: Any, topic: str, seconds: float) -> TopicReport:
    """Find the publishers, then count what arrives."""
    from rclpy.qos import QoSProfile
    from sensor_msgs.msg import CompressedImage, Image

    deadline = time.monotonic() + _DISCOVERY_S
    while not (found := node.get_publishers_info_by_topic(topic)):
        if time.monotonic() > deadline:
            return TopicReport(topic, image_topics=_image_topics(node))
        executor.spin_once(timeout_sec=0.1)
    types = frozenset(info.topic_type for info in found)
    publishers = tuple(_describe(info) for info in found)
    if len(types) > 1 or not types <= {_RAW, COMPRESSED_TYPE}:
        return TopicReport(topic, publishers, types)
    # As the node chooses it with qos_reliability auto.
    policy = match_reliability(found)
    loss = LossCounter()
    sizes: list[int] = []
    last: list[Any] = []

    def count(message: Any, info: Mapping[str, Any]) -> None:
        loss.add_image(info, read_stamp_ns(message))
        sizes.append(len(message.data))
        last[:] = [message]

    node.create_subscription(
        CompressedImage if types == {COMPRESSED_TYPE} else Image,
        topic,
        count,
        QoSProfile(depth=_DEPTH, reliability=policy),
    )
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        executor.spin_once(timeout_sec=min(0.1, seconds - passed))
    content, error = _read(last[0]) if last else ('', '')
    # The names of nodes may arrive later than their publishers.
    found = node.get_publishers_info_by_topic(topic) or found
    publishers = tuple(_describe(info) for info in found)
    return TopicReport(
        topic,
        publishers,
        types,
        policy.name.lower().replace('_', ' '),
        passed,
        len(sizes),
        sum(sizes) / max(len(sizes), 1),
        loss.lost,
        loss.method,
        content,
        error,
    )


def _describe(info: Any) -> str:
    """Describe a publisher with its type and quality of service."""
    name = f'{info.node_namespace.rstrip("/")}/{info.node_name}'
    qos = info.qos_profile
    policies = f'{qos.reliability.name} {qos.durability.name}'.lower().replace('_', ' ')
    return f'{name} ({info.topic_type}, {policies})'


def _image_topics(node: Any) -> tuple[str, ...]:
    """List the image topics of the graph."""
    names = node.get_topic_names_and_types()
    return tuple(sorted(name for name, types in names if {_RAW, COMPRESSED_TYPE} & set(types)))


def _read(message: Any) -> tuple[str, str]:
    """Read an image as the node does; return its size and encoding, or the error."""
    try:
        image = read_message(message)
    except ImageError as error:
        return '', str(error)
    kind = f', {message.format}' if hasattr(message, 'format') else ''
    return f'{image.width}x{image.height} {image.encoding}{kind}', ''
