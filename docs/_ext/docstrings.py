"""Docstrings and signatures as they are written: names in backticks, annotations, links between packages."""

from __future__ import annotations

import inspect
from typing import Any

from docutils import nodes
from docutils.parsers.rst.states import Inliner
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.inspect import stringify_signature

PACKAGES = ("allocator", "allocator.online", "allocator.plugins")
ROLE = "name"


def _role(
    _role_name: str,
    raw: str,
    text: str,
    line: int,
    inliner: Inliner,
    options: Any = None,
    content: Any = (),
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Make a name in single backticks a link where it is documented, else code."""
    python: Any = inliner.document.settings.env.domains.python_domain.role("obj")
    found, messages = python("obj", raw, text, line, inliner)
    found[0]["may_be_code"] = True
    return found, messages


def _resolve(app: Sphinx, env: BuildEnvironment, node: Any, content: nodes.TextElement) -> nodes.Node | None:
    """Find a short name in any of the packages."""
    if node.get("refdomain") != "py":
        return None
    domain = env.domains.python_domain
    name = node["reftarget"]
    targets = [target for package in PACKAGES if (target := f"{package}.{name}") in domain.objects]
    if not targets and not node.get("may_be_code"):  # an annotation names a class of any module
        targets = [target for target in domain.objects if target.endswith(f".{name}")]
    if not targets:
        return content if node.get("may_be_code") else None
    return domain.resolve_xref(env, node["refdoc"], app.builder, node["reftype"], targets[0], node, content)


def _as_written(
    _app: Sphinx, what: str, _name: str, thing: Any, _options: Any, signature: str | None, returns: str | None
) -> tuple[str, str] | None:
    """Return a signature with its annotations as the code has them, not as they are evaluated."""
    if signature is None or what not in ("class", "function", "method", "exception"):
        return None
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return None
    parameters = list(found.parameters.values())
    if what == "method" and parameters and parameters[0].name in ("self", "cls"):
        found = found.replace(parameters=parameters[1:])
    if what in ("class", "exception"):
        found = found.replace(return_annotation=inspect.Signature.empty)
    text, arrow, annotation = stringify_signature(found).partition(" -> ")
    return text.replace("<factory>", "..."), annotation if arrow else ""


def setup(app: Sphinx) -> dict[str, Any]:
    """Make the role that of single backticks in reStructuredText, and listen."""
    app.add_role(ROLE, _role)
    app.config.default_role = ROLE
    app.connect("missing-reference", _resolve)
    app.connect("autodoc-process-signature", _as_written)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
