"""`voxwire voices`: what a server can speak with."""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from voxwire_client.commands.server import add_server_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_server_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the server's answer as it is")


def run(args: argparse.Namespace) -> int:
    """List the voices; returns the exit status."""
    parts = urlsplit(args.url)
    url = f"{'https' if parts.scheme in ('wss', 'https') else 'http'}://{parts.netloc}/v1/voices"
    headers = {"Authorization": f"Bearer {args.api_key}"} if args.api_key else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http or https by construction
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        print(f"voxwire: {_refusal(error)}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"voxwire: no server answers at {url}: {error}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return 0
    for voice in found["voices"]:
        mark = "*" if voice["name"] == found.get("default") else " "
        languages = ", ".join(voice["languages"])
        print(f"{mark} {voice['name']:16} {voice['engine']:12} {languages:16} {voice['description']}")
    return 0


def _refusal(error: urllib.error.HTTPError) -> str:
    try:
        body = json.load(error)["error"]
        return f"{body['code']}: {body['message']} {body.get('hint', '')}".strip()
    except (ValueError, KeyError, TypeError):
        return f"the server answers {error.code} {error.reason}"
