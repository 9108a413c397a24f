"""The page's parts that need no browser, tested by Node; its types; and the imports of the page and the client."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.javascript import install_packages

pytestmark = pytest.mark.slow
CLIENT = Path(__file__).parents[3] / "clients" / "js"


def run(*command: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=CLIENT, capture_output=True, text=True, timeout=seconds, check=False)


@pytest.fixture(scope="module", autouse=True)
def packages() -> None:
    install_packages()


def test_the_parts_do_what_they_say(tmp_path: Path) -> None:
    bundle = tmp_path / "page.test.mjs"
    esbuild = str(CLIENT / "node_modules" / ".bin" / "esbuild")
    built = run(
        esbuild,
        "page/page.test.mjs",
        "--bundle",
        "--format=esm",
        "--platform=node",
        f"--outfile={bundle}",
        "--log-level=error",
    )
    assert built.returncode == 0, built.stderr
    said = run("node", "--test", str(bundle))
    assert said.returncode == 0, said.stdout[-6000:]


def test_its_types_hold() -> None:
    said = run(str(CLIENT / "node_modules" / ".bin" / "tsc"), "-p", "page/tsconfig.json")
    assert said.returncode == 0, said.stdout


def test_no_modules_import_each_other() -> None:
    said = run("npm", "run", "--silent", "check:circles")
    assert said.returncode == 0, said.stdout + said.stderr


def test_modules_that_import_types_of_each_other_are_found(tmp_path: Path) -> None:
    (tmp_path / "one.ts").write_text('import type { Two } from "./two.js";\nexport type One = Two[];\n')
    (tmp_path / "two.ts").write_text('import type { One } from "./one.js";\nexport type Two = One | null;\n')
    said = run("npm", "run", "--silent", "check:circles", "--", str(tmp_path))
    assert said.returncode == 1
    assert "Dependency cycle" in said.stdout


def test_the_assets_are_what_the_sources_build(tmp_path: Path) -> None:
    built = run("node", "build-page.mjs", str(tmp_path))
    assert built.returncode == 0, built.stderr
    assets = Path(__file__).parents[3] / "server" / "voxwire_server" / "page" / "assets"
    fresh = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    committed = {each.name: each.read_bytes() for each in assets.iterdir()}
    assert sorted(fresh) == sorted(committed)
    changed = [name for name, body in fresh.items() if committed[name] != body]
    assert not changed, "run `node clients/js/build-page.mjs`"
