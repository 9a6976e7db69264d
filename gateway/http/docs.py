"""The page at /docs: one document with all it needs inside, so that it works with no network."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files


@cache
def page() -> tuple[bytes, str]:
    """The page, and the Content-Security-Policy that lets its own script and style run and nothing else."""
    script, style = _asset("page.js"), _asset("page.css")
    html = _asset("page.html").replace("/*style*/", style).replace("/*script*/", script)
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return html.encode(), policy


def _asset(name: str) -> str:
    return files("gateway.http").joinpath("page", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Source: CSP level 3, hash-source: of the element's text as it is."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
