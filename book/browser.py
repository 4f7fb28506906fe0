"""A browser without a window for the book's tests and screenshots: Debian's chromium, driven by selenium, over http."""

from __future__ import annotations

import base64
import functools
import http.server
import json
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REMEDY = "apt-get install chromium chromium-driver fonts-noto-cjk (Debian), or put chrome and chromedriver on the PATH"
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--hide-scrollbars",
)  # fmt: skip

# True once MathJax has set every formula, or where a page does not load it.
MATH_IS_SET = """
    typeof MathJax === 'undefined' || !MathJax.startup || !MathJax.startup.promise || window.rbMath === 1
    || (MathJax.startup.promise.then(() => { window.rbMath = 1 }), false)
"""
STAND_STILL = """
    const style = document.createElement('style');
    style.textContent = '* { transition: none !important; animation: none !important }';
    document.head.append(style);
    window.scrollTo(0, 0);
"""

TILE, OVERLAP = 4000, 120  # CSS pixels: the height of one picture of a long page, and what neighbours share


def tile_tops(height: int) -> list[int]:
    """Return where the pictures of a page of this height begin; the last ends where the page does."""
    tops = [0]
    while tops[-1] + TILE < height:
        tops.append(min(tops[-1] + TILE - OVERLAP, height - TILE))
    return tops


def find_programs() -> tuple[str | None, str | None]:
    """Return the paths of the browser and of its driver, None for one that is not there."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    browser = next((path for name in names if (path := shutil.which(name))), None)
    return browser, shutil.which("chromedriver")


def missing() -> str | None:
    """Return why no browser can be driven, with the remedy; None when one can."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed: pip install -r requirements.txt"
    browser, driver = find_programs()
    lacking = [name for name, path in (("chromium", browser), ("chromedriver", driver)) if path is None]
    return f"no {' and no '.join(lacking)}: {REMEDY}" if lacking else None


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder on a free port of this machine; yields its address without a slash at the end."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start a browser with an empty profile of its own."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    program, driver_path = find_programs()
    with tempfile.TemporaryDirectory(prefix="recbook-browser-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = program
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(driver_path))
        try:
            driver.set_page_load_timeout(300)  # of a busy machine
            driver.set_script_timeout(300)
            yield Browser(driver)
        finally:
            driver.quit()


class Browser:
    """The few things that the tests and the screenshots ask of a browser."""

    def __init__(self, driver) -> None:
        self.driver = driver

    def look(self, width: int = 1440, height: int = 900, dark: bool = False) -> None:
        """Set the size of the window in CSS pixels, and what the reader's system says about dark and light."""
        self.resize(width, height)
        # Of several browsers on a machine one alone has the keyboard; each page is to believe that it is the one.
        self.driver.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {
                "features": [
                    {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                    {"name": "prefers-reduced-motion", "value": "reduce"},
                ]
            },
        )

    def resize(self, width: int, height: int) -> None:
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )

    def open(self, address: str) -> None:
        """Open a page and wait until its formulas are set."""
        self.driver.get(address)
        self.wait("document.readyState === 'complete'")
        self.wait(MATH_IS_SET)

    def wait(self, condition: str, seconds: float = 300) -> None:
        """Wait until a JavaScript expression is true; TimeoutError names it."""
        end = time.monotonic() + seconds
        while not self.driver.execute_script(f"return Boolean({condition})"):
            if time.monotonic() > end:
                raise TimeoutError(f"{self.driver.current_url}: never became true: {condition}")
            time.sleep(0.05)

    def run(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def run_async(self, script: str, *arguments):
        """Run a script that ends by calling its last argument, and return what it is called with."""
        return self.driver.execute_async_script(script, *arguments)

    def requests(self) -> list[str]:
        """Return the addresses asked for since the last call (data: and blob: left out)."""
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        return [url for url in found if not url.startswith(("data:", "blob:", "chrome:", "about:"))]

    def console(self) -> list[str]:
        """Return the console's errors and warnings since the last call."""
        return [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] in ("SEVERE", "WARNING")
        ]

    def press(self, *keys: str) -> None:
        """Press keys one after the other, as a reader's keyboard would."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def screenshots(self, folder: Path, stem: str) -> list[Path]:
        """Save the whole page as stem-1.png, stem-2.png …, from top to bottom; what moves is stopped first.

        Pictures overlap a little, because the bar at the top covers the first lines of each but the first. Older
        pictures of this stem are removed.
        """
        for old in folder.glob(f"{stem}-*.png"):
            old.unlink()
        self.run(STAND_STILL)
        width, height = self.run("return [innerWidth, document.documentElement.scrollHeight]")
        self.resize(width, min(height, TILE))
        paths = []
        for number, top in enumerate(
            tile_tops(self.run("return document.documentElement.scrollHeight")), start=1
        ):
            self.run("window.scrollTo(0, arguments[0])", top)
            time.sleep(0.2)  # one layout at the new place
            shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
            paths.append(folder / f"{stem}-{number}.png")
            paths[-1].write_bytes(base64.b64decode(shot["data"]))
        return paths
