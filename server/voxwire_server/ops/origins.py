"""Owns what an Origin and a Host header mean (RFC 6454; RFC 9110, section 7.2). Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def canonical_origin(origin: str) -> str:
    """Scheme, host and port, lower case, the port always written; "" for what is no origin ("null")."""
    try:
        parts = urlsplit(origin)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return ""
    return f"{parts.scheme}://{_bracketed(parts.hostname)}:{port}" if parts.hostname else ""


def browser_origin(origin: str) -> str:
    """An origin as browsers write it (RFC 6454, section 6.2): lower case, without the scheme's default port."""
    canonical = canonical_origin(origin)
    scheme = canonical.partition(":")[0]
    return canonical.removesuffix(f":{DEFAULT_PORTS.get(scheme)}")


def same_host(origin: str, host: str) -> bool:
    """True when a page's origin and the Host it asks for are one; the Host may leave out its scheme's default port."""
    canonical = canonical_origin(origin)
    if not canonical or not host:
        return False
    parts = urlsplit(canonical)
    name, port = split_host(host)
    return parts.hostname == name and parts.port == (port if port is not None else DEFAULT_PORTS.get(parts.scheme))


def split_host(host: str) -> tuple[str, int | None]:
    """Name (lower case, without brackets) and port of a Host header; ("", None) for what is none."""
    try:
        parts = urlsplit(f"//{host}")
        return parts.hostname or "", parts.port
    except ValueError:
        return "", None


def _bracketed(name: str | None) -> str:
    return f"[{name}]" if name and ":" in name else name or ""
