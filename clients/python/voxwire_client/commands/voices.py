"""`voxwire voices`: lists a server's voices."""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from voxwire_client.commands import add_server_arguments
from voxwire_client.dialer import stream_url

TIMEOUT_SECONDS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_server_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the server's answer as it is")


def run(args: argparse.Namespace) -> int:
    """List the voices; returns the exit status."""
    try:
        found = _fetch(args.url, args.api_key or os.environ.get("VOXWIRE_API_KEY"))
        lines = [json.dumps(found, indent=2, ensure_ascii=False)] if args.json else _lines(found)
    except urllib.error.HTTPError as error:
        with error:
            print(f"voxwire: {_refusal(error)}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"voxwire: {args.url}: {error}", file=sys.stderr)
        return 1
    except (KeyError, TypeError):
        print(f"voxwire: {args.url}: this is no list of voices", file=sys.stderr)
        return 1
    for line in lines:
        print(line)
    return 0


def _fetch(url: str, api_key: str | None) -> Any:
    parts = urlsplit(stream_url(url))
    address = f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}/v1/voices"
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - http or https by construction
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
        return json.load(answer)


def _lines(found: Any) -> list[str]:
    return [
        f"{'*' if voice['name'] == found.get('default') else ' '} {voice['name']:16} {voice['engine']:12} "
        f"{', '.join(voice['languages']):16} {voice['description']}"
        for voice in found["voices"]
    ]


def _refusal(error: urllib.error.HTTPError) -> str:
    try:
        body = json.load(error)["error"]
        return f"{body['code']}: {body['message']}. {body.get('hint') or ''}".strip()
    except (ValueError, KeyError, TypeError):
        return f"the server answers {error.code} {error.reason}"
