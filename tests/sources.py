"""Tables of every kind that people have, for tests of reading them."""

import csv
import functools
import http.server
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

NAMES = ["customer", "item", "ordered_at", "quantity"]
NUMBERS = {name: str(place) for place, name in enumerate(NAMES, 1)}
ROWS = [
    [f"Zoë {row % 7}", f'Crème "{row % 5}", large', f"2026-01-{row % 28 + 1:02d} 12:{row % 60:02d}", str(row % 3 + 1)]
    for row in range(300)
]

Case = tuple[dict[str, Any], dict[str, str]]


def case(source: object, columns: dict[str, str] | None = None, **settings: Any) -> Case:
    """A reading of a source, of the usual columns unless others are given."""
    return {"source": str(source), **settings}, columns or {name: name for name in NAMES}


def columns(rows: list[list[Any]], names: list[str] = NAMES) -> dict[str, list[Any]]:
    """Rows as `read` gives them."""
    return {name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}


def text(rows: list[list[str]], header: list[str] | None = NAMES, **how: Any) -> str:
    """Rows as CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", **how).writerows([header, *rows] if header else rows)
    return out.getvalue()


def put(file: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return file


def zipped(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def workbook(**sheets: list[list[Any]]) -> bytes:
    """An Excel file of text, numbers and times, by the letter of its standard."""
    office = "http://schemas.openxmlformats.org"
    kinds = f"{office}/officeDocument/2006/relationships"
    types = "application/vnd.openxmlformats-officedocument.spreadsheetml"

    def cell(value: Any) -> str:
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{value.replace("&", "&amp;")}</t></is></c>' if value else "<c/>"
        if isinstance(value, datetime):
            return f'<c s="1"><v>{(value - datetime(1899, 12, 30)).total_seconds() / 86400!r}</v></c>'
        return f"<c><v>{value!r}</v></c>"

    parts = {
        "[Content_Types].xml": f'<Types xmlns="{office}/package/2006/content-types">'
        f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{types}.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{office}/package/2006/relationships">'
        f'<Relationship Id="r" Type="{kinds}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{office}/spreadsheetml/2006/main" xmlns:r="{kinds}"><sheets>'
        + "".join(f'<sheet name="{name}" sheetId="{n}" r:id="s{n}"/>' for n, name in enumerate(sheets, 1))
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{office}/package/2006/relationships">'
        + "".join(
            f'<Relationship Id="s{n}" Type="{kinds}/worksheet" Target="sheet{n}.xml"/>'
            for n in range(1, len(sheets) + 1)
        )
        + f'<Relationship Id="t" Type="{kinds}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{office}/spreadsheetml/2006/main"><cellXfs>'
        '<xf numFmtId="0"/><xf numFmtId="22"/></cellXfs></styleSheet>',
    }
    for n, rows in enumerate(sheets.values(), 1):
        lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
        parts[f"xl/sheet{n}.xml"] = (
            f'<worksheet xmlns="{office}/spreadsheetml/2006/main"><sheetData>{lines}</sheetData></worksheet>'
        )
    return zipped(*((name, part.encode()) for name, part in parts.items()))


@contextmanager
def served(handler: Callable[..., http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """A web server on loopback; yields its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def files_of(folder: Path) -> Callable[..., http.server.BaseHTTPRequestHandler]:
    """What serves the files of a folder."""
    return functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
