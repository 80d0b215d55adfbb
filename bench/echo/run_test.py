#!/usr/bin/env python3
"""Runs the benchmark for very short times and checks what comes out, but not how fast."""

import html.parser
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

import charts
import contenders
import measure
import options as options_module
import readme_table
import scenarios
import statistics_of_runs
import tables

SHORT = [
    "--quick",
    "--duration=0.02",
    "--warm-up=0.01",
    "--idle-duration=0.05",
    "--idle-connections=200",
]


def bench(*arguments):
    command = [
        sys.executable,
        HERE / "run.py",
        f"--binaries={HERE}",
        "--allow-shared-cpu",
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=100)


def violations(value, schema, root, path="$"):
    """The part of JSON Schema that results_schema.json uses."""
    schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "number": (int, float),
        "integer": int,
        "boolean": bool,
        "null": type(None),
    }
    wanted = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    fits = any(isinstance(value, kinds[kind]) for kind in wanted)
    if not fits or (isinstance(value, bool) and "boolean" not in wanted):
        yield f"{path} is {value!r}, not {wanted}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path} is {value!r}, not one of {schema['enum']}"
    if "const" in schema and value != schema["const"]:
        yield f"{path} is {value!r}, not {schema['const']!r}"
    if isinstance(value, dict):
        for name in schema["required"]:
            if name not in value:
                yield f"{path}.{name} is missing"
        for name, member in value.items():
            if name not in schema["properties"]:
                yield f"{path}.{name} is not documented"
            else:
                yield from violations(member, schema["properties"][name], root, f"{path}.{name}")
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from violations(item, schema["items"], root, f"{path}[{index}]")


class Links(html.parser.HTMLParser):
    """Everything that would make a browser ask for something outside of the page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found += [v for k, v in attributes if k in ("src", "href", "srcset", "data", "action")]
        if tag in ("script", "link", "iframe", "object", "embed"):
            self.found.append(tag)


class ARun(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.run_result = bench(*SHORT, f"--out={cls.folder.name}")
        results = pathlib.Path(cls.folder.name, "results.json")
        if not results.exists():
            raise AssertionError(cls.run_result.stderr)
        cls.document = json.loads(results.read_text(encoding="utf-8"))
        cls.report = pathlib.Path(cls.folder.name, "report.html").read_text(encoding="utf-8")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_succeeds_without_a_failed_run(self):
        self.assertEqual(self.document["failures"], [])
        self.assertEqual(self.run_result.returncode, 0, self.run_result.stderr)

    def test_writes_results_that_follow_the_documented_schema(self):
        schema = json.loads((HERE / "results_schema.json").read_text(encoding="utf-8"))
        self.assertEqual(list(violations(self.document, schema, schema)), [])

    def test_has_a_result_or_a_reason_for_every_contender_under_every_scenario(self):
        measured = {(r["contender"], r["scenario"]) for r in self.document["results"]}
        for contender in self.document["contenders"]:
            for scenario in self.document["scenarios"]:
                has_result = (contender["id"], scenario["id"]) in measured
                self.assertNotEqual(
                    has_result, contender["unavailable"] is not None, contender["id"]
                )

    def test_counts_the_same_requests_in_the_histogram_and_in_the_runs(self):
        for result in self.document["results"]:
            in_runs = sum(run.get("requests", 0) for run in result["runs"])
            self.assertEqual(sum(count for _, count in result["histogram"]), in_runs)

    def test_prints_every_contender_that_ran(self):
        for contender in self.document["contenders"]:
            self.assertIn(contender["label"], self.run_result.stdout)

    def test_of_one_repetition_says_so_and_forms_no_ratio(self):
        for result in self.document["results"]:
            self.assertIsNone(result["ratio_to_floor"])
            self.assertIsNone(result["ratio_to_polling_off"])
        said = " ".join(self.run_result.stdout.split())
        self.assertIn("not a result", said)
        self.assertNotIn(": floor", said)
        self.assertNotIn("on : off", said)
        self.assertNotIn("Against the floor", self.report)

    def test_writes_a_report_that_needs_nothing_else(self):
        links = Links()
        links.feed(self.report)
        self.assertEqual(links.found, [])
        self.assertIsNone(re.search(r"@import|url\(", self.report))

    def test_draws_charts_that_are_well_formed_and_named(self):
        figures = re.findall(r"<figure.*?</figure>", self.report, re.S)
        self.assertTrue(figures)
        for figure in figures:
            svg = xml.etree.ElementTree.fromstring(figure).find("svg")
            self.assertTrue(svg.get("aria-label"))
            self.assertTrue(all(series.find("title").text for series in svg.iter("g")))
            self.assertNotIn("nan", figure)


class ARunOfTwoRepetitions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            cls.run_result = bench(
                *SHORT,
                "--repetitions=2",
                "--contenders=*epoll*,coaio-ppoll*",
                "--scenarios=ping-pong-16k-block,64x64,1000x64",
                "--readme",
                f"--out={folder}",
            )
            results = pathlib.Path(folder, "results.json")
            if not results.exists():
                raise AssertionError(cls.run_result.stderr)
            cls.document = json.loads(results.read_text(encoding="utf-8"))
            cls.report = pathlib.Path(folder, "report.html").read_text(encoding="utf-8")

    def test_writes_results_that_follow_the_documented_schema(self):
        schema = json.loads((HERE / "results_schema.json").read_text(encoding="utf-8"))
        self.assertEqual(list(violations(self.document, schema, schema)), [])

    def test_holds_cpu_against_the_raw_server_that_sleeps_and_latency_against_its_like(self):
        floors = {
            (r["contender"], r["ratio_to_floor"]["metric"]): r["ratio_to_floor"]["to"]
            for r in self.document["results"]
            if r["ratio_to_floor"]
        }
        self.assertEqual(floors["coaio-epoll-poll", "p50_us"], "raw-epoll-spin")
        self.assertEqual(floors["coaio-epoll-poll", "cpu_us_per_request"], "raw-epoll")
        self.assertEqual(floors["coaio-epoll", "p50_us"], "raw-epoll")

    def test_tells_what_polling_gains_in_ping_pong(self):
        gains = {
            (r["contender"], r["scenario"]): r["ratio_to_polling_off"]["to"]
            for r in self.document["results"]
            if r["ratio_to_polling_off"]
        }
        self.assertEqual(gains["coaio-ppoll-poll", "ping-pong-16k-block"], "coaio-ppoll")
        self.assertEqual({scenario[:9] for _, scenario in gains}, {"ping-pong"})
        self.assertIn("p50 with polling on : off", tables.as_text(self.document))

    def test_has_every_ratio_with_its_spread(self):
        ratios = [r["ratio_to_floor"] for r in self.document["results"] if r["ratio_to_floor"]]
        self.assertTrue(ratios)
        for ratio in ratios:
            self.assertEqual((ratio["pairs"], ratio["interval"]), (2, "range"))
            self.assertLessEqual(ratio["low"], ratio["high"])
        self.assertIn("Against the floor", self.report)

    def test_prints_the_table_of_the_readme_with_the_load_of_a_thousand_connections(self):
        lines = self.run_result.stdout.splitlines()
        self.assertIn(readme_table.HEADER, lines)
        row = next(line for line in lines if line.startswith("| coaio epoll |"))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        self.assertRegex(cells[4], r"^[\d.]+ \([\d.]+ \[[\d.]+–[\d.]+\]\)$")
        # Neither measured: an empty cell says so.
        self.assertEqual((cells[1], cells[5]), ("", ""))


class TheCommandLine(unittest.TestCase):
    def test_answers_what_it_does_not_understand_with_usage_and_code_2(self):
        for arguments in (
            ["--nonsense"],
            ["--quick", "--full"],
            ["--repetitions=0"],
            ["--polling=x"],
            ["--contenders=nobody"],
            ["--binaries=/nonexistent"],
            ["--server-cpu=99999"],
        ):
            result = bench(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertIn("usage:", result.stderr)

    def test_takes_every_policy_that_the_servers_take(self):
        for policy in ("fixed:5", "grow_shrink:5", "learned", "learned:5", "learned_late:5"):
            result = bench("--check", f"--polling={policy}")
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            # A server that can go on ends for want of the port, and not by its usage text.
            with socket.socket() as taken:
                taken.bind(("127.0.0.1", 0))
                server = [HERE / "coaio_server", f"--polling={policy}", port_of(taken)]
                self.assertEqual(subprocess.run(server, capture_output=True).returncode, 1)

    def test_takes_about_as_long_as_the_readme_says(self):
        def plan(*arguments):
            _, options = options_module.parse(["--allow-shared-cpu", *arguments])
            lengths = options_module.lengths(options)
            return measure.Plan(
                contenders.all_contenders(options.polling),
                scenarios.all_scenarios(options.idle_connections),
                **lengths,
                think_us=0,
                client_cpu=0,
                server_cpu=0,
                binaries="",
            )

        self.assertAlmostEqual(plan().total_seconds(), 300, delta=30)
        self.assertAlmostEqual(plan("--quick").total_seconds(), 45, delta=5)
        self.assertAlmostEqual(plan("--full").total_seconds(), 1800, delta=200)
        self.assertEqual(plan().idle_duration, 10)

    def test_of_a_server_names_a_port_that_is_taken_and_the_fix(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            for server in ("raw_epoll_server", "coaio_server"):
                result = subprocess.run([HERE / server, port_of(taken)], capture_output=True, text=True)
                self.assertEqual((result.returncode, result.stdout), (1, ""))
                self.assertIn(f"127.0.0.1:{taken.getsockname()[1]}", result.stderr)
                self.assertIn("choose another --port", result.stderr)

    def test_prints_markdown(self):
        with tempfile.TemporaryDirectory() as folder:
            result = bench(
                *SHORT,
                "--markdown",
                "--contenders=raw-epoll",
                "--scenarios=64x64",
                f"--out={folder}",
            )
        self.assertIn("| raw epoll |", result.stdout)

    def test_ends_the_server_when_it_is_terminated(self):
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable,
                HERE / "run.py",
                f"--binaries={HERE}",
                "--allow-shared-cpu",
                "--duration=30",
                "--contenders=raw-epoll",
                "--scenarios=ping-pong-64-block",
                f"--out={folder}",
            ]
            with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
                # The line comes right before the first server of the measurement is started.
                self.assertIn("Ping-pong", process.stderr.readline())
                children = children_of(process.pid)
                while not children:
                    children = children_of(process.pid)
                process.send_signal(signal.SIGTERM)
                self.assertNotEqual(process.wait(timeout=30), 0)
            self.assertFalse(any(os.path.exists(f"/proc/{child}") for child in children))


def port_of(taken):
    return f"--port={taken.getsockname()[1]}"


def children_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except FileNotFoundError:
        return []


class TheStatistics(unittest.TestCase):
    def test_take_ratios_within_a_repetition(self):
        run = lambda p50: {"seconds": 1, "server_cpu_seconds": 1, "requests": 1} | {
            f"{name}_ns": p50 for name in ("min", "p50", "p90", "p99", "p999", "max")
        }
        # The machine is ten times slower in the second repetition; the contender is not.
        ratio = statistics_of_runs.paired_ratio(
            {0: run(220), 1: run(2200)}, {0: run(200), 1: run(2000)}, "p50_us"
        )
        self.assertAlmostEqual(ratio["median"], 1.1)
        self.assertEqual((ratio["pairs"], ratio["interval"]), (2, "range"))

    def test_have_no_ratio_without_a_common_repetition(self):
        self.assertIsNone(statistics_of_runs.paired_ratio({0: {}}, {1: {}}, "p50_us"))

    def test_have_no_ratio_of_a_single_pair_which_has_no_spread(self):
        run = {"seconds": 1, "server_cpu_seconds": 1}
        self.assertIsNone(statistics_of_runs.paired_ratio({0: run}, {0: run}, "cpu_percent"))

    def test_give_an_interval_that_holds_the_median_and_lies_within_the_values(self):
        values = [1.0, 1.1, 0.9, 1.3, 0.8, 1.0, 1.05]
        low, high = statistics_of_runs.bootstrap_interval(values)
        self.assertLessEqual(min(values), low)
        self.assertLessEqual(low, 1.0)
        self.assertLessEqual(1.0, high)
        self.assertLessEqual(high, max(values))

    def test_add_up_histograms(self):
        runs = [{"histogram": [[10, 1], [20, 2]]}, {"histogram": [[20, 3]]}, {}]
        self.assertEqual(statistics_of_runs.merged_histogram(runs), [(10, 1), (20, 5)])


class TheTables(unittest.TestCase):
    def test_have_percentiles_and_ranges_and_fit_into_120_columns(self):
        spread = {"median": 999.4, "min": 888.4, "max": 1234.5}
        names = ("cpu_percent", "cpu_us_per_request", "p50_us", "p90_us", "p99_us", "p999_us")
        result = {
            "contender": "c",
            "scenario": "s",
            "summary": {name: spread for name in names}
            | {"requests_per_second": {"median": 123456, "min": 1, "max": 2}},
            "ratio_to_floor": {"metric": "p50_us", "pairs": 5, "median": 1, "low": 0.91, "high": 1.1},
            "ratio_to_polling_off": {"pairs": 5, "median": 0.4, "low": 0.31, "high": 0.5},
        }
        document = {
            "contenders": [{"id": "c", "label": "coaio io_uring, polling", "unavailable": None}],
            "scenarios": [
                {"id": "s", "title": "Ping-pong", "mode": "ping_pong", "unavailable": None}
            ],
            "results": [result],
            "failures": [],
            "build": {"flags": "-O2"},
            "machine": {"load_average": 0},
            "run": dict.fromkeys(("repetitions", "idle_repetitions", "shared_cpu"), 0)
            | dict.fromkeys(("duration_seconds", "idle_duration_seconds"), 1.0),
        }
        lines = tables.as_text(document).splitlines()
        self.assertEqual(
            lines[2].split(), "p50 µs p90 p99 p99.9 kreq/s CPU µs/req CPU % p50 : floor".split()
        )
        self.assertEqual(
            lines[3],
            "  coaio io_uring, polling  999 (888–1,234)  999  999    999     123"
            "  999 (888–1,234)    999  1.00 [0.91–1.10]",
        )
        self.assertIn("  coaio io_uring, polling  0.40 [0.31–0.50]", lines)
        self.assertLessEqual(max(map(len, lines)), 120)


class LabelsOfCharts(unittest.TestCase):
    def test_stay_where_they_are_when_there_is_room(self):
        self.assertEqual(charts.spread([50, 10, 90], 10, 0, 100), [50, 10, 90])

    def test_keep_their_distance_and_their_order_around_the_middle_of_a_crowd(self):
        self.assertEqual(charts.spread([50, 50, 50], 10, 0, 100), [40, 50, 60])

    def test_stay_inside(self):
        self.assertEqual(charts.spread([99, 100], 10, 0, 100), [90, 100])


if __name__ == "__main__":
    unittest.main(verbosity=2)
