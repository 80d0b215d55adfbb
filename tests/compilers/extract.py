"""Makes functions of the forms of docs/compilers.md: extract.py compilers.md OUT.

Each block that is labelled <!-- trap: FORM --> or <!-- twin: FORM --> becomes a coroutine that returns
a string; forms() lists them as trap-FORM-1, twin-FORM-1, trap-FORM-2...
"""

import re
import sys

BLOCK = re.compile(r"^<!-- (trap|twin): ([\w-]+) -->\n```cpp\n(.*?)^```$", re.MULTILINE | re.DOTALL)

SOURCE = """\
// From {source}, by {script}.
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "coro/task.h"
#include "tests/compilers/forms.h"

namespace coaio::testing {{

{functions}
std::span<const Form> forms() {{
  static constexpr Form kForms[] = {{
{entries}
  }};
  return kForms;
}}

}}  // namespace coaio::testing
"""


def main(source, output):
    with open(source, encoding="utf-8") as file:
        found = BLOCK.findall(file.read())
    counts, functions, entries = {}, [], []
    for kind, form, body in found:
        number = counts[kind, form] = counts.get((kind, form), 0) + 1
        name = f"{kind}-{form}-{number}"
        function = name.replace("-", "_")
        functions.append(f"static Task<std::string> {function}() {{\n{body}}}\n")
        entries.append(f'      {{"{name}", &{function}}},')
    if not found:
        sys.exit(f"{source}: no block is labelled as a trap or a twin")
    with open(output, "w", encoding="utf-8") as file:
        file.write(
            SOURCE.format(
                source=source,
                script=sys.argv[0],
                functions="\n".join(functions),
                entries="\n".join(entries),
            )
        )


main(*sys.argv[1:])
