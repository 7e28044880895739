"""What every page shares: its style, a policy that nothing is fetched or run, and figures with addresses."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from allocator.files import dump_json
from allocator.report.drawing import can_draw
from allocator.wording import gap_text, number, signed_number

Document = Mapping[str, Any]

HERE = Path(__file__).parent
FORMS: dict[str, Callable[[Any], str]] = {
    "number": number,
    "plain": str,
    "signed": signed_number,
    "percent": lambda share: f"{share:.1%}",
    "points": lambda share: f"{100 * share:+.1f}" if share else "=",
    "size": lambda price: number(abs(price)),
    "gap": gap_text,
}


def render(template: str, document: Document, **more: Any) -> str:
    """Return a page whose every figure is one of a document, and says which.

    Templates write a figure by its address in the document (a JSON pointer, RFC 6901), and the page holds it
    in full beside what is shown: ``<data value="118.4" data-figure="/limits/0/used">118</data>``.

    Parameters
    ----------
    template
        File name of the template.
    document
        What ``summary.json`` holds, or ``--json`` prints; plain JSON values.
    more
        What else the template needs.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def fig(pointer: str, form: str = "number") -> Markup:
        value = at(document, pointer)
        if value is None:
            return Markup("")
        shown = FORMS[form](value)
        return Markup('<data value="{}" data-figure="{}">{}</data>').format(json.dumps(value), pointer, shown)

    style = (HERE / "style.css").read_text(encoding="utf-8")
    environment.filters |= {"number": number, "svg": Markup}
    environment.globals |= {
        "fig": fig, "escaped": escaped, "drawable": can_draw(),
        "style": Markup(style), "digest": _digest(style),
    }  # fmt: skip
    return environment.get_template(template).render(d=document, **more)


def plain(document: Document) -> dict[str, Any]:
    """Return a document as its JSON holds it."""
    found: dict[str, Any] = json.loads(dump_json(document))
    return found


def at(document: Document, pointer: str) -> Any:
    """Return what stands at an address in a document."""
    found: Any = document
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        found = found[int(name)] if isinstance(found, list) else found[name]
    return found


def escaped(name: str) -> str:
    """Return a key as it stands in an address."""
    return name.replace("~", "~0").replace("/", "~1")


def _digest(style: str) -> str:
    """Return what the policy calls this style, and no other, by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
