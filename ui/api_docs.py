"""The OpenAPI document as one page that loads nothing from anywhere, for machines without the internet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
}
_STYLE = """
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code,pre{font-family:ui-monospace,monospace;font-size:.9em}pre{overflow:auto;padding:.75rem;border:1px solid #8886}
section{border-top:1px solid #8886;margin-top:2rem}b.method{padding:.1rem .5rem;border:1px solid}
table{border-collapse:collapse}td,th{border:1px solid #8886;padding:.25rem .6rem;text-align:left;vertical-align:top}
"""


def docs_page(document: dict[str, Any]) -> str:
    """HTML of an OpenAPI document: each operation with what it takes and gives, then the schemas."""
    info = document["info"]
    parts = [f"<h1>{escape(info['title'])}</h1>", f"<p>{escape(info.get('description', ''))}</p>"]
    parts += ['<p>The same for programs: <a href="openapi.json"><code>openapi.json</code></a></p>']
    for path, operations in document["paths"].items():
        parts += [_operation(path, method, operation) for method, operation in operations.items()]
    parts.append("<h2>Schemas</h2>")
    parts += [_schema(name, schema) for name, schema in document.get("components", {}).get("schemas", {}).items()]
    body = "\n".join(parts)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>{body}</body></html>'
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    lines = [f'<section><h2><b class="method">{method.upper()}</b> <code>{escape(path)}</code></h2>']
    lines.append(f"<p>{escape(operation.get('description') or operation.get('summary', ''))}</p>")
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        lines.append(f"<p>takes <code>{escape(media)}</code>: {_type_of(content.get('schema', {}))}</p>")
    lines.append("<table><tr><th>status</th><th>gives</th></tr>")
    for status, response in operation["responses"].items():
        given = ", ".join(
            f"<code>{escape(media)}</code> {_type_of(content.get('schema', {}))}"
            for media, content in response.get("content", {}).items()
        )
        lines.append(f"<tr><td>{escape(status)}</td><td>{escape(response.get('description', ''))} {given}</td></tr>")
    return "".join([*lines, "</table></section>"])


def _schema(name: str, schema: dict[str, Any]) -> str:
    needed = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(key)}</code>{'' if key in needed else ' (optional)'}</td><td>{_type_of(value)}</td>"
        f"<td>{escape(str(value.get('description', '')))} {_bounds(value)}</td></tr>"
        for key, value in schema.get("properties", {}).items()
    )
    text = escape(schema.get("description", ""))
    return f'<section id="{escape(name)}"><h3>{escape(name)}</h3><p>{text}</p><table>{rows}</table></section>'


def _type_of(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(str(schema["$ref"]).rsplit("/", 1)[-1])
        return f'<a href="#{name}">{name}</a>'
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(_type_of(one) for one in schema[key])
    if schema.get("type") == "array":
        return f"list of {_type_of(schema.get('items', {}))}"
    if "enum" in schema or "const" in schema:
        return " | ".join(
            f"<code>{escape(json.dumps(value))}</code>" for value in schema.get("enum", [schema.get("const")])
        )
    return escape(str(schema.get("type", "any")))


def _bounds(schema: dict[str, Any]) -> str:
    return escape(", ".join(_each_bound(schema)))


def _each_bound(schema: dict[str, Any]) -> Iterator[str]:
    names = {
        "minimum": "at least",
        "maximum": "at most",
        "maxLength": "characters at most",
        "maxItems": "entries at most",
    }
    for key, words in names.items():
        if key in schema:
            yield f"{words} {schema[key]}"
    if schema.get("default") is not None:
        yield f"default {json.dumps(schema['default'])}"
