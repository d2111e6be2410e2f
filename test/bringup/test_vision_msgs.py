# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Interfaces of vision_msgs: equal to those of upstream."""

import json
from pathlib import Path
import xml.etree.ElementTree as ET

import pytest

get_package_share_directory = pytest.importorskip(
    'ament_index_python', reason='no ROS 2 here: run bringup/prepare.sh'
).get_package_share_directory

TYPE_HASHES = {
    'BoundingBox2D': '008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f',
    'Detection2D': '0d12b69df5c593b3455b7346fac8205437a7d4bcb09b9e0e0b2dde787ded38ea',
    'Detection2DArray': '214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968',
    'LabelInfo': '3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783',
    'ObjectHypothesisWithPose': '41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc',
    'VisionClass': '1e4a11f0fed50b5623cb8ff26ca0e37952a48a9c074d16f804b44e9164c2037a',
    'VisionInfo': '95d3116a17484ad91c9a2686e1d54890bbfc3ff6c6a2de137738c4950d45d284',
}

# All messages of vision_msgs 4.1: the fields in their order, and their types.
FIELDS = {
    'BoundingBox2D': {'center': 'vision_msgs/Pose2D', 'size_x': 'double', 'size_y': 'double'},
    'BoundingBox2DArray': {
        'header': 'std_msgs/Header',
        'boxes': 'sequence<vision_msgs/BoundingBox2D>',
    },
    'BoundingBox3D': {'center': 'geometry_msgs/Pose', 'size': 'geometry_msgs/Vector3'},
    'BoundingBox3DArray': {
        'header': 'std_msgs/Header',
        'boxes': 'sequence<vision_msgs/BoundingBox3D>',
    },
    'Classification': {
        'header': 'std_msgs/Header',
        'results': 'sequence<vision_msgs/ObjectHypothesis>',
    },
    'Detection2D': {
        'header': 'std_msgs/Header',
        'results': 'sequence<vision_msgs/ObjectHypothesisWithPose>',
        'bbox': 'vision_msgs/BoundingBox2D',
        'id': 'string',
    },
    'Detection2DArray': {
        'header': 'std_msgs/Header',
        'detections': 'sequence<vision_msgs/Detection2D>',
    },
    'Detection3D': {
        'header': 'std_msgs/Header',
        'results': 'sequence<vision_msgs/ObjectHypothesisWithPose>',
        'bbox': 'vision_msgs/BoundingBox3D',
        'id': 'string',
    },
    'Detection3DArray': {
        'header': 'std_msgs/Header',
        'detections': 'sequence<vision_msgs/Detection3D>',
    },
    'LabelInfo': {
        'header': 'std_msgs/Header',
        'class_map': 'sequence<vision_msgs/VisionClass>',
        'threshold': 'float',
    },
    'ObjectHypothesis': {'class_id': 'string', 'score': 'double'},
    'ObjectHypothesisWithPose': {
        'hypothesis': 'vision_msgs/ObjectHypothesis',
        'pose': 'geometry_msgs/PoseWithCovariance',
    },
    'Point2D': {'x': 'double', 'y': 'double'},
    'Pose2D': {'position': 'vision_msgs/Point2D', 'theta': 'double'},
    'VisionClass': {'class_id': 'uint16', 'class_name': 'string'},
    'VisionInfo': {
        'header': 'std_msgs/Header',
        'method': 'string',
        'database_location': 'string',
        'database_version': 'int32',
    },
}


@pytest.mark.parametrize(('message', 'expected'), TYPE_HASHES.items())
def test_type_hash(message: str, expected: str) -> None:
    path = Path(get_package_share_directory('vision_msgs'), 'msg', f'{message}.json')
    if not path.is_file():
        pytest.skip('this vision_msgs has no type descriptions: it is older than ROS 2 Iron')
    hashes = json.loads(path.read_text(encoding='utf-8'))['type_hashes']
    found = {entry['type_name']: entry['hash_string'] for entry in hashes}
    assert found[f'vision_msgs/msg/{message}'] == f'RIHS01_{expected}'


@pytest.mark.parametrize(('message', 'fields'), FIELDS.items())
def test_fields(message: str, fields: dict[str, str]) -> None:
    messages = pytest.importorskip(
        'vision_msgs.msg', reason='no vision_msgs: run bringup/prepare.sh'
    )
    found = getattr(messages, message).get_fields_and_field_types()
    assert list(found.items()) == list(fields.items())


def test_every_message_of_the_package_is_listed_here() -> None:
    sources = (Path(__file__).parents[2] / 'bringup/vision_msgs/msg').glob('*.msg')
    assert {path.stem for path in sources} == set(FIELDS)


def test_version() -> None:
    share = Path(get_package_share_directory('vision_msgs'))
    version = ET.parse(share / 'package.xml').findtext('version', '')
    assert version.startswith('4.'), 'trt_detector needs vision_msgs 4'
