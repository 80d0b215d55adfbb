#!/usr/bin/env python3
"""Checks that the classes and functions that docs/architecture.md names are declared in a header."""

import pathlib
import re
import unittest

TEXT = pathlib.Path("docs/architecture.md").read_text(encoding="utf-8")
HEADERS = "\n".join(
    header.read_text(encoding="utf-8")
    for folder in ("backends", "coro", "runtime")
    for header in pathlib.Path(folder).rglob("*.h")
)
# A code span that is a class, `FdTable`, or a call, `FdTable::report()` or `sleep(limit)`. A system
# call, `recv(2)`, is neither.
NAME = re.compile(r"`((?:\w+::)*(?:[A-Z]\w*[a-z]\w*(?=[`(])|\w+(?=\()))(?:\((?!\d\))[^`]*\))?`")


class Architecture(unittest.TestCase):
    def test_names_what_is_declared(self):
        named = sorted({word for name in NAME.findall(TEXT) for word in name.split("::")})
        self.assertGreater(len(named), 30)
        declared = set(re.findall(r"\w+", HEADERS))
        self.assertEqual([name for name in named if name not in declared], [])

    def test_would_notice_a_name_that_is_gone(self):
        self.assertEqual(NAME.findall("`NoSuchClass` and `FdTable::gone()`"), ["NoSuchClass", "FdTable::gone"])


if __name__ == "__main__":
    unittest.main()
