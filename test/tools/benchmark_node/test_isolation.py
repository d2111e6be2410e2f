# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Choice of a ROS domain that nothing else uses."""

from __future__ import annotations

import os
from pathlib import Path
import socket

import pytest
from trt_detector.tools.benchmark_node.child_process import BenchmarkError
from trt_detector.tools.benchmark_node.isolation import choose_domain, isolate, remove_ports

HEAD = '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n'


def write_table(proc: Path, ports: list[int]) -> None:
    """Write the table of UDP sockets as the kernel does."""
    (proc / 'net').mkdir(exist_ok=True)
    lines = [
        f'  {number:3}: 00000000:{port:04X} 00000000:0000 07 00000000:00000000 00:00000000 0\n'
        for number, port in enumerate(ports)
    ]
    (proc / 'net' / 'udp').write_text(HEAD + ''.join(lines), encoding='ascii')


def multicast_port(domain: int) -> int:
    """Return the port of discovery, by the DDS specification."""
    return 7400 + 250 * domain


def test_only_the_free_domain_is_chosen(tmp_path: Path) -> None:
    # Sockets of single participants count as well, and ports in shared memory.
    used = [domain for domain in range(1, 100) if domain not in (41, 63)]
    write_table(tmp_path, [multicast_port(domain) + domain % 5 * 10 for domain in used])
    (tmp_path / f'fastdds_port{multicast_port(41) + 11}').touch()
    assert choose_domain(tmp_path, tmp_path) == 63


def test_no_free_domain_is_an_error(tmp_path: Path) -> None:
    write_table(tmp_path, [multicast_port(domain) for domain in range(1, 100)])
    with pytest.raises(BenchmarkError, match='--domain'):
        choose_domain(tmp_path, tmp_path)


def test_a_socket_of_this_machine_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    domain = choose_domain(shared_memory=tmp_path)
    # The same process begins at the same domain.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as used:
        used.bind(('127.0.0.1', multicast_port(domain) + 10))
        assert choose_domain(shared_memory=tmp_path) != domain


def test_ports_of_one_domain_are_removed(tmp_path: Path) -> None:
    names = [
        f'{prefix}_port{multicast_port(domain) + 11}{suffix}'
        for domain in (4, 5)
        for prefix, suffix in (('fastdds', ''), ('fastrtps', '_el'), ('sem.fastdds', '_mutex'))
    ]
    for name in (*names, 'fastdds_0123456789abcdef', 'other_port8411'):
        (tmp_path / name).touch()
    remove_ports(4, tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*names[3:], 'fastdds_0123456789abcdef', 'other_port8411'}


def test_environment_keeps_ros_on_this_machine() -> None:
    environ = {
        'ROS_DOMAIN_ID': '3', 'ROS_DISCOVERY_SERVER': 'robot:11811', 'ROS_STATIC_PEERS': 'robot',
        'ROS_LOCALHOST_ONLY': '0', 'PYTHONPATH': '/other', 'HOME': '/home',
    }  # fmt: skip
    isolate(7, environ)
    assert environ['ROS_DOMAIN_ID'] == '7'
    assert environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    assert environ['HOME'] == '/home'
    assert not {'ROS_DISCOVERY_SERVER', 'ROS_STATIC_PEERS', 'ROS_LOCALHOST_ONLY'} & set(environ)
    root, other = environ['PYTHONPATH'].split(os.pathsep)
    assert (Path(root) / 'trt_detector' / 'tools').is_dir()
    assert other == '/other'
    humble = {'ROS_DISTRO': 'humble'}
    isolate(7, humble)
    assert humble['ROS_LOCALHOST_ONLY'] == '1'
