"""What clients of GPT-SoVITS' api_v2 send: the parameters of `/tts` and of the commands."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from voxwire_protocol.errors import ErrorCode, VoxwireError

MediaType = Literal["wav", "raw", "ogg", "aac"]
SPLIT_METHODS = ("cut0", "cut1", "cut2", "cut3", "cut4", "cut5")
SPEED_MIN, SPEED_MAX = 0.25, 4.0
SEED_MAX = 2**32 - 1


class TtsRequest(BaseModel):
    """The parameters of `/tts`, the same for GET and POST.

    `voice` is an addition of this server. The sampling parameters of that model are accepted and have no effect.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    text: str | None = None
    text_lang: str | None = Field(None, max_length=64)
    voice: str | None = Field(None, max_length=256)
    ref_audio_path: str | None = Field(None, max_length=4096)
    aux_ref_audio_paths: Any = None
    prompt_lang: str | None = None
    prompt_text: str | None = None
    top_k: int = 15
    top_p: float = 1
    temperature: float = 1
    text_split_method: str = "cut5"
    batch_size: int = 1
    batch_threshold: float = 0.75
    split_bucket: bool = True
    speed_factor: float = Field(1.0, ge=SPEED_MIN, le=SPEED_MAX)
    fragment_interval: float = 0.3
    seed: int = Field(-1, ge=-1, le=SEED_MAX)
    media_type: str = "wav"
    streaming_mode: bool | int = False
    parallel_infer: bool = True
    repetition_penalty: float = 1.35
    sample_steps: int = 32
    super_sampling: bool = False
    overlap_length: int = 2
    min_chunk_length: int = 16

    @property
    def language(self) -> str | None:
        """The language to speak; None: the voice's own. `all_xx` means xx, `auto` any."""
        name = (self.text_lang or "auto").lower().removeprefix("all_")
        return None if name.startswith("auto") else name


class Command(BaseModel):
    """The parameters of `/control`, `/set_gpt_weights`, `/set_sovits_weights` and `/set_refer_audio`."""

    command: str | None = None
    weights_path: str | None = None
    refer_audio_path: str | None = None


def check_request(request: TtsRequest) -> MediaType:
    """Check the parameters; returns the media type.

    Raises:
        VoxwireError: client.invalid_field.
    """
    if not request.text or request.text.isspace():
        raise _refusal("text", "text is required")
    if request.text_split_method not in SPLIT_METHODS:
        known = ", ".join(SPLIT_METHODS)
        raise _refusal("text_split_method", f"text_split_method: it is not supported; there are {known}")
    if request.streaming_mode not in (0, 1, 2, 3):
        raise _refusal("streaming_mode", "streaming_mode: it must be true, false, 0, 1, 2 or 3")
    for known in get_args(MediaType):
        if request.media_type == known:
            media_type: MediaType = known
            return media_type
    raise _refusal("media_type", f"media_type: it is not supported; there are {', '.join(get_args(MediaType))}")


def _refusal(field: str, message: str) -> VoxwireError:
    return VoxwireError(ErrorCode.INVALID_FIELD, message, details={"field": field})
