#!/usr/bin/env python3
"""Checks that the headers which the documents name exist."""

import pathlib
import re
import unittest

HEADER = re.compile(r"`((?:backends|coro|runtime)/[\w/]+\.h)`")


class Documents(unittest.TestCase):
    def test_name_headers_that_exist(self):
        named = [
            (document, header)
            for document in [pathlib.Path("README.md"), *sorted(pathlib.Path("docs").glob("*.md"))]
            for header in HEADER.findall(document.read_text(encoding="utf-8"))
        ]
        self.assertGreater(len(named), 10)
        missing = [f"{document}: {header}" for document, header in named if not pathlib.Path(header).is_file()]
        self.assertEqual(missing, [])


if __name__ == "__main__":
    unittest.main()
