#!/usr/bin/env python3
"""Checks that what the README names is there: tools, files and Bazel targets."""

import pathlib
import re
import unittest

TEXT = pathlib.Path("README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


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

    def test_the_examples_of_its_commands_exist(self):
        for name in {name for block in COMMANDS for name in re.findall(r"//examples:(\w+)", block)}:
            self.assertTrue(pathlib.Path(f"examples/{name}").is_file(), name)

    def test_nothing_is_left_to_fill_in(self):
        self.assertEqual(re.findall(r"@[A-Z]+@|TODO|FIXME", TEXT), [])


if __name__ == "__main__":
    unittest.main()
