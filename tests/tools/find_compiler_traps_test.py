#!/usr/bin/env python3
"""Runs tools/find_compiler_traps over lines that it must find, and over lines that it must leave alone."""

import contextlib
import importlib.machinery
import importlib.util
import io
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

TOOL = "tools/find_compiler_traps"
LOADER = importlib.machinery.SourceFileLoader("find_compiler_traps", TOOL)
MODULE = importlib.util.module_from_spec(importlib.util.spec_from_loader(LOADER.name, LOADER))
LOADER.exec_module(MODULE)
BLOCK = re.compile(r"^<!-- (trap|twin): ([\w-]+) -->\n```cpp\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def look(text, suffix=".cc", header=None):
    """Its exit code, and the (line, form) pairs that it prints about a file with that text."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "sample" + suffix)
        file.write_text(text, encoding="utf-8")
        if header:
            pathlib.Path(folder, "header.h").write_text(header, encoding="utf-8")
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            code = MODULE.main([str(file)])
    lines = [line.removeprefix(f"{file}:") for line in output.getvalue().splitlines()]
    found = [re.match(r"(\d+): ([\w-]+): .+; write: .+", line).groups() for line in lines]
    return code, [(int(line), form) for line, form in found]


def forms_of(body, before=""):
    """The forms in a function with that body."""
    return sorted({form for _, form in look(f"{before}\nTask<int> f(bool a, int* n) {{\n{body}\n}}\n")[1]})


class TheTool(unittest.TestCase):
    def test_finds_the_unsafe_forms_of_the_document_and_not_the_safe_ones(self):
        blocks = BLOCK.findall(pathlib.Path("docs/compilers.md").read_text(encoding="utf-8"))
        self.assertGreaterEqual(len(blocks), 16)
        request = "struct Request { Name name; int number = 0; };\nTask<int> serve(Request request);"
        for kind, form, body in blocks:
            with self.subTest(kind=kind, form=form, body=body):
                self.assertEqual(forms_of(body, request), [form] if kind == "trap" else [])

    def test_names_file_and_line_and_ends_with_1(self):
        text = "Task<void> f(bool a) {\n  int n = 0;\n  while (a &&\n         co_await g()) ++n;\n}\n"
        self.assertEqual(look(text), (1, [(3, "short-circuit")]))

    def test_ends_with_0_where_there_is_nothing(self):
        self.assertEqual(look("int main() { return 0; }\n"), (0, []))

    def test_reads_conditions_of_several_lines(self):
        self.assertEqual(
            forms_of("int x = 1;\nif (a\n    // co_await in a comment\n    || (co_await g(1,\n 2)).ok()) --x;"),
            ["short-circuit"],
        )

    def test_takes_neither_comments_nor_literals_nor_directives_for_code(self):
        self.assertEqual(
            forms_of(
                "// if (a && co_await g()) {\n/* while (co_await g())\n { */\n"
                "#define M if (co_await g()) \\\n  while (co_await g())\n"
                'const char* s = "if (a && co_await g()) {"; auto r = R"x(" { a && co_await g())x";\n'
                "char c = '\"'; int n = 1'000'000; char d = '{'; co_await g();"
            ),
            [],
        )

    def test_finds_the_missing_variable_whatever_the_condition_belongs_to(self):
        for body in (
            "if (co_await g()) ++*n;",
            "*n = 1; if (!(co_await g()).ok()) co_return 1;",
            "while (co_await g()) { ++*n; }",
            "do { ++*n; } while (co_await g());",
            "for (; co_await g();) ++*n;",
            "switch (co_await g()) { case 1: ++*n; default: break; }",
            "{ if (co_await g()) ++*n; }",
            "try { if (co_await g()) ++*n; } catch (...) { }",
            "while (a) { if (co_await g()) break; }",
            "if (co_await g()) [] { int x = 1; return x; }();",
            "co_await spawn([]() -> Task<int> { if (co_await g()) co_return 1; co_return 2; });",
        ):
            with self.subTest(body=body):
                self.assertEqual(forms_of(body), ["condition"])

    def test_accepts_any_variable_of_the_function(self):
        for body in (
            "int x = 1; if (co_await g()) ++x;",
            "if (co_await g()) { absl::Status s; }",
            "if (co_await g()) ++*n; std::vector<int> v(3);",
            "for (int i = 0; i < 3; ++i) { if (co_await g()) ++*n; }",
            "for (auto& x : list) { if (co_await g()) ++*n; }",
            "if (bool b = co_await g()) ++*n;",
            "char buffer[4096]; while (std::size_t count = (co_await s.read(buffer)).value_or(0)) ++*n;",
            "const coaio::Added<Inbox> added{context, inbox}; while ((co_await g()).ok()) ++*n;",
        ):
            with self.subTest(body=body):
                self.assertEqual(forms_of(body), [])

    def test_finds_what_a_reader_would_call_everyday_lines(self):
        aggregate = "struct Request { std::string name; int n; };\nTask<int> serve(Request r, int n = 0);"
        for body, form in (
            ("int x = f(a && co_await g());", "short-circuit"),
            ("co_return a || (co_await g()).ok();", "short-circuit"),
            ("auto x = a ? co_await g() : co_await h();", "conditional"),
            ("auto x = co_await (a ? g() : h());", "conditional"),
            ('auto x = co_await g(a ? std::string("b") : std::string("c"));', "conditional"),
            ("auto x = co_await serve({.name = s});", "aggregate"),
            ("auto x = co_await serve({s, 1}, 2);", "aggregate"),
            ("auto x = co_await serve(Request{s, 1});", "aggregate"),
            ("auto x = co_await serve(Request(s, 1));", "aggregate"),
            ("auto x = co_await [s]() -> Task<int> { co_return 1; }();", "lambda"),
            ("auto x = co_await on_pool([=] { return s; });", "lambda"),
            ("auto x = co_await on_pool([t = std::move(s)] { return t; });", "lambda"),
            ("std::string x[] = {co_await g(), co_await h()};", "braces"),
            ("co_return Pair{co_await g(), co_await h()};", "braces"),
            ("auto* x = new T(co_await g());", "new"),
            ("int x = 1; throw T(co_await g());", "new"),
            ("auto [x, y] = co_await g();", "structured-binding"),
            ("const auto& [x, y] = co_await g();", "structured-binding"),
        ):
            with self.subTest(body=body):
                self.assertEqual(forms_of(body, aggregate), [form])

    def test_leaves_safe_lines_alone(self):
        aggregate = (
            "struct Point { int x, y; };\nstruct Reader { explicit Reader(int); std::string s; };\n"
            "Task<int> at(Point p); Task<int> by(Reader r);"
        )
        for body in (
            "auto&& x = co_await g();",
            "for (auto&& x : co_await list()) f(x);",
            "auto x = (co_await g()).ok() && a;",
            "auto x = co_await g(co_await h(), std::move(y));",
            "auto x = (co_await g()) ? b : c;",
            "auto x = co_await g(a ? b : std::move(c));",
            "auto x = co_await at({1, 2});",
            "auto x = co_await by(Reader(1));",
            "auto x = co_await s.write_all({buffer, count});",
            "auto x = co_await [](int k) -> Task<int> { co_return k; }(1);",
            "auto x = co_await on_pool([&, this] { return s; });",
            "auto x = list[index]; co_await g(list[index], x);",
            "auto x = std::make_unique<T>(co_await g());",
            "auto x = [s]() -> Task<int> { co_return 1; }; co_await x();",
            "auto x = co_await g(); auto& [b, c] = x;",
            "[[maybe_unused]] int x = co_await g();",
        ):
            with self.subTest(body=body):
                self.assertEqual(forms_of(body, aggregate), [])

    def test_leaves_functions_alone_that_do_not_await(self):
        text = "struct Awaitable { auto operator co_await() && noexcept { return a && b ? C{1} : D{2}; } };\n"
        self.assertEqual(look(text), (0, []))

    def test_knows_the_aggregates_of_a_header_beside_the_file(self):
        text = (
            '#include "header.h"\nTask<int> f() { auto x = co_await serve(Request{name}); co_return x; }\n'
        )
        self.assertEqual(look(text)[1], [])
        header = "struct Request {\n  std::string name;\n};\n"
        self.assertEqual(look(text, header=header)[1], [(2, "aggregate")])

    def test_looks_into_classes_namespaces_and_test_cases(self):
        for text in (
            "namespace a::b { class C : public D { public: Task<int> f() const { %s } }; }",
            'TEST_CASE("a name") { run([]() -> Task<int> { %s }()); }',
            "template <typename T> Task<T> f() requires Known<T> { %s }",
            "auto C::f(int n) & -> Task<int> { %s }",
        ):
            with self.subTest(text=text):
                found = look(text % "if (co_await g()) co_return 1; co_return 2;")[1]
                self.assertEqual(found, [(1, "condition")])

    def test_reads_the_blocks_of_markdown(self):
        text = (
            "A page.\n\n<!-- snippet: fragment -->\n```cpp\nwhile (a && co_await g()) ++n;\nint n;\n```\n\n"
            "```cpp\nTask<int> f() {\n  if (co_await g()) co_return 1;\n}\n```\n\n"
            "```sh\nif (co_await g())\n```\n"
        )
        self.assertEqual(look(text, ".md"), (1, [(5, "short-circuit"), (11, "condition")]))

    def test_can_be_told_that_a_line_is_meant(self):
        for body in (
            "if (co_await g()) ++*n;  // NOLINT(coaio-compiler-trap): a test",
            "// NOLINTNEXTLINE(coaio-compiler-trap)\nif (co_await g()) ++*n;",
        ):
            with self.subTest(body=body):
                self.assertEqual(forms_of(body), [])

    def test_runs_as_a_program(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "sample.cc")
            file.write_text("Task<int> f() { if (co_await g()) co_return 1; }\n", encoding="utf-8")
            done = subprocess.run([sys.executable, TOOL, str(file)], capture_output=True, text=True, timeout=30)
        self.assertEqual((done.returncode, done.stderr), (1, ""))
        self.assertTrue(done.stdout.startswith(f"{file}:1: condition: "), done.stdout)

    def test_says_what_it_is_for_without_a_file(self):
        done = subprocess.run([sys.executable, TOOL], capture_output=True, text=True, timeout=30)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("find_compiler_traps FILE...", done.stderr)


if __name__ == "__main__":
    unittest.main()
