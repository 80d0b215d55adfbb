"""The results as tables, in plain text and in Markdown. Both are made from the same rows."""

import re
import textwrap

_METRIC_TITLES = {"p50_us": "p50 : floor", "cpu_us_per_request": "CPU : floor"}


def number(value):
    """Three significant digits where they are needed, and never an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def with_range(spread, scale=1.0):
    middle = number(spread["median"] * scale)
    if spread["min"] == spread["max"]:
        return middle
    return f"{middle} ({number(spread['min'] * scale)}–{number(spread['max'] * scale)})"


def ratio_text(ratio):
    if ratio is None:
        return "–"
    return f"{ratio['median']:.2f} [{ratio['low']:.2f}–{ratio['high']:.2f}]"


def latency_unit(results):
    """(name, how many of it make a µs) that keeps the latencies of these results short."""
    typical = max(r["summary"]["p50_us"]["median"] for r in results)
    return ("ms", 0.001) if typical >= 1000 else ("µs", 1.0)


def _busy_row(result, scale):
    s = result["summary"]
    return [
        with_range(s["p50_us"], scale),
        number(s["p90_us"]["median"] * scale),
        number(s["p99_us"]["median"] * scale),
        number(s["p999_us"]["median"] * scale),
        number(s["requests_per_second"]["median"] / 1000),
        with_range(s["cpu_us_per_request"]),
        number(s["cpu_percent"]["median"]),
        ratio_text(result["ratio_to_floor"]),
    ]


def _busy_header(results, unit):
    ratios = [r["ratio_to_floor"] for r in results if r["ratio_to_floor"]]
    title = _METRIC_TITLES[ratios[0]["metric"]] if ratios else "to floor"
    return [f"p50 {unit}", "p90", "p99", "p99.9", "kreq/s", "CPU µs/req", "CPU %", title]


def all_tables(document):
    """(title, header, rows): one for each scenario with results, and what polling gains; the first
    cell of a row is the contender.
    """
    yield from _scenario_tables(document)
    yield from _polling_table(document)


def _scenario_tables(document):
    labels = {c["id"]: c["label"] for c in document["contenders"]}
    for scenario in document["scenarios"]:
        results = [r for r in document["results"] if r["scenario"] == scenario["id"]]
        if not results:
            continue
        if scenario["mode"] == "idle":
            header, cells = ["server CPU %"], lambda r: [with_range(r["summary"]["cpu_percent"])]
        else:
            unit, scale = latency_unit(results)
            header, cells = _busy_header(results, unit), lambda r: _busy_row(r, scale)
        rows = [[labels[r["contender"]], *cells(r)] for r in results]
        if scenario["mode"] != "idle" and not any(r["ratio_to_floor"] for r in results):
            header, rows = header[:-1], [row[:-1] for row in rows]
        yield scenario["title"], ["", *header], rows


def _polling_table(document):
    ratios = {
        (r["contender"], r["scenario"]): r["ratio_to_polling_off"]
        for r in document["results"]
        if r["ratio_to_polling_off"]
    }
    contenders = [c for c in document["contenders"] if any(i == c["id"] for i, _ in ratios)]
    scenarios = [s for s in document["scenarios"] if any(i == s["id"] for _, i in ratios)]
    if ratios:
        titles = (s["title"].removeprefix("Ping-pong, ") for s in scenarios)
        header = ["", *(title.replace("client ", "") for title in titles)]
        yield "Ping-pong, p50 with polling on : off", header, [
            [c["label"], *(ratio_text(ratios.get((c["id"], s["id"]))) for s in scenarios)]
            for c in contenders
        ]


def notes(document):
    """What a reader must know before believing the figures."""
    flags = document["build"]["flags"]
    if flags and not re.search(r"-O[23s]", flags):
        yield f"The programs were not built for speed ({flags})."
    if "-fsanitize" in (flags or ""):
        yield "The programs were built with a sanitizer."
    if document["run"]["shared_cpu"]:
        yield "Client and server shared one CPU: the latencies measure the scheduler."
    if document["machine"]["load_average"] > 0.5:
        yield f"The machine was not quiet before (load {document['machine']['load_average']:.1f})."
    for scenario in document["scenarios"]:
        if scenario["unavailable"]:
            yield f"{scenario['title']} could not be measured: {scenario['unavailable']}."
    for contender in document["contenders"]:
        if contender["unavailable"]:
            yield f"{contender['label']} did not take part: {contender['unavailable']}."
    for failure in document["failures"]:
        where = f"{failure['contender']} under {failure['scenario']}"
        yield f"{where}, run {failure['repetition'] + 1}: {failure['reason']}."


def legend(document):
    run = document["run"]
    if run["repetitions"] == 1:
        return (
            f"One run of {run['duration_seconds']:g} s each (idle: {run['idle_repetitions']} × "
            f"{run['idle_duration_seconds']:g} s): not a result. Single runs scatter, so no ratio is "
            "formed from them; for figures to quote, take --full."
        )
    return (
        f"Medians of interleaved runs: {run['repetitions']} × {run['duration_seconds']:g} s, "
        f"idle {run['idle_repetitions']} × {run['idle_duration_seconds']:g} s, with (min–max). "
        "Ratios are taken within each repetition, then their median, with [95 % bootstrap "
        "interval] from five pairs up and [min–max] below. The floor of p50 is the raw server that "
        "waits in the same way; that of CPU per request is the one that sleeps, the cheapest."
    )


def as_text(document):
    lines = []
    for title, header, rows in all_tables(document):
        widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
        widths[0] = max(widths[0], 23)
        lines += ["", title]
        for row in [header, *rows]:
            cells = [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:])),
            ]
            lines.append("  " + "  ".join(cells).rstrip())
    for paragraph in [legend(document), *notes(document)]:
        lines += ["", textwrap.fill(paragraph, 98)]
    return "\n".join(lines)


def as_markdown(document):
    lines = []
    for title, header, rows in all_tables(document):
        lines += [
            f"**{title}**",
            "",
            "| " + " | ".join(header) + " |",
            "| --- |" + " ---: |" * (len(header) - 1),
        ]
        lines += ["| " + " | ".join(row) + " |" for row in rows]
        lines.append("")
    machine, build = document["machine"], document["build"]
    lines += [
        f"{machine['kernel']}, {machine['cpus']} × {machine['cpu_model']}"
        f"{' (virtual)' if machine['virtual'] else ''}, "
        f"{build['compiler']}. {legend(document)}"
    ]
    for note in notes(document):
        lines += ["", note]
    return "\n".join(lines)
