#!/usr/bin/env python3
"""Checks that what the README names is there, and that the programs take the arguments it gives them."""

import pathlib
import re
import shlex
import subprocess
import sys
import unittest

PATIENCE = 30  # seconds; only what hangs needs them
TEXT = pathlib.Path("README.md").read_text(encoding="utf-8")
MODULE = pathlib.Path("MODULE.bazel").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def calls_of_examples():
    """(name, arguments) for each line that runs an example."""
    line = re.compile(r"^bazel run --config=clang //examples:(\w+)(?: -- ([^&\n]*))?", re.MULTILINE)
    return [(name, shlex.split(given)) for block in COMMANDS for name, given in line.findall(block)]


class Readme(unittest.TestCase):
    def test_the_tools_of_its_commands_exist(self):
        tools = {tool for block in COMMANDS for tool in re.findall(r"\btools/[\w.-]+", block)}
        self.assertLessEqual({"tools/test", "tools/bench"}, tools)
        for tool in tools:
            self.assertTrue(pathlib.Path(tool).is_file(), tool)

    def test_the_configurations_of_its_commands_exist(self):
        configurations = pathlib.Path(".bazelrc").read_text(encoding="utf-8")
        for name in {name for block in COMMANDS for name in re.findall(r"--config=(\w+)", block)}:
            self.assertRegex(configurations, rf"(?m)^(build|test):{name} ")

    def test_the_server_and_the_client_of_its_commands_talk_to_each_other(self):
        calls = dict(calls_of_examples())
        self.assertEqual(list(calls), ["echo_server", "echo_client"])
        # On a port that is free: 7777, which both take by default, may not be.
        server = subprocess.Popen(
            ["examples/echo_server", *calls["echo_server"], "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            port = re.fullmatch(r"listening on \S+:(\d+) .*\n", server.stdout.readline())[1]
            client = subprocess.run(
                ["examples/echo_client", *calls["echo_client"], f"--port={port}"],
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
            self.assertEqual((client.returncode, client.stderr), (0, ""))
            self.assertRegex(client.stdout, r"^[1-9]\d* echoes, ")
        finally:
            server.terminate()
            _, complaints = server.communicate(timeout=PATIENCE)
        self.assertEqual((server.returncode, complaints), (0, ""))

    def test_the_benchmark_takes_the_arguments_of_its_commands(self):
        calls = re.findall(r"tools/bench((?: +--[^`#\n]*)?)", TEXT)
        self.assertTrue(any("--repetitions" in arguments for arguments in calls))
        for arguments in calls:
            # A machine with one CPU is no mistake of the README.
            command = ["bench/echo/run.py", "--check", "--allow-shared-cpu", *shlex.split(arguments)]
            done = subprocess.run(
                [sys.executable, *command], capture_output=True, text=True, timeout=PATIENCE
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""), arguments)

    def test_the_table_has_the_columns_and_the_servers_of_the_benchmark_that_prints_it(self):
        sys.path.insert(0, "bench/echo")
        import contenders
        import readme_table

        self.assertIn(f"{readme_table.HEADER}\n{readme_table.RULE}\n", TEXT)
        self.assertIn("1,000 connections", readme_table.HEADER)
        table = TEXT.split(readme_table.RULE)[1].split("\n\n")[0]
        servers = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
        self.assertEqual(servers, [c.label for c in contenders.all_contenders("learned")])

    def test_a_user_of_bazel_8_which_reads_no_workspace_gets_the_repository_by_its_module(self):
        module = re.search(r'^module\(name = "(\w+)"\)$', MODULE, re.MULTILINE)[1]
        self.assertIn(f'bazel_dep(name = "{module}")\ngit_override(\n    module_name = "{module}",', TEXT)

    def test_nothing_is_left_to_fill_in(self):
        self.assertEqual(re.findall(r"@[A-Z]+@|TODO|FIXME", TEXT), [])


if __name__ == "__main__":
    unittest.main()
