# Copyright 2026 The trt_detector Authors
# SPDX-License-Identifier: Apache-2.0
"""Positions in the charts."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from trt_detector.evaluation.svg import bar_chart, line_chart, stacked

SVG = '{http://www.w3.org/2000/svg}'


def test_points_of_a_line_are_in_proportion() -> None:
    lines = [[(2.0, 10.0), (4.0, 20.0), (8.0, 0.0)], [(4.0, 5.0)]]
    root = ET.fromstring(line_chart('a & b', 'rate', ['one', '<two>'], lines))
    drawn = [
        [tuple(map(float, point.split(','))) for point in line.get('points', '').split()]
        for line in root.iter(f'{SVG}polyline')
    ]
    assert [len(line) for line in drawn] == [3, 1]
    (x2, y10), (x4, y20), (x8, y0) = drawn[0]
    # Both axes begin at 0, and y grows upward.
    assert x8 - x4 == pytest.approx(2 * (x4 - x2), abs=0.2)
    assert y0 - y20 == pytest.approx(2 * (y0 - y10), abs=0.2)
    assert y20 < y10 < y0
    assert drawn[1][0][0] == x4
    assert y0 - drawn[1][0][1] == pytest.approx((y0 - y20) / 4, abs=0.2)
    texts = [text.text for text in root.iter(f'{SVG}text')]
    assert {'a & b', 'rate', 'one', '<two>', '0', '8', '20'} <= set(texts)


def test_powers_of_ten_are_at_equal_distances_on_logarithmic_axes() -> None:
    line = [(0.0, 5.0), (1.0, 0.02), (10.0, 0.2), (1000.0, 20.0)]
    chart = line_chart('a', 'number', ['n'], [line], values='time in ms', logarithmic=True)
    root = ET.fromstring(chart)
    (drawn,) = [path.get('points', '').split() for path in root.iter(f'{SVG}polyline')]
    (x1, y1), (x10, y10), (x1000, y1000) = (tuple(map(float, p.split(','))) for p in drawn)
    assert x1000 - x10 == pytest.approx(2 * (x10 - x1), abs=0.2)
    assert y10 - y1000 == pytest.approx(2 * (y1 - y10), abs=0.2)
    texts = {text.text for text in root.iter(f'{SVG}text')}
    assert {'time in ms', 'number', '1', '10', '100', '1000', '0.01', '0.1'} <= texts
    assert not {'10000', '0.001'} & texts


@pytest.mark.parametrize('largest', [0.0, 0.3, 8.0, 9.7, 99.0, 237.7])
def test_axis_ends_at_a_round_number_at_or_above_the_largest_value(largest: float) -> None:
    root = ET.fromstring(line_chart('a', 'x', ['n'], [[(1.0, largest)]], values='y'))
    (drawn,) = [path.get('points', '') for path in root.iter(f'{SVG}polyline')]
    labels = [text for text in root.iter(f'{SVG}text') if text.get('text-anchor') == 'end']
    numbers = [float(text.text or '') for text in labels if text.text != 'y']
    assert len(numbers) == 5
    step = numbers[1]
    assert numbers == pytest.approx([number * step for number in range(5)])
    assert float(f'{step:.2g}') == step
    assert largest <= numbers[-1] <= max(2.6 * largest, 1e-8)
    assert float(drawn.split(',')[1]) == pytest.approx(
        float(labels[-1].get('y', '0')) - 4 + 240 * (1 - largest / numbers[-1]), abs=0.2
    )


def test_drawing_has_texts_for_screen_readers_and_colors_of_both_modes() -> None:
    chart = bar_chart('b', ['n'], [1.0], '{}', color='#123456')
    root = ET.fromstring(stacked([chart], 'Cost <each>', 'It grows.'))
    assert [child.tag.removeprefix(SVG) for child in root][:3] == ['title', 'desc', 'style']
    assert (root.findtext(f'{SVG}title'), root.findtext(f'{SVG}desc')) == (
        'Cost <each>', 'It grows.',
    )  # fmt: skip
    paper, bar = root.iter(f'{SVG}rect')
    assert (paper.get('class'), paper.get('fill'), bar.get('fill')) == (
        'paper', 'white', '#123456',
    )  # fmt: skip


def test_a_line_of_zeros_is_drawn() -> None:
    root = ET.fromstring(line_chart('a', 'rate', ['one'], [[(0.0, 0.0)]]))
    assert len(list(root.iter(f'{SVG}circle'))) == 1


def test_long_names_are_inside_the_drawing() -> None:
    for name in ('short', 'a name that is much longer than the usual ones of a chart'):
        root = ET.fromstring(bar_chart('title', [name], [1.0], '{:.1f}'))
        (label,) = [text for text in root.iter(f'{SVG}text') if text.text == name]
        # It ends at x; a letter of 13 pixels is 7 wide on average.
        assert float(label.get('x', '0')) >= 7 * len(name)
        (bar,) = root.iter(f'{SVG}rect')
        assert float(label.get('x', '0')) < float(bar.get('x', '0'))


def test_charts_are_stacked_without_overlap() -> None:
    charts = [line_chart('a', 'x', ['n'], [[(1.0, 1.0)]]), bar_chart('b', ['n'], [1.0], '{}')]
    root = ET.fromstring(stacked(charts))
    inner = list(root.iter(f'{SVG}svg'))[1:]
    heights = [float(each.get('height', '0')) for each in inner]
    assert [float(each.get('y', '-1')) for each in inner] == [0.0, heights[0]]
    assert float(root.get('height', '0')) == sum(heights)
