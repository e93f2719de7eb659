"""The docstrings below the fields of a model, read from the source when somebody asks.

Pydantic can read them while a class is made, but parsing the source of every module
on import would cost more than everything else there.
"""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import BaseModel


def field_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Return the text below each field, inherited fields included, by field name."""
    found: dict[str, str] = {}
    for parent in reversed(model.__mro__):
        found |= _docstrings_of_module(parent.__module__).get(parent.__name__, {})
    return {name: found[name] for name in model.model_fields if name in found}


def member_docstrings(owner: type) -> dict[str, str]:
    """Return the text below each member of an enumeration, by member name."""
    return _docstrings_of_module(owner.__module__).get(owner.__name__, {})


@cache
def _docstrings_of_module(name: str) -> dict[str, dict[str, str]]:
    module = sys.modules.get(name)
    if module is None or not name.startswith("mailstore"):
        return {}
    tree = ast.parse(inspect.getsource(module))
    return {node.name: _docstrings_of_class(node) for node in tree.body if isinstance(node, ast.ClassDef)}


def _docstrings_of_class(node: ast.ClassDef) -> dict[str, str]:
    found: dict[str, str] = {}
    for statement, following in zip(node.body, node.body[1:], strict=False):
        target = None
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            target = statement.target.id
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            target = statement.targets[0].id
        if target is None or not isinstance(following, ast.Expr) or not isinstance(following.value, ast.Constant):
            continue
        if isinstance(following.value.value, str):
            found[target] = paragraphs(following.value.value)
    return found


def paragraphs(text: str) -> str:
    """Return a docstring with its indentation removed and the lines of each paragraph joined."""
    blocks = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(block if block.startswith(("    ", "- ")) else " ".join(block.split()) for block in blocks)
