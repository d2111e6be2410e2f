# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""ROS domain that nothing else uses, on this machine only."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
import os
from pathlib import Path
import re

from .child_process import BenchmarkError

__all__ = ['choose_domain', 'isolate', 'remove_ports']

# Ports of a domain, by the DDS specification; those of larger domains are also given to clients.
_FIRST_PORT = 7400
_PORTS = 250
_DOMAINS = range(1, 100)
_SHARED_MEMORY = Path('/dev/shm')  # noqa: S108 the folder of the kernel


def choose_domain(proc: Path = Path('/proc'), shared_memory: Path = _SHARED_MEMORY) -> int:
    """
    Choose a ROS domain that no process of this machine uses.

    :param proc: folder with net/udp.
    :param shared_memory: folder with the ports of Fast DDS.
    :raises BenchmarkError: if there is none.
    """
    ports: set[int] = set()
    for name in ('udp', 'udp6'):
        table = proc / 'net' / name
        if table.is_file():
            text = table.read_text(encoding='ascii')
            ports |= {int(port, 16) for port in re.findall(r':\s+[0-9A-F]+:([0-9A-F]{4})\s', text)}
    used = {(port - _FIRST_PORT) // _PORTS for port in ports}
    used |= {domain for domain, _ in _list_ports(shared_memory)}
    # Two programs that start at once begin at different ones.
    start = os.getpid() % len(_DOMAINS)
    domains: list[int] = [*_DOMAINS[start:], *_DOMAINS[:start]]
    for domain in domains:
        if domain not in used:
            return domain
    raise BenchmarkError('all ROS domains from 1 to 99 are in use; choose one with --domain')


def remove_ports(domain: int, shared_memory: Path = _SHARED_MEMORY) -> None:
    """
    Remove the ports of Fast DDS in shared memory, which killed processes leave behind.

    :param domain: nothing uses it any more.
    :param shared_memory: folder with the ports.
    """
    for own, path in list(_list_ports(shared_memory)):
        if own == domain:
            path.unlink(missing_ok=True)


def _list_ports(shared_memory: Path) -> Iterator[tuple[int, Path]]:
    """Yield the files of each port of Fast DDS, with its domain."""
    for path in shared_memory.glob('*fast*_port*'):
        if match := re.search(r'_port(\d+)', path.name):
            yield (int(match[1]) - _FIRST_PORT) // _PORTS, path


def isolate(domain: int, environ: MutableMapping[str, str] = os.environ) -> None:
    """
    Set a domain, and keep ROS on this machine, for this process and its children.

    :param domain: ROS domain.
    :param environ: environment variables, modified.
    """
    for name in (
        'ROS_DISCOVERY_SERVER', 'ROS_STATIC_PEERS', 'ROS_SUPER_CLIENT', 'ROS_LOCALHOST_ONLY',
        'ROS_SECURITY_ENABLE', 'ROS_NAMESPACE',
    ):  # fmt: skip
        environ.pop(name, None)
    environ['ROS_DOMAIN_ID'] = str(domain)
    if environ.get('ROS_DISTRO') == 'humble':
        environ['ROS_LOCALHOST_ONLY'] = '1'
    else:
        environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    root = str(Path(__file__).resolve().parents[3])
    path = environ.get('PYTHONPATH', '')
    environ['PYTHONPATH'] = os.pathsep.join([root, path] if path else [root])
    # The log of a process that does not start is shown at once.
    environ['PYTHONUNBUFFERED'] = '1'
