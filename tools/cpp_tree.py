"""C++ text as a tree of brackets: enough to see which expression a co_await stands in.

parse(text) gives a list of items: Token, or Group for what stands in (), [] or {}. Comments, preprocessor
lines and the contents of literals are left out. Angle brackets are tokens. No macro is expanded.
"""

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|\\\n)
  | (?P<comment>//(?:\\\n|[^\n])*|/\*.*?\*/)
  | (?P<directive>(?m:^)[ \t]*\#(?:\\\n|/\*.*?\*/|[^\n])*)
  | (?P<raw>(?:u8|[uUL])?R"(?P<mark>[^()\\\s]*)\(.*?\)(?P=mark)")
  | (?P<string>(?:u8|[uUL])?"(?:\\.|[^"\\\n])*")
  | (?P<number>\.?\d(?:'?[\w.]|(?<=[eEpP])[+-])*)
  | (?P<character>(?:u8|[uUL])?'(?:\\.|[^'\\\n])+')
  | (?P<name>[^\W\d]\w*)
  | (?P<operator>::|->\*?|\+\+|--|<=>|<<=|[-+*/%&|^=!<>]=|&&|\|\||\.\.\.|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_LITERALS = ("raw", "string", "number", "character")
_CLOSING = {"(": ")", "[": "]", "{": "}"}


@dataclass
class Token:
    text: str
    line: int
    kind: str  # "name", "operator" or "literal"


@dataclass
class Group:
    text: str  # the opening bracket
    line: int
    items: list = field(default_factory=list)
    kind: str = "group"


@dataclass
class Source:
    items: list
    includes: list  # what #include "..." names
    comments: dict  # the text of the comments of each line


def parse(text):
    root = Group("", 0)
    open_groups, includes, comments = [root], [], {}
    line = 1
    for match in _TOKEN.finditer(text):
        kind, lexeme = match.lastgroup, match[0]
        if kind == "mark":
            kind = "raw"
        if kind == "comment":
            comments[line] = comments.get(line, "") + lexeme
        elif kind == "directive":
            included = re.match(r'\s*#\s*include\s*"([^"]+)"', lexeme)
            if included:
                includes.append(included[1])
        elif kind in _LITERALS:
            open_groups[-1].items.append(Token(lexeme, line, "literal"))
        elif kind == "operator" and lexeme in _CLOSING:
            group = Group(lexeme, line)
            open_groups[-1].items.append(group)
            open_groups.append(group)
        elif kind == "operator" and lexeme in _CLOSING.values():
            # One that closes nothing, as behind a conditional inclusion, is left out.
            if len(open_groups) > 1 and _CLOSING[open_groups[-1].text] == lexeme:
                open_groups.pop()
        elif kind in ("name", "operator"):
            open_groups[-1].items.append(Token(lexeme, line, kind))
        line += lexeme.count("\n")
    return Source(root.items, includes, comments)


def is_text(item, *texts):
    return isinstance(item, Token) and item.text in texts


def is_name(item):
    return isinstance(item, Token) and item.kind == "name"


def is_group(item, text):
    return isinstance(item, Group) and item.text == text


def split(items, *separators):
    """The pieces of a list of items between the separators."""
    pieces = [[]]
    for item in items:
        if is_text(item, *separators):
            pieces.append([])
        else:
            pieces[-1].append(item)
    return pieces
