"""A session's settings are those of the configuration."""

from __future__ import annotations

import dataclasses

import pytest

from voxwire_server.app import session_settings
from voxwire_server.config import AudioConfig, Config, LimitsConfig
from voxwire_server.session.settings import SessionSettings


def names_in(section):
    """The settings that are keys of a section."""
    keys = {field.name for field in dataclasses.fields(section)}
    return {field.name for field in dataclasses.fields(SessionSettings)} & keys


def test_defaults_are_those_of_the_configuration():
    configured = session_settings(Config())
    assert dataclasses.replace(configured, resume_window_ms=0) == SessionSettings()
    assert configured.resume_window_ms == 30_000


def test_each_setting_is_taken_from_the_key_of_its_name():
    limits = LimitsConfig(**{name: getattr(LimitsConfig(), name) + 1 for name in names_in(LimitsConfig)})
    audio = AudioConfig(lead_ms=300, burst_frames=4, opus_bitrate=32_000)
    settings = session_settings(Config(limits=limits, audio=audio))
    assert settings.policy.burst_frames == 4
    for section, names in ((limits, names_in(LimitsConfig)), (audio, names_in(AudioConfig))):
        assert names
        for name in names:
            assert getattr(settings, name) == getattr(section, name)


def test_a_setting_that_no_section_has_is_an_error():
    with pytest.raises(AttributeError, match="lead_ms"):
        SessionSettings.from_sections(LimitsConfig(), resume_window_ms=0, policy=SessionSettings().policy)
