# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Test the names of topics."""

from __future__ import annotations

import pytest
from trt_detector.config import DetectorConfig
from trt_detector.errors import ConfigError
from trt_detector.ros.topics import name_camera_topics


def name_topics(*topics: str, transport: str = 'raw') -> list[tuple[str, str, str]]:
    """Name subscription, detections and debug image of each camera, in the namespace /ns."""
    config = DetectorConfig(image_topics=topics, image_transport=transport)

    def resolve(topic: str) -> str:
        return topic if topic.startswith('/') else f'/ns/{topic}'

    return [
        (camera.subscription, camera.detections, camera.debug_image)
        for camera in name_camera_topics(config, resolve)
    ]


def test_topics_of_one_camera() -> None:
    assert name_topics('image_raw') == [('image_raw', '~/detections', '~/debug_image')]
    assert name_topics('image_raw', transport='compressed')[0][0] == '/ns/image_raw/compressed'
    assert name_topics('/a/b/compressed', transport='compressed')[0][0] == '/a/b/compressed'


@pytest.mark.parametrize('topic', ['/cam/jpeg/compressed', '/image/compressed'])
@pytest.mark.parametrize('transport', ['raw', 'compressed'])
def test_remapped_topic_is_compressed_if_its_name_was(topic: str, transport: str) -> None:
    config = DetectorConfig(image_topics=(topic,), image_transport=transport)
    (camera,) = name_camera_topics(config, lambda name: {topic: '/cam/jpeg'}.get(name, name))
    assert camera.compressed
    assert (camera.subscription, camera.full_subscription) == (topic, '/cam/jpeg')


def test_appended_topic_is_remapped() -> None:
    rules = {'/image/compressed': '/cam/jpeg'}
    config = DetectorConfig(image_topics=('/image',), image_transport='compressed')
    (camera,) = name_camera_topics(config, lambda topic: rules.get(topic, topic))
    assert (camera.image, camera.full_subscription) == ('/image', '/cam/jpeg')


@pytest.mark.parametrize('topic', ['~/debug_image', '~/debug_image/compressed'])
@pytest.mark.parametrize('transport', ['raw', 'compressed'])
def test_own_debug_images_are_no_camera(topic: str, transport: str) -> None:
    with pytest.raises(ConfigError, match='holds /ns/~/debug_image.*publishes itself; name the'):
        name_topics(topic, transport=transport)


def test_topics_of_several_cameras() -> None:
    assert name_topics('left/image_raw', '/right/image_raw') == [
        ('left/image_raw', '/ns/left/detections', '/ns/left/debug_image'),
        ('/right/image_raw', '/right/detections', '/right/debug_image'),
    ]
    with pytest.raises(ConfigError, match='both publish to /ns/detections'):
        name_topics('left_image', 'right_image')
