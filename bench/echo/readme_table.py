"""The table of the README: one row for each server, one column for each kind of load.

Every kind of load is in it, also the one in which coaio is furthest from its floor. A scenario that
was not measured leaves its cells empty, so that a missing column is seen.
"""

import tables

# (scenario, figure, title, whether the ratio to the floor stands beside the figure)
COLUMNS = (
    ("ping-pong-64-spin", "p50_us", "64 B round trip, client spinning: p50 µs", True),
    ("ping-pong-64-spin", "cpu_percent", "server CPU %", False),
    ("64x64", "cpu_us_per_request", "64 connections, 64 B: CPU µs per request", True),
    ("1000x64", "cpu_us_per_request", "1,000 connections, 64 B: CPU µs per request", True),
    ("idle", "cpu_percent", "10,000 idle connections: CPU %", False),
)

HEADER = "| server | " + " | ".join(title for _, _, title, _ in COLUMNS) + " |"
RULE = "| --- |" + " ---: |" * len(COLUMNS)


def as_readme(document):
    results = {(r["contender"], r["scenario"]): r for r in document["results"]}
    lines = [HEADER, RULE]
    for contender in document["contenders"]:
        cells = [
            _cell(results.get((contender["id"], scenario)), figure, with_ratio)
            for scenario, figure, _, with_ratio in COLUMNS
        ]
        lines.append("| " + " | ".join([contender["label"], *cells]) + " |")
    return "\n".join(["", *lines, "", tables.legend(document), *tables.notes(document)])


def _cell(result, figure, with_ratio):
    if result is None:
        return ""
    text = tables.number(result["summary"][figure]["median"])
    ratio = result["ratio_to_floor"] if with_ratio else None
    return f"{text} ({tables.ratio_text(ratio)})" if ratio else text
