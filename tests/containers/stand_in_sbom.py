"""Instead of BuildKit's scanner, whose image cannot be had here: Python's packages, by the same protocol, as SPDX."""

import json
import os
from pathlib import Path

source = Path(os.environ["BUILDKIT_SCAN_SOURCE"])
packages = [
    {"SPDXID": f"SPDXRef-{number}", "name": name, "versionInfo": version, "downloadLocation": "NOASSERTION"}
    for number, (name, version) in enumerate(
        sorted(path.name.removesuffix(".dist-info").split("-", 1) for path in source.rglob("*-*.dist-info"))
    )
]
document: dict[str, object] = {
    "spdxVersion": "SPDX-2.3",
    "dataLicense": "CC0-1.0",
    "SPDXID": "SPDXRef-DOCUMENT",
    "name": "sbom",
}
document |= {"documentNamespace": "https://example.org/sbom", "packages": packages}
statement = {
    "_type": "https://in-toto.io/Statement/v0.1",
    "predicateType": "https://spdx.dev/Document",
    "predicate": document,
}
Path(os.environ["BUILDKIT_SCAN_DESTINATION"], f"{source.name}.spdx.json").write_text(json.dumps(statement))
