#!/usr/bin/env python3
"""Measures coaio's echo server against the same server written in bare system calls.

The server is pinned to one CPU and the load generator to another. Results go to a new folder in bench-results/:
results.json (described in bench/echo/README.md) and report.html.
"""

import argparse
import dataclasses
import datetime
import fnmatch
import json
import os
import pathlib
import re
import shlex
import signal
import sys

import contenders as contenders_module
import machine
import measure
import progress as progress_module
import report
import scenarios as scenarios_module
import tables

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = "coaio-echo-1"

PROFILES = {
    "default": dict(repetitions=5, warm_up=0.1, duration=0.3, idle_repetitions=1, idle_duration=2.0),
    "quick": dict(repetitions=1, warm_up=0.05, duration=0.15, idle_repetitions=1, idle_duration=0.5),
    "full": dict(repetitions=15, warm_up=0.2, duration=1.0, idle_repetitions=3, idle_duration=10.0),
}


def positive(kind):
    def convert(text):
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError(f"{text} is not above zero")
        return value
    convert.__name__ = kind.__name__
    return convert


def not_negative(text):
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below zero")
    return value


def polling_policy(text):
    if not re.fullmatch(r"(fixed|grow_shrink):[1-9]\d*", text):
        raise argparse.ArgumentTypeError(f"'{text}' is neither fixed:MAX_US nor grow_shrink:MAX_US")
    return text


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    profile = parser.add_mutually_exclusive_group()
    profile.add_argument("--quick", action="store_const", dest="profile", const="quick", help="one short run of each, about 40 s")
    profile.add_argument("--full", action="store_const", dest="profile", const="full", help="15 interleaved pairs, about half an hour")
    parser.set_defaults(profile="default")
    parser.add_argument("--contenders", metavar="GLOBS", default="*", help="comma-separated, such as 'coaio-epoll*,raw-epoll*'")
    parser.add_argument("--scenarios", metavar="GLOBS", default="*", help="comma-separated, such as 'ping-pong-*,idle'")
    parser.add_argument("--list", action="store_true", help="print the contenders and scenarios, and stop")
    parser.add_argument("--repetitions", type=positive(int), metavar="N", help="of everything but idle")
    parser.add_argument("--duration", type=positive(float), metavar="SECONDS", help="of one measurement")
    parser.add_argument("--warm-up", type=positive(float), metavar="SECONDS", help="before each measurement")
    parser.add_argument("--idle-repetitions", type=positive(int), metavar="N")
    parser.add_argument("--idle-duration", type=positive(float), metavar="SECONDS")
    parser.add_argument("--idle-connections", type=positive(int), metavar="N", default=10_000)
    parser.add_argument("--think", type=not_negative, metavar="MICROSECONDS", default=0, help="between an echo and the next request")
    parser.add_argument("--polling", type=polling_policy, metavar="POLICY", default="grow_shrink:128",
                        help="coaio's, where it polls: fixed:MAX_US or grow_shrink:MAX_US (default grow_shrink:128)")
    parser.add_argument("--client-cpu", type=int, metavar="CPU")
    parser.add_argument("--server-cpu", type=int, metavar="CPU")
    parser.add_argument("--allow-shared-cpu", action="store_true", help="measure although client and server must share one CPU")
    parser.add_argument("--binaries", metavar="DIR", default=str(CHECKOUT / "bazel-bin/bench/echo"), help="where the programs are")
    parser.add_argument("--out", metavar="DIR", help="for results.json and report.html (default: a new folder in bench-results/)")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    options = parser.parse_args(arguments)
    choose_cpus(parser, options)
    return parser, options


def choose_cpus(parser, options):
    usable = os.sched_getaffinity(0)
    for cpu in (options.client_cpu, options.server_cpu):
        if cpu is not None and cpu not in usable:
            parser.error(f"CPU {cpu} is not among those this process may use: {sorted(usable)}")
    client, server = machine.choose_cpus(usable) or (min(usable), min(usable))
    if options.server_cpu is not None and options.client_cpu is None and options.server_cpu == client:
        client = server
    if options.client_cpu is not None and options.server_cpu is None and options.client_cpu == server:
        server = client
    options.client_cpu = client if options.client_cpu is None else options.client_cpu
    options.server_cpu = server if options.server_cpu is None else options.server_cpu
    if options.client_cpu == options.server_cpu and not options.allow_shared_cpu:
        parser.error("client and server would share one CPU, where polling only takes time from the other side and latencies "
                     "measure the scheduler; give them two CPUs, or insist with --allow-shared-cpu")


def selected(items, globs, parser, what):
    patterns = globs.split(",")
    found = [item for item in items if any(fnmatch.fnmatchcase(item.id, pattern) for pattern in patterns)]
    if not found:
        parser.error(f"no {what} matches '{globs}'; known: {', '.join(item.id for item in items)}")
    return found


def make_plan(options, contenders, scenarios):
    profile = dict(PROFILES[options.profile])
    for name in profile:
        if getattr(options, name) is not None:
            profile[name] = getattr(options, name)
    return measure.Plan(contenders=contenders, scenarios=scenarios, think_us=options.think, client_cpu=options.client_cpu,
                        server_cpu=options.server_cpu, binaries=options.binaries, **profile)


def make_document(options, plan, contenders, reasons, described, runs):
    reference = next(c.program for c in plan.contenders)
    return {
        "schema": SCHEMA,
        "machine": described,
        "build": machine.describe_build(os.path.join(options.binaries, reference), str(CHECKOUT)),
        "run": {
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "command_line": shlex.join(["bench", *sys.argv[1:]]),
            "profile": options.profile,
            "repetitions": plan.repetitions, "warm_up_seconds": plan.warm_up, "duration_seconds": plan.duration,
            "idle_repetitions": plan.idle_repetitions, "idle_duration_seconds": plan.idle_duration, "think_us": plan.think_us,
            "client_cpu": plan.client_cpu, "server_cpu": plan.server_cpu, "shared_cpu": plan.client_cpu == plan.server_cpu,
        },
        "contenders": [{**dataclasses.asdict(c), "unavailable": reasons[c.id]} for c in contenders],
        "scenarios": [dataclasses.asdict(s) for s in plan.scenarios],
        "results": measure.results_of(plan, runs),
        "failures": runs.failures,
    }


def write_results(options, document):
    stamp = re.sub(r"[-:]", "", document["run"]["date"].split("+")[0])
    folder = pathlib.Path(options.out) if options.out else CHECKOUT / "bench-results" / f"echo-{stamp}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")
    (folder / "report.html").write_text(report.render(document), encoding="utf-8")
    return folder / "report.html"


def main():
    parser, options = parse_arguments(sys.argv[1:])
    # Ends as on Ctrl-C, so that the servers are ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    contenders = selected(contenders_module.all_contenders(options.polling), options.contenders, parser, "contender")
    scenarios = selected(scenarios_module.all_scenarios(options.idle_connections), options.scenarios, parser, "scenario")
    if options.list:
        print("\n".join(f"{item.id:24}{getattr(item, 'label', None) or item.title}" for item in [*contenders, *scenarios]))
        return 0
    if not os.access(os.path.join(options.binaries, "load_generator"), os.X_OK):
        parser.error(f"no load_generator in {options.binaries}; tools/bench builds it")
    reasons = {c.id: contenders_module.reason_not_to_run(c, options.binaries) for c in contenders}
    able = [c for c in contenders if reasons[c.id] is None]
    if not able:
        sys.exit("no contender can run here:\n" + "\n".join(f"  {c}: {reason}" for c, reason in reasons.items()))
    plan = make_plan(options, able, scenarios)
    described = machine.describe_machine()
    progress = progress_module.Progress(plan.total_seconds())
    try:
        runs = measure.measure(plan, progress)
    finally:
        progress.close()
    document = make_document(options, plan, contenders, reasons, described, runs)
    written = write_results(options, document)
    print(tables.as_markdown(document) if options.markdown else tables.as_text(document))
    print(f"\nreport: {os.path.relpath(written)}", file=sys.stderr)
    return 1 if runs.failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\ninterrupted; nothing was written")
