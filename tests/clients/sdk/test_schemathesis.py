"""Schemathesis over every HTTP endpoint of a running server: no 500, and answers as the OpenAPI page promises them."""

from __future__ import annotations

import asyncio
import urllib.request
from typing import Any

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from support.server import Host
from support.vendor_checks import settled
from voxwire_server.compat import openapi
from voxwire_server.compat.vendors import VENDORS

PAGE = openapi.document([operation for vendor in VENDORS.values() for operation in vendor.OPERATIONS])
SCHEMA = schemathesis.openapi.from_dict(PAGE)
ENDPOINTS = [result.ok() for result in SCHEMA.get_all_operations()]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

SENSIBLE: dict[str, Any] = {
    "voice_id": "heart",
    "voice": "heart",
    "spk_id": "heart",
    "model": None,
    "model_id": None,
    "language": None,
    "language_code": "en",
    "text_lang": "en",
    "text": "Hello.",
    "input": "Hello.",
    "transcript": "Hello.",
    "tts_text": "Hello.",
    "output_format": None,
    "response_format": "wav",
    "encoding": "linear16",
    "container": "wav",
    "sample_rate": None,
    "bit_rate": None,
    "media_type": "wav",
    "ref_audio_path": None,
    "callback": None,
    "seed": 7,
}
"""What gets a request past its first checks, so that the later ones are met too; None: the field is left out."""
SENSIBLE_OF = {
    "cartesia": {
        "voice": {"mode": "id", "id": "heart"},
        "model_id": "sonic-2",
        "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000},
    }
}


def mend(fields: Any, names: set[str], sensible: dict[str, Any]) -> None:
    """Put sensible values into some of the fields, required or not."""
    if not isinstance(fields, dict):
        return
    for name in names & set(fields):
        if sensible[name] is None:
            del fields[name]
        else:
            fields[name] = sensible[name]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.label)
def test_no_request_is_answered_otherwise_than_the_page_says(host: Host, endpoint: Any, mode: GenerationMode) -> None:
    sensible = SENSIBLE | SENSIBLE_OF.get(endpoint.tags[0], {})

    @settings(
        max_examples=15,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=endpoint.as_strategy(generation_mode=mode), names=st.sets(st.sampled_from(sorted(sensible))))
    def request(case: Case, names: set[str]) -> None:
        mend(case.path_parameters, {name for name in names if sensible[name] is not None}, sensible)
        mend(case.query, names, sensible)
        mend(case.body, names, sensible)
        case.call_and_validate(base_url=host.http, checks=CHECKS, timeout=20)

    try:
        request()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE
        pytest.skip("it takes nothing that could be wrong")


def test_the_page_that_is_served_is_valid_and_complete(host: Host) -> None:
    with urllib.request.urlopen(f"{host.http}/openapi.json", timeout=10) as answer:
        served = orjson.loads(answer.read())
    assert served["components"] == orjson.loads(orjson.dumps(PAGE["components"]))
    assert {path: set(item) for path, item in served["paths"].items()} == {
        path: set(item) for path, item in PAGE["paths"].items()
    }
    schemathesis.openapi.from_dict(served).validate()


@pytest.mark.asyncio
async def test_afterwards_the_server_has_no_unfinished_requests(host: Host) -> None:
    await asyncio.wait_for(settled(host), 60)
