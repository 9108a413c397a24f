"""Takes the pictures of the page in docs/images: starts a server with its embedded voice, speaks, and looks.

python clients/js/page/screenshots.py [--url http://127.0.0.1:8765] [--out docs/images]
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "tests"))

from support.server import serving  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

HEARD_CHARS = "document.querySelector('#caption .heard').textContent.length"


def heard(page: Page, chars: int) -> None:
    """Wait until so much of the answer has been heard, and the mouth is well open."""
    seen = f"{HEARD_CHARS} > {chars} && voxwire.weights[10] + voxwire.weights[11] > 0.55"
    page.evaluate(f"async () => {{ while (!({seen})) await new Promise(requestAnimationFrame); }}")


def shrink(picture: Path) -> None:
    """Six bits a colour look the same and take a quarter less. Without Pillow the picture stays as it is."""
    with contextlib.suppress(ImportError):
        from PIL import Image, ImageOps

        with Image.open(picture) as image:
            plain = ImageOps.posterize(image.convert("RGB"), 6)
        plain.save(picture, optimize=True)


@contextlib.contextmanager
def opened(browser: Browser, url: str, *, width: int, height: int, scheme: str, scale: float = 1) -> Iterator[Page]:
    """The page in a window of that size."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
        device_scale_factor=scale,
    )
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("#connection[data-state=connected]")
    yield page
    context.close()


def take(browser: Browser, url: str, out: Path) -> None:
    """All pictures."""
    with opened(browser, url, width=1160, height=1100, scheme="light") as page:
        page.select_option("#codec", "opus")
        # The first answer of all waits for decoders and caches of the browser's.
        page.fill("#text", "Hello.")
        page.click("#speak")
        page.wait_for_selector("#status:text('Finished.')", state="attached")
        page.reload()
        page.wait_for_selector("#connection[data-state=connected]")
        page.click("#simulate")
        heard(page, 90)
        page.screenshot(path=out / "page.png")
    with opened(browser, url, width=1160, height=1110, scheme="dark") as page:
        page.click("#simulate")
        heard(page, 70)
        page.keyboard.press("Escape")
        page.wait_for_selector("#report:not([hidden])")
        page.screenshot(path=out / "page-dark.png")
    with opened(browser, url, width=390, height=844, scheme="light", scale=1.5) as page:
        page.click("#simulate")
        heard(page, 60)
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=out / "page-phone.png")


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="", help="a server that runs already")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        url = given.url or stack.enter_context(serving()).http
        driver = stack.enter_context(sync_playwright())
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        take(browser, url, given.out)
        browser.close()
    for picture in sorted(given.out.glob("page*.png")):
        shrink(picture)
        print(picture, f"{picture.stat().st_size / 1000:.0f} kB")  # noqa: T201


if __name__ == "__main__":
    main()
