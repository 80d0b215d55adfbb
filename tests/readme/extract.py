"""Writes the C++ snippets of a Markdown file to source files: extract.py README.md program|fragment OUT.

A snippet is a ```cpp block; a line before it says what it is:

    <!-- snippet: program -->     a whole file
    <!-- snippet: fragment -->    statements, put into a function that returns an absl::Status

A block without such a line is an error, so that none escapes. All programs of a kind go to one file, each
in a namespace of its own, where main() is an ordinary function.
"""

import re
import sys

SNIPPET = re.compile(r"^(?:<!-- snippet: (\w+) -->\n)?```cpp\n(.*?)^```$", re.MULTILINE | re.DOTALL)

FRAGMENT = """\
[[maybe_unused]] {type} snippet() {{
{body}
  {end} absl::OkStatus();
}}
"""

HEADER = """\
// From {source}, by {script}.
#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coaio.h"
"""


def function_of(body):
    coroutine = "co_await" in body or "co_return" in body
    return FRAGMENT.format(
        type="coaio::Task<absl::Status>" if coroutine else "absl::Status",
        body=body,
        end="co_return" if coroutine else "return",
    )


def main(source, kind, output):
    with open(source, encoding="utf-8") as file:
        snippets = SNIPPET.findall(file.read())
    includes, namespaces = [], []
    for number, (found, body) in enumerate(snippets, 1):
        if found not in ("program", "fragment"):
            sys.exit(f"{source}: C++ block {number} needs <!-- snippet: program --> or fragment before it")
        if found == kind:
            includes += re.findall(r"^#include .*$", body, re.MULTILINE)
            code = re.sub(r"^#include .*\n", "", body, flags=re.MULTILINE)
            code = code if kind == "program" else function_of(code)
            namespaces.append(
                f"namespace snippet_{number} {{\n"
                "using namespace std::chrono_literals;\n"
                f"{code}}}  // namespace snippet_{number}\n"
            )
    if not namespaces:
        sys.exit(f"{source}: no snippet is a {kind}")
    with open(output, "w", encoding="utf-8") as file:
        file.write(HEADER.format(source=source, script=sys.argv[0]))
        file.write("\n".join([*includes, "", *namespaces]))


main(*sys.argv[1:])
