# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Reading of serialized messages."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
import pytest
from rclpy.serialization import serialize_message
from std_msgs.msg import Header
from trt_detector.tools.benchmark_node.child_process import BenchmarkError
from trt_detector.tools.benchmark_node.listener import _import_stamped, Listener, parse_header
from vision_msgs.msg import Detection2D, Detection2DArray


@pytest.mark.parametrize('frame', ['', 'a', 'abc', 'lens', 'a frame with a long name'])
def test_header_and_length_are_read_from_the_bytes(frame: str) -> None:
    for count in (0, 1, 300):
        message = Detection2DArray(
            header=Header(frame_id=frame), detections=[Detection2D()] * count
        )
        message.header.stamp.sec, message.header.stamp.nanosec = 1_800_000_000, 999_999_999
        data = serialize_message(message)
        assert parse_header(data, True) == (1_800_000_000_999_999_999, count)
        assert parse_header(data, False) == (1_800_000_000_999_999_999, 0)


def test_types_without_a_header_are_refused() -> None:
    assert _import_stamped('/t', 'vision_msgs/msg/Detection2DArray') is Detection2DArray
    with pytest.raises(BenchmarkError, match='does not begin with a header'):
        _import_stamped('/t', 'std_msgs/msg/String')
    for kind in ('no_such_msgs/msg/A', 'std_msgs/msg/NoSuchType'):
        with pytest.raises(BenchmarkError, match='cannot be imported'):
            _import_stamped('/t', kind)


def test_diagnostics_before_the_measurement_count_until_another_node_starts() -> None:
    listener = Listener()
    status = DiagnosticStatus(name='/detector: detector', values=[KeyValue(key='a', value='b')])
    listener._keep(DiagnosticArray(status=[status]))
    with listener.receive([]):
        assert listener.read_status('detector') == {'/detector': {'a': 'b'}}
    listener.clear()
    assert listener.read_status('detector') == {}


def test_a_message_that_arrives_twice_is_counted_once_and_told() -> None:
    listener = Listener()
    listener.arrivals = [{}, {}]
    for seconds, camera in ((1, 0), (2, 0), (1, 1), (2, 0), (2, 0)):
        message = Detection2DArray(detections=[Detection2D()] * 3)
        message.header.stamp.sec = seconds
        listener._receive(listener.arrivals[camera], True, serialize_message(message))
    assert [sorted(each) for each in listener.arrivals] == [[10**9, 2 * 10**9], [10**9]]
    assert {count for each in listener.arrivals for _, count in each.values()} == {3}
    assert listener.repeated == [2 * 10**9] * 2


def test_a_message_after_the_end_of_its_subscription_harms_nothing() -> None:
    listener = Listener()
    with listener.receive([]):
        found = {}
        listener._receive(found, False, serialize_message(Detection2DArray()))
        listener.clear()
        listener._receive(found, False, serialize_message(Detection2DArray()))
    assert listener.arrivals == []
