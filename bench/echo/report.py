"""The report: one self-contained HTML page about one results document."""

import html
import pathlib
import string

import charts
import tables

_TEMPLATE = pathlib.Path(__file__).with_name("report_template.html")


class _View:
    """The document by what a chart asks for."""

    def __init__(self, document):
        self.document = document
        self.contenders = {c["id"]: c for c in document["contenders"]}

    def scenarios(self, mode):
        return [s for s in self.document["scenarios"] if s["mode"] == mode and self.results(s)]

    def results(self, scenario):
        """(contender, result) in the order of the contenders."""
        found = {
            r["contender"]: r for r in self.document["results"] if r["scenario"] == scenario["id"]
        }
        return [(self.contenders[i], found[i]) for i in self.contenders if i in found]


def _panel(title, svg):
    return f'<figure class="panel"><figcaption>{html.escape(title)}</figcaption>{svg}</figure>'


def _section(title, explanation, panels):
    if not panels:
        return ""
    anchor = title.lower().replace(" ", "-")
    head = f'<h2>{title}</h2><p class="lead">{explanation}</p>'
    return f'<section id="{anchor}">{head}<div class="grid">{"".join(panels)}</div></section>'


def _ratio_section(view):
    results = [r for r in view.document["results"] if r["ratio_to_floor"]]
    all_ratios = [r["ratio_to_floor"] for r in results]
    # One axis for all panels, so that they can be compared; what lies beyond is drawn at its edge.
    reach = 2 if all(r["low"] >= 0.5 and r["high"] <= 2 for r in all_ratios) else 4
    titles = {
        s["id"]: s["title"].replace("Ping-pong, ", "").replace("connections", "conns")
        for s in view.document["scenarios"]
    }
    panels = []
    for contender in view.contenders.values():
        own = [
            (titles[r["scenario"]], r["ratio_to_floor"])
            for r in results
            if r["contender"] == contender["id"]
        ]
        if own:
            description = f"{contender['label']}: " + ", ".join(
                f"{t} {r['median']:.2f} × {view.contenders[r['to']]['label']}" for t, r in own
            )
            panels.append(
                _panel(contender["label"], charts.ratios(contender, own, description, reach))
            )
    return _section(
        "Against the floor",
        "Each coaio server by a raw server on the same mechanism, pair by pair: for one connection "
        "median latency by that of the raw server that waits in the same way, for many server CPU "
        "per request by that of the one that sleeps, the cheapest. 1 is the floor; the bar is the "
        "interval.",
        panels,
    )


def _cpu_section(view):
    panels = []
    for scenario in view.scenarios("ping_pong"):
        entries = [(c, r["summary"]) for c, r in view.results(scenario)]
        description = "Median latency against server CPU: " + ", ".join(
            f"{c['label']} {s['p50_us']['median']:.1f} µs at {s['cpu_percent']['median']:.0f} %"
            for c, s in entries
        )
        panels.append(_panel(scenario["title"], charts.latency_against_cpu(entries, description)))
    return _section(
        "Latency against CPU",
        "A sleeping server is cheap and pays for each wake-up with latency; "
        "one that polls has it the other way round. "
        "Lower and further left is better.",
        panels,
    )


def _distribution_section(view):
    panels = []
    for scenario in [*view.scenarios("ping_pong"), *view.scenarios("concurrent")]:
        entries = [(c, r["histogram"]) for c, r in view.results(scenario)]
        description = "Latency by percentile of " + ", ".join(c["label"] for c, _ in entries)
        panels.append(_panel(scenario["title"], charts.latency_distribution(entries, description)))
    return _section(
        "Latency distribution",
        "All requests of all runs together. The right end is where the slow ones are.",
        panels,
    )


def _throughput_panel(view, scenario):
    entries = []
    for contender, result in view.results(scenario):
        rate = {k: v / 1000 for k, v in result["summary"]["requests_per_second"].items()}
        cpu = result["summary"]["cpu_us_per_request"]["median"]
        entries.append((contender, rate, f"{rate['median']:.3g} k · {cpu:.1f} µs"))
    description = "Throughput: " + ", ".join(
        f"{c['label']} {v['median']:.0f} thousand per second" for c, v, _ in entries
    )
    return _panel(
        scenario["title"],
        charts.bars(entries, description, "1,000 requests/s · CPU per request"),
    )


def _idle_panel(view, scenario):
    entries = [
        (
            c,
            r["summary"]["cpu_percent"],
            f"{tables.number(r['summary']['cpu_percent']['median'])} %",
        )
        for c, r in view.results(scenario)
    ]
    description = "Server CPU: " + ", ".join(f"{c['label']} {text}" for c, _, text in entries)
    return _panel(scenario["title"], charts.bars(entries, description, "server CPU, %"))


def _many_section(view):
    panels = [_throughput_panel(view, s) for s in view.scenarios("concurrent")] + [
        _idle_panel(view, s) for s in view.scenarios("idle")
    ]
    return _section(
        "Many connections",
        "Throughput with one request in flight on each connection, from a client that never sleeps "
        "and so costs a CPU of its own; and what idle connections cost.",
        panels,
    )


def _tile(figure, unit, caption):
    number = f"<b>{html.escape(figure)}<small>{html.escape(unit)}</small></b>"
    return f'<div class="tile">{number}<span>{html.escape(caption)}</span></div>'


def _best(view, scenario_id, metric):
    """The coaio contender with the lowest median, with its result, or None."""
    scenario = next((s for s in view.document["scenarios"] if s["id"] == scenario_id), None)
    own = [(c, r) for c, r in view.results(scenario) if c["family"] == "coaio"] if scenario else []
    return min(own, key=lambda pair: pair[1]["summary"][metric]["median"], default=None)


def _tiles(view):
    tiles = []
    for scenario_id, metric, figure_of in (
        ("ping-pong-64-spin", "p50_us", "the lowest median of a 64 B round trip"),
        ("64x64", "cpu_us_per_request", "the least server CPU per request, 64 connections"),
    ):
        if best := _best(view, scenario_id, metric):
            contender, result = best
            against = ""
            if ratio := result["ratio_to_floor"]:
                floor = view.contenders[ratio["to"]]["label"]
                against = f", {tables.ratio_text(ratio)} times {floor}"
            tiles.append(
                _tile(
                    tables.number(result["summary"][metric]["median"]),
                    " µs",
                    f"{figure_of}: {contender['label']}{against}",
                )
            )
    if gains := [
        r["ratio_to_polling_off"]["median"]
        for r in view.document["results"]
        if r["scenario"] == "ping-pong-64-spin" and r["ratio_to_polling_off"]
    ]:
        tiles.append(
            _tile(
                tables.number(max(gains)),
                " ×",
                "at most, the median of a 64 B round trip with polling on, "
                "by that of the same server with polling off",
            )
        )
    for scenario in view.scenarios("idle"):
        if own := [
            r["summary"]["cpu_percent"]["median"]
            for c, r in view.results(scenario)
            if c["family"] == "coaio"
        ]:
            tiles.append(
                _tile(
                    tables.number(max(own)),
                    " % CPU",
                    f"at most, whichever coaio server, with {scenario['title']}",
                )
            )
    return f'<div class="tiles">{"".join(tiles)}</div>' if tiles else ""


def _tables(document):
    parts = []
    for title, header, rows in tables.all_tables(document):
        head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in header)
        body = "".join(
            "<tr>"
            + f'<th scope="row">{html.escape(row[0])}</th>'
            + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
            + "</tr>"
            for row in rows
        )
        parts.append(
            f'<h3>{html.escape(title)}</h3><div class="scroll"><table>'
            f"<thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table></div>"
        )
    return "".join(parts)


def _facts(document):
    machine, build, run = document["machine"], document["build"], document["run"]
    kind = ", virtual machine" if machine["virtual"] else ""
    cpu = f"{machine['cpus']} × {machine['cpu_model']}{kind}"
    pinned = f"client on CPU {run['client_cpu']}, server on CPU {run['server_cpu']}"
    if run["shared_cpu"]:
        pinned = f"client and server share CPU {run['client_cpu']}: latencies measure the scheduler"
    compiler = " ".join(part for part in (build["compiler"], build["flags"]) if part) or "unknown"
    facts = [
        ("Machine", f"{cpu}; {machine['kernel']}"),
        ("Pinned", pinned),
        ("Compiler", compiler),
        ("Commit", build["commit"] or "unknown"),
        ("Date", run["date"]),
        ("Command", run["command_line"]),
    ]
    return "".join(
        f"<div><dt>{name}</dt><dd>{html.escape(value)}</dd></div>" for name, value in facts
    )


def render(document):
    view = _View(document)
    sections = [
        _ratio_section(view),
        _cpu_section(view),
        _distribution_section(view),
        _many_section(view),
    ]
    return string.Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        tiles=_tiles(view),
        facts=_facts(document),
        sections="".join(sections),
        tables=_tables(document),
        legend=html.escape(tables.legend(document)),
        notes="".join(f"<li>{html.escape(note)}</li>" for note in tables.notes(document)),
    )
