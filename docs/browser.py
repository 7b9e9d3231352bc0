"""Pictures of pages, by Chromium without a window and without a network."""

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

WIDTH, SCALE = 1000, 1.5
TALLEST = 1200  # what a page has room for
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]
# Where the page ends, as its title.
MEASURE = """<script>
document.title = Math.ceil(document.documentElement.getBoundingClientRect().bottom)
</script>"""


@dataclass(frozen=True)
class Browser:
    """A program that draws pages."""

    program: str

    @classmethod
    def found(cls) -> "Browser":
        """The browser of this machine.

        Raises:
            SystemExit: it has none.
        """
        program = shutil.which("chromium") or shutil.which("google-chrome")
        return (
            cls(program) if program else sys.exit("pictures: chromium is needed: on Debian, apt-get install chromium")
        )

    def picture(self, page: Path, *, dark: bool) -> bytes:
        """The page from its top, as PNG."""
        with tempfile.TemporaryDirectory(prefix="browser") as folder:
            measured = Path(folder, "measured.html")
            measured.write_text(page.read_text(encoding="utf-8") + MEASURE, encoding="utf-8")
            title = re.search(r"<title>(\d+)</title>", self.run(measured, folder, "--dump-dom"))
            assert title, "the page was not drawn"
            picture = Path(folder, "picture.png")
            scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
            size = (f"--window-size={WIDTH},{min(TALLEST, int(title[1]))}", f"--force-device-scale-factor={SCALE}")
            self.run(page, folder, scheme, *size, f"--screenshot={picture}")
            return picture.read_bytes()

    def run(self, page: Path, folder: str | Path, *options: str) -> str:
        """What the program prints that draws a page, with a folder for what it keeps."""
        command = [self.program, *OPTIONS, f"--user-data-dir={folder}/profile", f"--window-size={WIDTH},1000", *options]
        return subprocess.run([*command, page.as_uri()], check=True, text=True, capture_output=True, timeout=120).stdout
