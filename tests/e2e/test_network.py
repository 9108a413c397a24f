"""The client and the server with a real, bad network between them: namespaces, changes of cells, lost packets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.network_namespaces import permitted

BENCH = Path(__file__).parents[2] / "bench" / "network.py"


@pytest.mark.skipif(not permitted(), reason="needs network namespaces: root on Linux, and apt-get install iproute2")
def test_on_the_move_nothing_is_lost_and_nothing_comes_twice(tmp_path):
    found = tmp_path / "drops.json"
    options = ["--drops", "40", "--sessions", "8", "--utterances", "1", "--save", str(found)]
    subprocess.run([sys.executable, str(BENCH), *options], check=True, timeout=240)
    result = json.loads(found.read_text())["result"]
    assert result["connections_lost"] >= 40
    assert result["resumed"] == result["connections_lost"]
    assert result["utterances_not_the_same"] == 0
