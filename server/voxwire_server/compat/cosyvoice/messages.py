"""Owns what CosyVoice's clients say: the fields of a form, which a query may hold too."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from voxwire_server.compat.operation import checked

SPEED_MIN, SPEED_MAX = 0.25, 4.0


class Fields(BaseModel):
    """What all routes take together. `prompt_text` and `instruct_text` are taken and have no effect.

    `prompt_wav` is an uploaded recording, or its name; `speed` and `sample_rate` are additions of this server's.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    tts_text: str | None = None
    spk_id: str | None = Field(None, max_length=256)
    prompt_text: str | None = None
    instruct_text: str | None = None
    prompt_wav: Any = None
    speed: float = Field(1.0, ge=SPEED_MIN, le=SPEED_MAX)
    sample_rate: int | None = None


class Wanted(Fields):
    """A request with all that it needs."""

    tts_text: str = Field(min_length=1)


def wanted(body: Fields, query: Fields) -> Wanted:
    """A form's fields, and those of the query that the form lacks.

    Raises:
        VoxwireError: there is no text.
    """
    return checked(Wanted, query.model_dump(exclude_unset=True) | body.model_dump(exclude_unset=True), "body")
