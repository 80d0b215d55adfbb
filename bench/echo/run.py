#!/usr/bin/env python3
"""Measures coaio's echo server against the same server written in bare system calls."""

import sys

# This is run from a checkout, where nothing but its results should appear.
sys.dont_write_bytecode = True

import fnmatch
import os
import shutil
import signal
import tempfile

import contenders as contenders_module
import machine
import measure
import options as options_module
import processes
import progress as progress_module
import readme_table
import results
import scenarios as scenarios_module
import tables


def selected(items, globs, parser, what):
    patterns = globs.split(",")
    found = [i for i in items if any(fnmatch.fnmatchcase(i.id, pattern) for pattern in patterns)]
    if not found:
        parser.error(f"no {what} matches '{globs}'; known: {', '.join(item.id for item in items)}")
    return found


def able(items_with_reasons, what):
    found = [item for item, reason in items_with_reasons if reason is None]
    if not found:
        lines = [f"  {item.id}: {reason}" for item, reason in items_with_reasons]
        sys.exit("\n".join([f"no {what} can run here:", *lines]))
    return found


def copy_programs(source, servers, folder):
    """A build in this checkout must not change the programs while they are measured."""
    for program in ("load_generator", *servers):
        path = os.path.join(source, program)
        if os.path.exists(path):
            shutil.copy(path, folder)


def _as_asked(options, document):
    if options.readme:
        return readme_table.as_readme(document)
    return tables.as_markdown(document) if options.markdown else tables.as_text(document)


def run(options, contenders, scenarios):
    """Measures, writes the results and prints them. Returns the exit code."""
    contenders = [(c, contenders_module.reason_not_to_run(c, options.binaries)) for c in contenders]
    scenarios = [(s, s.reason_not_to_run()) for s in scenarios]
    plan = measure.Plan(
        contenders=able(contenders, "contender"),
        scenarios=able(scenarios, "scenario"),
        think_us=options.think,
        client_cpu=options.client_cpu,
        server_cpu=options.server_cpu,
        binaries=options.binaries,
        **options_module.lengths(options),
    )
    described_machine = machine.describe_machine()
    progress = progress_module.Progress(plan.total_seconds())
    try:
        runs = measure.measure(plan, progress)
    finally:
        progress.close()
    document = results.make_document(options, plan, runs, described_machine, contenders, scenarios)
    written = results.write(document, options.out)
    print(_as_asked(options, document))
    print(f"\nreport: {os.path.relpath(written)}", file=sys.stderr)
    return 1 if runs.failures else 0


def main():
    parser, options = options_module.parse(sys.argv[1:])
    contenders = contenders_module.all_contenders(options.polling)
    scenarios = scenarios_module.all_scenarios(options.idle_connections)
    contenders = selected(contenders, options.contenders, parser, "contender")
    scenarios = selected(scenarios, options.scenarios, parser, "scenario")
    if options.list:
        lines = [(c.id, c.label) for c in contenders] + [(s.id, s.title) for s in scenarios]
        print("\n".join(f"{identifier:24}{title}" for identifier, title in lines))
    if options.list or options.check:
        return 0
    if not os.access(os.path.join(options.binaries, "load_generator"), os.X_OK):
        parser.error(f"no load_generator in {options.binaries}; tools/bench builds it")
    with tempfile.TemporaryDirectory(prefix="coaio-bench-") as folder:
        copy_programs(options.binaries, {c.program for c in contenders}, folder)
        options.binaries = folder
        return run(options, contenders, scenarios)


if __name__ == "__main__":
    # Ends as on Ctrl-C, so that the servers are ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ninterrupted; nothing was written", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    finally:
        processes.end_all()
