# SPDX-License-Identifier: Apache-2.0
#
# Drawings of a report: lines over time and grouped bars, as plain SVG without script or font.

import math
from html import escape

WIDTH = 960
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 56, 34
COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#666666"]


class Scale:
    """Values to positions, linear or logarithmic, with round ticks."""

    def __init__(self, low, high, start, end, is_log=False):
        self.is_log = is_log
        if is_log:
            low, high = max(low, 1e-3), max(high, 2e-3)
            self.low, self.high = math.floor(math.log10(low)), math.ceil(math.log10(high))
        else:
            self.low, self.high = low, high
        if self.high <= self.low:
            self.high = self.low + 1
        self.start, self.end = start, end

    def at(self, value):
        if self.is_log:
            value = math.log10(max(value, 10.0 ** self.low))
        part = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)

    def ticks(self, about=6):
        if self.is_log:
            return [10.0 ** power for power in range(int(self.low), int(self.high) + 1)]
        raw = (self.high - self.low) / about
        step = 10.0 ** math.floor(math.log10(raw))
        step *= next(factor for factor in (1, 2, 5, 10) if step * factor >= raw)
        first = math.ceil(self.low / step)
        return [index * step for index in range(first, int(self.high / step + 1e-9) + 1)]


def label(value):
    if value and abs(value) < 1:
        return f"{value:.3g}"
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def text(x, y, words, anchor="start", size=12, color="#333", weight="normal"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'font-weight="{weight}" fill="{color}">{escape(str(words))}</text>\n')


def legend(names, y):
    svg, x = "", LEFT
    for index, name in enumerate(names):
        color = COLORS[index % len(COLORS)]
        svg += f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{color}"/>\n'
        svg += text(x + 14, y, name, size=11)
        x += 14 + 6.6 * len(name) + 20
    return svg


def frame(title, scale, height, unit):
    svg = text(LEFT, 18, f"{title}, {unit}" if unit else title, size=14, weight="bold")
    for tick in scale.ticks():
        y = scale.at(tick)
        svg += f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>\n'
        svg += text(LEFT - 6, y + 4, label(tick), "end", 11)
    return svg


def lines(title, unit, series, marks=(), is_log=False, height=260, x_unit="s"):
    """`series` maps names to (x, y) points; `marks` are (x, words)."""
    points = [point for each in series.values() for point in each] or [(0, 0)]
    ys = [y for _, y in points]
    positive = [y for y in ys if y > 0] or [1]
    y_scale = Scale(
        min(positive) if is_log else 0, max(ys) or 1, height - BOTTOM, TOP, is_log)
    x_scale = Scale(min(x for x, _ in points), max(x for x, _ in points), LEFT, WIDTH - RIGHT)
    svg = frame(title, y_scale, height, unit) + legend(series, 38)
    for tick in x_scale.ticks(10):
        svg += text(x_scale.at(tick), height - BOTTOM + 16, label(tick), "middle", 11)
    svg += text(WIDTH - RIGHT, height - 4, x_unit, "end", 11)
    for x, words in marks:
        at = x_scale.at(x)
        svg += f'<path d="M{at:.1f} {TOP}V{height - BOTTOM}" stroke="#999" '
        svg += 'stroke-dasharray="4 3"/>\n' + text(at + 3, TOP + 10, words, size=10, color="#777")
    for index, each in enumerate(series.values()):
        path = "L".join(f"{x_scale.at(x):.1f} {y_scale.at(y):.1f}" for x, y in each)
        if path:
            svg += f'<path d="M{path}" fill="none" stroke-width="1.6" '
            svg += f'stroke="{COLORS[index % len(COLORS)]}"/>\n'
    return svg, height


def bars(title, unit, groups, series, is_log=False, height=260):
    """`series` maps names to one value for each of `groups`."""
    values = [value for each in series.values() for value in each]
    positive = [value for value in values if value > 0] or [1]
    scale = Scale(
        min(positive) / 2 if is_log else 0, max(positive), height - BOTTOM, TOP, is_log)
    svg = frame(title, scale, height, unit)
    if len(series) > 1:
        svg += legend(series, 38)
    room = (WIDTH - LEFT - RIGHT) / max(len(groups), 1)
    width = min(room * 0.8 / max(len(series), 1), 80)
    for place, group in enumerate(groups):
        middle = LEFT + room * (place + 0.5)
        svg += text(middle, height - BOTTOM + 16, group, "middle", 11)
        for index, each in enumerate(series.values()):
            x = middle + (index - len(series) / 2) * width
            y = scale.at(each[place]) if each[place] > 0 else height - BOTTOM
            svg += f'<rect x="{x:.1f}" y="{y:.1f}" width="{width * 0.92:.1f}" '
            svg += f'height="{height - BOTTOM - y:.1f}" fill="{COLORS[index % len(COLORS)]}"/>\n'
            svg += text(x + width * 0.46, y - 3, label(each[place]), "middle", 9)
    return svg, height


def page(title, verdicts, panels):
    """All panels below each other under a title and what held."""
    body, y = "", 34
    body += text(20, y, title, size=18, weight="bold")
    for words, holds in verdicts:
        y += 18
        color = "#00733e" if holds else "#b00020"
        body += text(20, y, f"{'held' if holds else 'missed'}: {words}", size=12, color=color)
    y += 24
    for panel, height in panels:
        body += f'<g transform="translate(0 {y})">\n{panel}</g>\n'
        y += height + 14
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" '
        f'height="{y}" font-family="system-ui, sans-serif" role="img" '
        f'aria-label="{escape(title)}">\n<rect width="100%" height="100%" fill="white"/>\n'
        f"{body}</svg>\n")
