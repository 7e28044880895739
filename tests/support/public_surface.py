"""The public surface as text, one name or member a line; run as a script, it records it anew."""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

MODULES = ("allocator", "allocator.online")
RECORD = Path(__file__).with_name("public_surface.txt")


def surface() -> str:
    """Return every public name with its signature, and every public member of a class with its own."""
    lines = []
    for module in MODULES:
        package = import_module(module)
        for name in sorted(package.__all__):
            lines += _describe(f"{module}.{name}", getattr(package, name))
    return "\n".join(lines) + "\n"


def _describe(name: str, thing: Any) -> Iterator[str]:
    if not inspect.isclass(thing):
        yield name + _signature(thing) if callable(thing) else f"{name}: {thing!r}"
        return
    bases = [base.__name__ for base in thing.__bases__ if base is not object]
    yield f"class {name}({', '.join(bases)})"
    if issubclass(thing, enum.Enum):
        yield from (f"{name}.{member.name} = {member.value!r}" for member in thing)
        return
    if "Protocol" not in bases and ("__init__" in vars(thing) or not issubclass(thing, BaseException)):
        yield name + _signature(thing)
    yield from (f"{name}.{attribute}" for attribute in _attributes(thing))
    for member, value in sorted(_members(thing).items()):
        if isinstance(value, property):
            yield f"{name}.{member} -> {_annotation(value.fget.__annotations__.get('return'))}"
        elif isinstance(value, classmethod | staticmethod):
            yield f"{name}.{member}{_signature(value.__func__)}"
        elif inspect.isfunction(value):
            yield f"{name}.{member}{_signature(value)}"


def _attributes(thing: type) -> list[str]:
    """Return the attributes that are set in the making, or for the class, and are no parameters."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    of_instance = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        if isinstance(node.value, ast.Name) and node.value.id == "self"
    }
    of_class = {
        name for name, value in _members(thing).items() if isinstance(value, bool | int | float | str)
    }
    fields = {field.name for field in dataclasses.fields(thing)} if dataclasses.is_dataclass(thing) else set()
    return sorted(name for name in (of_instance | of_class) - fields if not name.startswith("_"))


def _members(thing: type) -> dict[str, Any]:
    """Return what a class and its own bases define, but what every class has."""
    ours = [base for base in thing.__mro__ if base.__module__.split(".")[0] == "allocator"]
    found: dict[str, Any] = {}
    for base in reversed(ours):
        found |= {name: value for name, value in vars(base).items() if not name.startswith("_")}
    return found


def _signature(thing: Any) -> str:
    signature = inspect.signature(thing)
    parts, star = [], False
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        prefix = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        text = f"{prefix}{parameter.name}: {_annotation(parameter.annotation)}"
        default = getattr(parameter.default, "__name__", None) or repr(parameter.default)
        parts.append(text if parameter.default is parameter.empty else f"{text} = {default}")
    return f"({', '.join(parts)}) -> {_annotation(signature.return_annotation)}"


def _annotation(annotation: Any) -> str:
    if annotation in (inspect.Signature.empty, None, "None"):
        return "None"
    if isinstance(annotation, str):
        return annotation
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


if __name__ == "__main__":
    RECORD.write_text(surface(), encoding="utf-8")
