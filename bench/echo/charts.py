"""The charts of the report as inline SVG. Colours and line styles come from the classes that
report_template.html defines: the kernel's interface gives the colour, raw servers are drawn
lighter than coaio, and those that never sleep without dashes.

Every chart is 400 units wide, so that the text keeps its size in a column of a wide page and on the
whole of a narrow one.
"""

import html
import math

WIDTH = 400
_LABEL_GAP = 13.5


def _text(x, y, content, css="", anchor="start"):
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} class="{css}">{html.escape(content)}</text>'


def _line(x1, y1, x2, y2, css):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def _series(contender, tooltip, *parts):
    waiting = "polls" if contender["polls"] else "sleeps"
    style = f"{contender['interface']} {contender['family']} {waiting}"
    return f'<g class="series {style}"><title>{html.escape(tooltip)}</title>{"".join(parts)}</g>'


def _figure(height, description, *parts):
    name = html.escape(description, quote=True)
    head = f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{name}">'
    return f'{head}{"".join(parts)}</svg>'


def spread(positions, gap, low, high):
    """Moves positions as little as possible until they stand `gap` apart, within [low, high]."""
    order = sorted(range(len(positions)), key=positions.__getitem__)
    # [sum, count] of positions less the gaps above them; neighbours that would collide are merged.
    blocks = []
    for rank, index in enumerate(order):
        blocks.append([positions[index] - rank * gap, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    levels = [total / count for total, count in blocks for _ in range(count)]
    highest = max(low, high - (len(positions) - 1) * gap)
    result = [0.0] * len(positions)
    for rank, index in enumerate(order):
        result[index] = min(max(levels[rank], low), highest) + rank * gap
    return result


def nice_ticks(top, wanted=5):
    """Multiples of 1, 2 or 5 times a power of ten from 0 to at least `top`."""
    raw = max(top, 1e-9) / wanted
    power = 10 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw)
    return [i * step for i in range(math.ceil(top / step - 1e-9) + 1)]


def log_ticks(low, high):
    """Values 1, 2 and 5 times a power of ten in [low, high]; the powers alone where that would be
    too many.
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [m * 10.0**p for p in powers for m in (1, 2, 5) if low <= m * 10.0**p <= high]
    sparse = [10.0**p for p in powers if low <= 10.0**p <= high]
    return sparse if len(ticks) > 9 and len(sparse) > 1 else ticks


def microseconds(us):
    for limit, unit, scale in ((1e6, "s", 1e-6), (1e3, "ms", 1e-3)):
        if us >= limit:
            return f"{us * scale:.3g} {unit}"
    return f"{us:.3g} µs"


def _marker(x, y, contender):
    if contender["family"] == "coaio":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.6" class="mark"/>'
    return f'<path d="M{x - 5:.1f} {y:.1f}l5-5 5 5-5 5z" class="mark"/>'


def _label_column(points, x_of_labels, low, high):
    """Labels right of their points, in one column, each tied to its point by a thin line."""
    heights = spread([y for _, _, y, _ in points], _LABEL_GAP, low, high)
    return {
        contender["id"]: (
            _line(x + 6, y, x_of_labels - 3, at, "leader")
            + _text(x_of_labels, at + 4, contender["label"], "label")
        )
        for (contender, x, y, _), at in zip(points, heights)
    }


def latency_against_cpu(entries, description):
    """entries: (contender, summary). Server CPU in per cent to the right, median latency upwards,
    both from zero.
    """
    left, right, top, bottom = 40, 234, 20, 216
    ticks = nice_ticks(max(s["p50_us"]["max"] for _, s in entries) * 1.05)
    largest_cpu = max(100, *(s["cpu_percent"]["max"] for _, s in entries))
    to_x = lambda percent: left + (right - left) * percent / largest_cpu
    to_y = lambda us: bottom - (bottom - top) * us / ticks[-1]
    parts = [_text(left - 34, 11, "p50 latency, µs", "axis")]
    for tick in ticks:
        parts += [
            _line(left, to_y(tick), right, to_y(tick), "grid"),
            _text(left - 6, to_y(tick) + 4, f"{tick:g}", "tick", "end"),
        ]
    for percent in (0, 25, 50, 75, 100):
        parts += [
            _line(to_x(percent), top, to_x(percent), bottom, "grid"),
            _text(to_x(percent), bottom + 16, f"{percent}", "tick", "middle"),
        ]
    parts.append(_text((left + right) / 2, bottom + 33, "server CPU, %", "axis", "middle"))
    points = [
        (c, to_x(s["cpu_percent"]["median"]), to_y(s["p50_us"]["median"]), s) for c, s in entries
    ]
    labels = _label_column(points, right + 16, top, bottom)
    for contender, x, y, s in points:
        cpu, p50 = s["cpu_percent"], s["p50_us"]
        tooltip = (
            f"{contender['label']}: p50 {p50['median']:.1f} µs "
            f"({p50['min']:.1f}–{p50['max']:.1f}), {cpu['median']:.0f} % CPU, "
            f"{s['cpu_us_per_request']['median']:.1f} µs CPU per request"
        )
        parts.append(
            _series(
                contender,
                tooltip,
                labels[contender["id"]],
                _line(x, to_y(p50["min"]), x, to_y(p50["max"]), "whisker"),
                _line(to_x(cpu["min"]), y, to_x(cpu["max"]), y, "whisker"),
                _marker(x, y, contender),
            )
        )
    return _figure(bottom + 40, description, *parts)


def _nines(histogram, most):
    """(-log10 of the share of slower requests, latency in µs) for each bucket, up to `most`."""
    total = sum(count for _, count in histogram)
    seen = 0
    for value, count in histogram:
        begin = -math.log10(1 - seen / total)
        if begin > most:
            return
        seen += count
        end = -math.log10(1 - seen / total) if seen < total else most
        yield begin, value / 1000
        yield min(end, most), value / 1000


def latency_distribution(entries, description):
    """entries: (contender, histogram). Percentiles to the right, evenly per factor of ten; latency
    upwards, logarithmic.
    """
    left, right, top, bottom = 46, 234, 20, 236
    # A percentile needs ten slower requests to mean something.
    supported = min(
        math.log10(sum(count for _, count in histogram) / 10) for _, histogram in entries
    )
    most = max(1.0, min(4.0, supported))
    curves = [(contender, list(_nines(histogram, most))) for contender, histogram in entries]
    lows, highs = [c[0][1] for _, c in curves], [c[-1][1] for _, c in curves]
    low, high = min(lows) / 1.12, max(highs) * 1.12
    to_x = lambda nines: left + (right - left) * nines / most
    to_y = lambda us: bottom - (bottom - top) * math.log(us / low) / math.log(high / low)
    parts = [
        _text(left - 40, 11, "latency", "axis"),
        _text((left + right) / 2, bottom + 33, "percentile", "axis", "middle"),
    ]
    for tick in log_ticks(low, high):
        parts += [
            _line(left, to_y(tick), right, to_y(tick), "grid"),
            _text(left - 6, to_y(tick) + 4, microseconds(tick), "tick", "end"),
        ]
    for share in (0, 50, 90, 99, 99.9, 99.99):
        nines = -math.log10(1 - share / 100)
        if nines <= most + 1e-9:
            parts += [
                _line(to_x(nines), top, to_x(nines), bottom, "grid"),
                _text(to_x(nines), bottom + 16, f"{share:g}", "tick", "middle"),
            ]
    labels = _label_column(
        [(c, right - 4, to_y(curve[-1][1]), None) for c, curve in curves], right + 16, top, bottom
    )
    for contender, curve in curves:
        path = "M" + "L".join(
            f"{to_x(nines):.1f} {to_y(us):.1f}" for nines, us in _thinned(curve, to_x, to_y)
        )
        at = lambda share: next(
            (us for nines, us in curve if nines >= -math.log10(1 - share)), curve[-1][1]
        )
        shares = [0.5, 0.9, 0.99] if most >= 2 else [0.5, 0.9]
        within = ", ".join(f"{share:.0%} within {microseconds(at(share))}" for share in shares)
        tooltip = f"{contender['label']}: {within}"
        parts.append(
            _series(
                contender,
                tooltip,
                f'<path d="{path}" class="hit"/><path d="{path}" class="curve"/>',
                labels[contender["id"]],
            )
        )
    return _figure(bottom + 40, description, *parts)


def _thinned(curve, to_x, to_y):
    """Leaves out points that cannot be told apart: those less than a unit from the last one."""
    last = None
    for point in curve:
        x, y = to_x(point[0]), to_y(point[1])
        if last is None or abs(x - last[0]) + abs(y - last[1]) >= 1 or point is curve[-1]:
            last = (x, y)
            yield point


def bars(entries, description, axis):
    """entries: (contender, {median, min, max}, text at the bar). From zero, with a whisker from min
    to max.
    """
    left, right, row, top = 156, 296, 22, 18
    ticks = nice_ticks(max(value["max"] for _, value, _ in entries), wanted=3)
    to_x = lambda value: left + (right - left) * value / ticks[-1]
    bottom = top + row * len(entries) + 4
    parts = [_text(left, 10, axis, "axis")]
    for tick in ticks:
        parts += [
            _line(to_x(tick), top, to_x(tick), bottom, "grid"),
            _text(to_x(tick), bottom + 15, f"{tick:g}", "tick", "middle"),
        ]
    for i, (contender, value, text) in enumerate(entries):
        y = top + i * row + 5
        middle = y + 6.5
        length = max(1.5, to_x(value["median"]) - left)
        bar = f'<rect x="{left}" y="{y}" width="{length:.1f}" height="13" rx="2" class="bar"/>'
        whisker = (
            _line(to_x(value["min"]), middle, to_x(value["max"]), middle, "whisker")
            if value["min"] < value["max"]
            else ""
        )
        tooltip = f"{contender['label']}: {text} ({value['min']:.3g}–{value['max']:.3g})"
        parts.append(
            _series(
                contender,
                tooltip,
                _text(left - 8, middle + 4, contender["label"], "label", "end"),
                bar,
                whisker,
                _text(right + 12, middle + 4, text, "value"),
            )
        )
    return _figure(bottom + 22, description, *parts)


def ratios(contender, entries, description, reach):
    """entries: (scenario title, ratio). One row each: the median and its interval on a logarithmic
    axis around 1, the floor.
    """
    left, right, row, top = 150, 334, 24, 22
    to_x = lambda ratio: left + (right - left) * (
        0.5 + 0.5 * math.log(min(max(ratio, 1 / reach), reach)) / math.log(reach)
    )
    bottom = top + row * len(entries) + 2
    parts = [_text(left, 11, "faster, cheaper", "axis"), _text(right, 11, "slower, dearer", "axis", "end")]
    for tick in sorted({1 / reach, 1 / math.sqrt(reach), 1.0, math.sqrt(reach), reach}):
        css = "grid unity" if abs(tick - 1) < 1e-9 else "grid"
        parts += [
            _line(to_x(tick), top - 4, to_x(tick), bottom, css),
            _text(to_x(tick), bottom + 15, f"{tick:.2g}", "tick", "middle"),
        ]
    for i, (title, ratio) in enumerate(entries):
        y = top + i * row + row / 2
        what = "median latency" if ratio["metric"] == "p50_us" else "CPU per request"
        tooltip = (
            f"{title}: {what} is {ratio['median']:.2f} times the floor's, {ratio['interval']} "
            f"{ratio['low']:.2f}–{ratio['high']:.2f} of {ratio['pairs']} pairs"
        )
        parts.append(
            _series(
                contender,
                tooltip,
                _text(left - 10, y + 4, title, "row", "end"),
                _line(to_x(ratio["low"]), y, to_x(ratio["high"]), y, "interval"),
                _marker(to_x(ratio["median"]), y, contender),
                _text(right + 12, y + 4, f"{ratio['median']:.2f} ×", "value"),
            )
        )
    return _figure(bottom + 22, description, *parts)
