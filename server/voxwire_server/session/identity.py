"""Names the account and the address behind a session, by which its shares are counted. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientIdentity:
    """Whose session it is.

    `account` is the name of the API key (behind the token), "anonymous" where no key is configured. `address` is the IP
    address that the connection came from, or what a trusted proxy says of it; "" where it is not known.
    """

    account: str = "anonymous"
    address: str = ""
