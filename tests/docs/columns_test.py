#!/usr/bin/env python3
"""Checks that documents are wrapped at 100 columns. A row of a table cannot be broken, and may be longer.

tools/wrap_docs wraps what this test finds.
"""

import pathlib
import unittest

COLUMNS = 100
DOCUMENTS = sorted(pathlib.Path(".").rglob("*.md"))


class Documents(unittest.TestCase):
    def test_are_found(self):
        names = {str(document) for document in DOCUMENTS}
        self.assertLessEqual({"README.md", "backends/README.md", "docs/decisions.md"}, names)

    def test_are_wrapped_at_a_hundred_columns(self):
        long = [
            f"{document}:{number}: {len(line)} columns"
            for document in DOCUMENTS
            for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1)
            if len(line) > COLUMNS and not line.startswith("|")
        ]
        self.assertEqual(long, [], "run tools/wrap_docs on these:\n" + "\n".join(long))


if __name__ == "__main__":
    unittest.main()
