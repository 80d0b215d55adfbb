#!/usr/bin/env python3
"""Checks that docs/semantics.md goes through every item and trap and says what each is, and that what
it names is there."""

import collections
import pathlib
import re
import unittest

ITEMS = {"R": 13, "X": 5, "M": 6, "P": 19, "B": 9, "A": 5, "N": 6, "G": 5, "H": 3, "T": 2, "C": 2}
TRAPS = 35

TEXT = pathlib.Path("docs/semantics.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in TEXT.splitlines() if row[:2] == "| "]
ROWS = [row for row in ROWS if row[0] not in ("item", "trap") and not set(row[0]) <= set("- ")]
MODELS = {file.stem: file.read_text(encoding="utf-8") for file in pathlib.Path("docs/model").glob("*.pml")}
BENCHMARKS = {
    "backends": pathlib.Path("bench/backends/backends_bench.cc").read_text(encoding="utf-8"),
    "loop": pathlib.Path("bench/loop/timers_bench.cc").read_text(encoding="utf-8"),
}


def cases_of(file):
    """The sentences of a doctest file; a long one is written as several literals."""
    literals = re.findall(r'TEST_CASE\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)', file.read_text(encoding="utf-8"))
    return {"".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literal)) for literal in literals}


CASES = collections.defaultdict(set)  # two layers may have a file of the same name
for test in pathlib.Path("tests").rglob("*_test.cc"):
    CASES[test.stem] |= cases_of(test)


def numbers_of(row):
    """The items of a row: "R8–R9 deferred deletion" gives R8 and R9, "12 linear lookup" gives 12."""
    letter, first, last = re.match(r"([A-Z]?)(\d+)(?:–[A-Z]?(\d+))? ", row[0]).groups()
    return [f"{letter}{number}" for number in range(int(first), int(last or first) + 1)]


class Semantics(unittest.TestCase):
    def test_every_item_and_every_trap_has_one_row(self):
        expected = [f"{letter}{number}" for letter, count in ITEMS.items() for number in range(1, count + 1)]
        expected += [str(number) for number in range(1, TRAPS + 1)]
        self.assertEqual(sorted(number for row in ROWS for number in numbers_of(row)), sorted(expected))

    def test_every_item_says_what_it_is_without_another_document(self):
        for row in ROWS:
            said = re.sub(r"^[A-Z]?\d+(–[A-Z]?\d+)? ", "", row[0])
            self.assertGreaterEqual(len(said.split()), 4, row[0])
        self.assertNotIn("the reference that the project started from", TEXT)

    def test_every_row_names_what_shows_it_or_says_why_nothing_does(self):
        for row in ROWS:
            self.assertEqual(len(row), 3, row[0])
            shown_by = r"no test: .+|((\w+_test|model \w+|bench \w+): \*[^*]+\*(; |$))+"
            self.assertRegex(row[2], rf"^({shown_by})$", row[0])

    def test_the_test_cases_exist(self):
        named = re.findall(r"(\w+_test): \*([^*]+)\*", TEXT)
        self.assertTrue(named)
        for file, case in named:
            self.assertIn(case, CASES[file], file)

    def test_the_planted_bugs_exist(self):
        for model, bug in re.findall(r"model (\w+): \*([^*]+)\*", TEXT):
            self.assertRegex(MODELS[model], rf"(?m)^ \*   {bug} ", model)

    def test_the_benchmarks_exist(self):
        for bench, section in re.findall(r"bench (\w+): \*([^*]+)\*", TEXT):
            self.assertIn(f'"{section}"', BENCHMARKS[bench], bench)


if __name__ == "__main__":
    unittest.main()
