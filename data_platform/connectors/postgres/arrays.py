"""Arrays as PostgreSQL writes them, `{1,NULL,"a \\"b\\"",{…}}`, as lists."""

import re
from collections.abc import Callable, Iterator
from typing import Any

_TOKEN = re.compile(r'[{}]|"((?:[^"\\]|\\.)*)"|([^{},"]+)')
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def array_items(text: str, item: Callable[[str], Any]) -> list[Any]:
    """The items of an array, each as `item` reads it; an array within is a list within."""
    # One whose first place is not 1 says its bounds before an equals sign: [2:3]={…}.
    tokens = _TOKEN.finditer(text, text.index("{"))
    next(tokens)
    return _list(tokens, item)


def _list(tokens: Iterator[re.Match[str]], item: Callable[[str], Any]) -> list[Any]:
    items: list[Any] = []
    for token in tokens:
        if token[0] == "}":
            break
        if token[0] == "{":
            items.append(_list(tokens, item))
        elif token[1] is not None:
            items.append(item(_ESCAPED.sub(r"\1", token[1])))
        else:
            items.append(None if token[2] == "NULL" else item(token[2]))
    return items
