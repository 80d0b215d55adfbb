"""Ends a test run: repeats what was skipped, counts, and fails unless everything passed.

report_tests.py BAZEL_STATUS BUILD_EVENTS [passed | failed | "skipped: REASON"]...

Counts are test cases where a log holds doctest's summary, else whole tests: such a test has passed
also when it skipped a part. The further arguments are tests that ran outside Bazel.
"""

import json
import re
import sys
from urllib.parse import unquote, urlparse

CASES = re.compile(r"^\[doctest\] test cases: *\d+ *\| *(\d+) passed *\| *(\d+) failed", re.M)
SKIPPED = re.compile(r"^SKIPPED: (.*)$", re.M)


def read_log(uri):
    with open(unquote(urlparse(uri).path), encoding="utf-8", errors="replace") as log:
        return log.read()


def main():
    bazel_status, events, outside = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    passed, failed = outside.count("passed"), outside.count("failed")
    skipped = [result.removeprefix("skipped: ") for result in outside if result.startswith("skipped: ")]
    with open(events, encoding="utf-8") as lines:
        for event in map(json.loads, lines):
            summary = event.get("testSummary")
            if not summary:
                continue
            label = event["id"]["testSummary"]["label"]
            test_passed = summary["overallStatus"] in ("PASSED", "FLAKY")
            logs = [read_log(log["uri"]) for log in summary.get("passed" if test_passed else "failed", [])]
            # A case that says it on each back end is skipped once.
            test_skipped = [line for log in logs for line in dict.fromkeys(SKIPPED.findall(log))]
            skipped += [f"{label}: {line}" for line in test_skipped]
            cases = [m.groups() for m in map(CASES.search, logs) if m]
            test_failed = sum(int(f) for _, f in cases)
            # doctest counts a case that was skipped as passed.
            passed += sum(int(p) for p, _ in cases) - len(test_skipped) if cases else test_passed
            # A test that dies or never starts has no failed case.
            failed += test_failed if test_passed else max(test_failed, 1)
    # So does what cannot be built.
    if bazel_status and not failed:
        failed = 1
    for line in skipped:
        print("skipped:", line)
    print(f"{passed} passed, {failed} failed" + (f", {len(skipped)} skipped" if skipped else ""))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
