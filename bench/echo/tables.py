"""The results as tables, in plain text and in Markdown. Both are made from the same rows."""

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
    if ratio["pairs"] == 1:
        return f"{ratio['median']:.2f}"
    return f"{ratio['median']:.2f} [{ratio['low']:.2f}–{ratio['high']:.2f}]"


def _row(result):
    s = result["summary"]
    return [with_range(s["p50_us"]), number(s["p99_us"]["median"]), number(s["p999_us"]["median"]),
            number(s["requests_per_second"]["median"] / 1000), with_range(s["cpu_us_per_request"]),
            number(s["cpu_percent"]["median"]), ratio_text(result["ratio_to_floor"])]


def _busy_header(results):
    ratios = [r["ratio_to_floor"] for r in results if r["ratio_to_floor"]]
    title = _METRIC_TITLES[ratios[0]["metric"]] if ratios else "to floor"
    return ["p50 µs", "p99", "p99.9", "kreq/s", "CPU µs/request", "CPU %", title]


def scenario_tables(document):
    """(scenario, header, rows) for each scenario with results; the first cell of a row is the contender."""
    labels = {c["id"]: c["label"] for c in document["contenders"]}
    for scenario in document["scenarios"]:
        results = [r for r in document["results"] if r["scenario"] == scenario["id"]]
        if not results:
            continue
        if scenario["mode"] == "idle":
            header, cells = ["server CPU %"], lambda r: [with_range(r["summary"]["cpu_percent"])]
        else:
            header, cells = _busy_header(results), _row
        yield scenario, ["", *header], [[labels[r["contender"]], *cells(r)] for r in results]


def _notes(document):
    for contender in document["contenders"]:
        if contender["unavailable"]:
            yield f"{contender['label']} did not take part: {contender['unavailable']}."
    for failure in document["failures"]:
        yield f"{failure['contender']} under {failure['scenario']}, run {failure['repetition'] + 1}: {failure['reason']}."


def legend(document):
    run = document["run"]
    return (f"Medians of {run['repetitions']} interleaved runs of {run['duration_seconds']:g} s (idle: {run['idle_repetitions']} of "
            f"{run['idle_duration_seconds']:g} s), with (min–max) over the runs; ratios are taken within each repetition, "
            "then their median, with [95 % bootstrap interval] from five pairs up and [min–max] below.")


def as_text(document):
    lines = []
    for scenario, header, rows in scenario_tables(document):
        widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
        widths[0] = max(widths[0], 23)
        lines += ["", scenario["title"]]
        for row in [header, *rows]:
            cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
            lines.append("  " + "  ".join(cells).rstrip())
    lines += ["", legend(document), *_notes(document)]
    return "\n".join(lines)


def as_markdown(document):
    lines = []
    for scenario, header, rows in scenario_tables(document):
        lines += [f"**{scenario['title']}**", "", "| " + " | ".join(header) + " |", "| --- |" + " ---: |" * (len(header) - 1)]
        lines += ["| " + " | ".join(row) + " |" for row in rows]
        lines.append("")
    machine, build = document["machine"], document["build"]
    lines += [f"{machine['kernel']}, {machine['cpus']} × {machine['cpu_model']}{' (virtual)' if machine['virtual'] else ''}, "
              f"{build['compiler']}. {legend(document)}"]
    for note in _notes(document):
        lines += ["", note]
    return "\n".join(lines)
