# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Bags, complete and broken."""

from __future__ import annotations

import json
import os
from pathlib import Path
import re
import shutil
import sqlite3
import subprocess

import numpy as np
import pytest
from support import bags
from trt_detector.errors import BagError, ImageError
from trt_detector.tools.bag.definitions import DETECTIONS, make_typestore
from trt_detector.tools.bag.reader import BagReader


def times(reader: BagReader, *topics: str) -> list[int]:
    return [message.time_ns for message in reader.read(topics)]


@pytest.mark.parametrize('storage', ['MCAP', 'SQLITE3'])
def test_messages_come_in_the_order_of_the_bag_with_their_definitions(
    tmp_path: Path, storage: str
) -> None:
    messages = bags.lamp_messages([3, 9, 4])
    # Written late: a bag is read in the order of its times.
    messages = [messages[2], messages[0], messages[1]]
    bags.write_bag(tmp_path / 'bag', messages, storage)
    reader = BagReader(tmp_path / 'bag')
    read = list(reader.read(['/front/image_raw']))
    assert [message.time_ns for message in read] == sorted(m[2] for m in messages)
    stamps = [reader.deserialize(message).header.stamp for message in read]
    assert [stamp.nanosec for stamp in stamps] == [3, 9, 4]
    assert [(t.name, t.type, t.count) for t in reader.topics] == [
        ('/front/image_raw', bags.RAW, 3)
    ]
    assert reader.storage == storage.lower()
    assert reader.find_rate_hz('/front/image_raw') == pytest.approx(10)


@pytest.mark.parametrize('storage', ['MCAP', 'SQLITE3'])
def test_a_folder_without_metadata_is_read_file_by_file(
    tmp_path: Path, storage: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / 'bag'
    folder.mkdir()
    for number in (10, 9):
        part = bags.write_bag(
            tmp_path / f'part_{number}',
            [('/a', bags.RAW, number, bags.raw(bags.lamp_picture(0), bags.header(number)))],
            storage,
        )
        (file,) = (f for f in part.iterdir() if f.suffix != '.yaml')
        file.rename(folder / f'bag_{number}{file.suffix}')
    assert times(BagReader(folder), '/a') == [9, 10]
    assert 'has no metadata.yaml' in caplog.text


def test_one_file_of_a_bag_is_a_bag(tmp_path: Path) -> None:
    bags.write_bag(tmp_path / 'bag', bags.lamp_messages([1, 2]))
    assert len(times(BagReader(tmp_path / 'bag' / 'bag.mcap'), '/front/image_raw')) == 2


def test_a_truncated_mcap_says_how_to_recover_it(tmp_path: Path) -> None:
    file = bags.write_bag(tmp_path / 'bag', bags.lamp_messages(range(9))) / 'bag.mcap'
    os.truncate(file, file.stat().st_size // 2)
    with pytest.raises(BagError, match='cannot be read: .* mcap recover bag.mcap'):
        BagReader(tmp_path / 'bag')


def test_a_truncated_database_says_how_to_recover_it(tmp_path: Path) -> None:
    big = np.zeros((60, 90, 3), np.uint8)
    messages = [('/a', bags.RAW, n, bags.raw(big, bags.header(n))) for n in range(9)]
    file = bags.write_bag(tmp_path / 'bag', messages, 'SQLITE3') / 'bag.db3'
    os.truncate(file, file.stat().st_size - 3 * 4096)
    with pytest.raises(BagError, match='cannot be read: .*of a file that is damaged') as caught:
        BagReader(tmp_path / 'bag')
    if shutil.which('sqlite3') is None:
        pytest.skip('sqlite3 is missing: apt install sqlite3')
    command = re.search('damaged, (.*) saves what can be read', str(caught.value))
    assert command is not None
    subprocess.run(command[1], shell=True, cwd=tmp_path, check=True)
    recovered = times(BagReader(tmp_path / 'recovered.db3'), '/a')
    assert recovered == list(range(len(recovered)))
    assert 5 <= len(recovered) < 9


def test_damage_in_the_middle_names_the_message(tmp_path: Path) -> None:
    big = np.zeros((400, 900, 3), np.uint8)
    messages = [('/a', bags.RAW, n, bags.raw(big, bags.header(n))) for n in range(4)]
    file = bags.write_bag(tmp_path / 'bag', messages) / 'bag.mcap'
    data = bytearray(file.read_bytes())
    # The length of the second message, whose chunk follows that of the first.
    at = data.index(b'bgr8', data.index(b'bgr8') + 1) - 100
    data[at : at + 60] = b'\xff' * 60
    file.write_bytes(data)
    reader = BagReader(tmp_path / 'bag')
    with pytest.raises(BagError, match='is damaged behind its message 1 of /a'):
        times(reader, '/a')


def test_messages_in_the_write_ahead_log_are_not_forgotten(tmp_path: Path) -> None:
    file = bags.write_bag(tmp_path / 'bag', bags.lamp_messages([1]), 'SQLITE3') / 'bag.db3'
    recorder = sqlite3.connect(file)
    recorder.execute('PRAGMA journal_mode=WAL')
    recorder.execute("INSERT INTO messages (topic_id, timestamp, data) VALUES (1, 5, x'00')")
    recorder.commit()
    with pytest.raises(BagError, match='lacks messages that are in bag.db3-wal.*wal_checkpoint'):
        BagReader(tmp_path / 'bag')
    recorder.execute('PRAGMA wal_checkpoint(TRUNCATE)')
    assert len(times(BagReader(tmp_path / 'bag'), '/front/image_raw')) == 2
    recorder.close()


def test_a_topic_without_images_lists_those_that_have(tmp_path: Path) -> None:
    stamp = ('/clock', bags.TIME, 1, bags.make(bags.TIME, sec=1, nanosec=2))
    bags.write_bag(tmp_path / 'bag', [*bags.lamp_messages([1, 2]), stamp])
    reader = BagReader(tmp_path / 'bag')
    wanted = r'no images on /clock, /rear; its image topics: /front/image_raw \(.*/Image, 2\)$'
    with pytest.raises(BagError, match=wanted):
        reader.select_images(['/clock', '/rear', '/front/image_raw'])


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('missing', None, 'does not exist'),
        ('old.bag', b'#ROSBAG V2.0', 'bag of ROS 1; convert it: rosbags-convert'),
        ('empty.mcap', b'', 'cannot be read'),
        ('text.db3', b'no database at all', 'cannot be read'),
        ('notes.txt', b'', 'expected a folder with .mcap or .db3 files'),
    ],
)
def test_what_is_no_bag_is_refused(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BagError, match=message):
        BagReader(tmp_path / name)


@pytest.mark.parametrize('storage', ['MCAP', 'SQLITE3'])
@pytest.mark.parametrize('text', ['', 'no: [yaml', 'rosbag2_bagfile_information: {version: 99}'])
def test_damaged_metadata_is_an_error_with_a_remedy(
    tmp_path: Path, text: str, storage: str
) -> None:
    bags.write_bag(tmp_path / 'bag', bags.lamp_messages([1]), storage)
    (tmp_path / 'bag' / 'metadata.yaml').write_text(text)
    with pytest.raises(BagError, match='(?s)cannot be read: .*ros2 bag reindex'):
        BagReader(tmp_path / 'bag')


def test_metadata_in_place_of_its_folder_is_refused(tmp_path: Path) -> None:
    bags.write_bag(tmp_path / 'bag', bags.lamp_messages([1]))
    with pytest.raises(BagError, match=f'name its folder, {tmp_path / "bag"}$'):
        BagReader(tmp_path / 'bag' / 'metadata.yaml')


@pytest.mark.parametrize('name', ['.', 'bag_0.mcap.zstd'])
def test_compressed_files_without_metadata_are_refused(tmp_path: Path, name: str) -> None:
    # A recorder that was killed has compressed all files but the last one.
    bags.write_bag(tmp_path / 'bag', bags.lamp_messages([1]))
    (tmp_path / 'bag' / 'bag.mcap').rename(tmp_path / 'bag' / 'bag_1.mcap')
    (tmp_path / 'bag' / 'metadata.yaml').unlink()
    packed = tmp_path / 'bag' / 'bag_0.mcap.zstd'
    packed.write_bytes(b'compressed')
    wanted = f'bag_0.mcap.zstd is compressed, and no .*zstd -d {packed} -o .*/bag_0.mcap$'
    with pytest.raises(BagError, match=wanted):
        BagReader(tmp_path / 'bag' / name)


def test_bytes_that_are_no_message_are_an_image_error(tmp_path: Path) -> None:
    bags.write_bag(tmp_path / 'bag', [('/a', bags.RAW, 1, b'\x00\x01\x00\x00garbage')])
    reader = BagReader(tmp_path / 'bag')
    (message,) = reader.read(['/a'])
    with pytest.raises(ImageError, match='11 bytes are not a sensor_msgs/msg/Image'):
        reader.deserialize(message)


def test_a_definition_that_cannot_be_read_is_replaced_by_the_given_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = bags.write_bag(tmp_path / 'bag', bags.lamp_messages([7]), 'SQLITE3')
    with sqlite3.connect(folder / 'bag.db3') as database:
        database.execute("UPDATE message_definitions SET encoded_message_definition = '?? [x'")
    reader = BagReader(folder)
    (message,) = reader.read(['/front/image_raw'])
    assert reader.deserialize(message).header.stamp.nanosec == 7
    assert 'the definition of sensor_msgs/msg/Image in the bag cannot be read' in caplog.text


def test_detections_have_the_hash_of_vision_msgs() -> None:
    index = pytest.importorskip('ament_index_python', reason='ROS 2: source bringup/env.sh')
    share = Path(index.get_package_share_directory('vision_msgs'))
    described = json.loads((share / 'msg' / 'Detection2DArray.json').read_text())
    hashes = {entry['type_name']: entry['hash_string'] for entry in described['type_hashes']}
    assert make_typestore().hash_rihs01(DETECTIONS) == hashes[DETECTIONS]
