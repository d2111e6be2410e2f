# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Check that no image is unaccounted for."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ['check_sums', 'check_window', 'is_settled']


def is_settled(counts: Mapping[str, int]) -> bool:
    """Tell whether each received image has been published or counted otherwise."""
    names = ('published', 'dropped', 'malformed', 'failed')
    return counts['received'] == sum(counts[name] for name in names)


def check_sums(camera: str, counts: Mapping[str, int], arrays: int) -> list[str]:
    """
    Check the counts of a camera since the node was configured.

    :param camera: topic, for the messages.
    :param counts: of /diagnostics, at rest.
    :param arrays: arrays received from the node since then.
    :return: a sentence per fault.
    """
    faults = []
    if not is_settled(counts):
        faults.append(f'{camera}: received is not published + dropped + malformed + failed')
    if counts['failed']:
        faults.append(f'{camera}: {counts["failed"]} inferences failed')
    if arrays != counts['published']:
        faults.append(f'{camera}: {counts["published"]} published, {arrays} arrays arrived')
    return [f'{fault}: {dict(counts)}' for fault in faults]


def check_window(
    camera: str,
    before: Mapping[str, int],
    after: Mapping[str, int],
    sent: Mapping[str, int],
) -> list[str]:
    """
    Check the counts of a camera over a time in which it stayed subscribed.

    The last image before and the last one in that time have been received.

    :param before: counts of /diagnostics at its begin.
    :param after: the same at its end.
    :param sent: images that the camera sent in between, and how many of them were malformed.
    :return: a sentence per fault.
    """
    change = {name: after[name] - before[name] for name in after}
    faults = []
    if change['received'] + change['lost'] != sent['sent']:
        faults.append(f'{camera}: {sent["sent"]} sent is not received + lost')
    missing = change['lost'] + change['dropped']
    if not sent['malformed'] - missing <= change['malformed'] <= sent['malformed']:
        faults.append(f'{camera}: {sent["malformed"]} of the sent images are malformed')
    return [f'{fault}: {change}' for fault in faults]
