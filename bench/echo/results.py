"""The document that a benchmark leaves (results_schema.json describes it), and its two files."""

import dataclasses
import datetime
import json
import os
import pathlib
import re
import shlex
import sys

import machine
import measure
import options as options_module
import report

SCHEMA = "coaio-echo-2"


def make_document(options, plan, runs, described_machine, contenders, scenarios):
    """Contenders and scenarios are all that were asked for, as pairs with the reason not to run."""
    program = os.path.join(plan.binaries, plan.contenders[0].program)
    return {
        "schema": SCHEMA,
        "machine": described_machine,
        "build": machine.describe_build(program, str(options_module.CHECKOUT)),
        "run": _describe_run(options, plan),
        "contenders": [_with_reason(contender, reason) for contender, reason in contenders],
        "scenarios": [_with_reason(scenario, reason) for scenario, reason in scenarios],
        "results": measure.results_of(plan, runs),
        "failures": runs.failures,
    }


def _with_reason(item, reason):
    return {**dataclasses.asdict(item), "unavailable": reason}


def _describe_run(options, plan):
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command_line": shlex.join(["bench", *sys.argv[1:]]),
        "profile": options.profile,
        "repetitions": plan.repetitions,
        "warm_up_seconds": plan.warm_up,
        "duration_seconds": plan.duration,
        "idle_repetitions": plan.idle_repetitions,
        "idle_duration_seconds": plan.idle_duration,
        "think_us": plan.think_us,
        "client_cpu": plan.client_cpu,
        "server_cpu": plan.server_cpu,
        "shared_cpu": plan.client_cpu == plan.server_cpu,
    }


def write(document, folder):
    """Writes both files and returns the path of the report. Without a folder: to a new one."""
    stamp = re.sub(r"[-:]", "", document["run"]["date"].split("+")[0])
    default = options_module.CHECKOUT / "bench-results" / f"echo-{stamp}"
    folder = pathlib.Path(folder) if folder else default
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, separators=(",", ":"))
    (folder / "results.json").write_text(text + "\n", encoding="utf-8")
    (folder / "report.html").write_text(report.render(document), encoding="utf-8")
    return folder / "report.html"
