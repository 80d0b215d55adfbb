"""Line charts as SVG files that stand alone and are legible on light and on dark pages."""

import html
import math

from scenarios import POLICIES, THINK_US

_WIDTH, _HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 490, 44, 270
_STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; fill: #4a5463; }
.title { font-weight: 600; font-size: 14px; fill: #17202b; }
.page { fill: #ffffff; } .grid { stroke: #dfe4ea; }
path { fill: none; stroke-width: 2; stroke-linejoin: round; }
.c0 { stroke: #5b6675; } .c1 { stroke: #8a5a00; } .c2 { stroke: #b6470b; }
.c3 { stroke: #0b7a5c; } .c4 { stroke: #0a62b8; stroke-width: 3; }
.c5 { stroke: #8a3fb0; stroke-dasharray: 6 3; }
@media (prefers-color-scheme: dark) {
  text { fill: #a9b4c2; } .title { fill: #e8ecf1; }
  .page { fill: #181d24; } .grid { stroke: #323b47; }
  .c0 { stroke: #9ba7b5; } .c1 { stroke: #e0b050; } .c2 { stroke: #f59e6c; }
  .c3 { stroke: #58cfa8; } .c4 { stroke: #74b4f7; } .c5 { stroke: #d39bf0; }
}
"""


def _text(x, y, content, css="", anchor="start"):
    place = f'x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}"'
    return f"<text {place}>{html.escape(content)}</text>"


def _short(value):
    return f"{value / 1000:g} ms" if value >= 1000 else f"{value:g}"


def _apart(heights, gap=16):
    """Label heights, in order, moved down until they do not touch."""
    placed = {}
    last = -math.inf
    for name, height in sorted(heights.items(), key=lambda item: item[1]):
        last = max(height, last + gap)
        placed[name] = last
    overflow = max(0.0, last - _BOTTOM)
    return {name: height - overflow for name, height in placed.items()}


def lines(title, x_title, xs, y_ticks, series, log_y):
    """series: {name: [one value for each x]}. Returns the text of an SVG file."""
    to_x = lambda i: _LEFT + (_RIGHT - _LEFT) * i / (len(xs) - 1)
    scale = (lambda y: math.log(max(y, y_ticks[0]))) if log_y else (lambda y: y)
    low, high = scale(y_ticks[0]), scale(y_ticks[-1])
    to_y = lambda y: _BOTTOM - (_BOTTOM - _TOP) * (min(scale(y), high) - low) / (high - low)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'role="img" aria-label="{html.escape(title, quote=True)}"><style>{_STYLE}</style>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" rx="8" class="page"/>',
        _text(16, 24, title, "title"),
        _text((_LEFT + _RIGHT) / 2, _BOTTOM + 40, x_title, anchor="middle"),
    ]
    for tick in y_ticks:
        y = to_y(tick)
        parts.append(f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(_text(_LEFT - 8, y + 4, f"{tick:g}", anchor="end"))
    parts += [_text(to_x(i), _BOTTOM + 18, _short(x), anchor="middle") for i, x in enumerate(xs)]
    labels = _apart({name: to_y(values[-1]) for name, values in series.items()})
    for number, (name, values) in enumerate(series.items()):
        path = "L".join(f"{to_x(i):.1f} {to_y(y):.1f}" for i, y in enumerate(values))
        end = to_y(values[-1])
        leader = f"{_RIGHT + 2} {end:.1f}L{_RIGHT + 14} {labels[name]:.1f}h8"
        parts += [
            f'<path d="M{path}" class="c{number}"/>',
            f'<path d="M{leader}" class="c{number}"/>',
            _text(_RIGHT + 26, labels[name] + 4, name),
        ]
    return "".join([*parts, "</svg>\n"])


def draw_policies(results, folder):
    back_end = results.back_ends[-1]  # io_uring, where it can be had
    folder.mkdir(parents=True, exist_ok=True)
    of = lambda figure: {
        policy: [results.median(f"think {us}", back_end, policy, figure) for us in THINK_US]
        for policy in POLICIES
    }
    x_title = "µs for which the partner thinks before each request"
    (folder / "latency.svg").write_text(
        lines(
            "Median round trip, µs",
            x_title,
            THINK_US,
            [5, 10, 20, 50, 100, 200],
            of("p50_us"),
            True,
        )
    )
    (folder / "cpu.svg").write_text(
        lines(
            "CPU time of the loop, %",
            x_title,
            THINK_US,
            [0, 25, 50, 75, 100],
            of("cpu_percent"),
            False,
        )
    )
