"""Wyoming: Home Assistant's protocol for speech, on a TCP port of its own. Needs the package `wyoming`."""
