"""Where machines share what runs leave: a bucket such as `s3://BUCKET/PREFIX`, or a folder that they have in common.

Endpoint and credentials come from the environment, as AWS_ENDPOINT_URL and AWS_ACCESS_KEY_ID.
"""

import json
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from .problems import Problem, one_line

WHOLE = ".whole.json"  # lists the files of a folder; it is stored last, so that half a folder is taken for none


class ObjectStore:
    """Files and folders by name; a name's parts are divided by `/`.

    Raises:
        Problem: the URL is none that is known, or what it names cannot be reached; so does each method.
    """

    def __init__(self, url: str) -> None:
        import obstore.store

        self.url = url
        with self._translated():
            if "://" in url:
                options: Any = {"client_options": {"allow_http": True}, "retry_config": {"max_retries": 5}}
                self._store: Any = obstore.store.from_url(url, **options)
            else:
                self._store = obstore.store.LocalStore(url, mkdir=True, automatic_cleanup=True)

    def has(self, name: str) -> bool:
        """Whether anything is stored under a name."""
        import obstore

        with self._translated():
            try:
                obstore.head(self._store, name)
            except FileNotFoundError:
                return False
        return True

    def fetch(self, name: str, file: Path) -> bool:
        """Write what is stored under a name to a file; return whether there was any."""
        import obstore

        with self._translated():
            try:
                found = obstore.get(self._store, name)
            except FileNotFoundError:
                return False
            with file.open("wb") as written:
                for chunk in found:
                    written.write(chunk)
        return True

    def fetch_folder(self, name: str, folder: Path) -> bool:
        """Write what is stored under a name to a folder, in place of what is there; return whether that was whole."""
        about = self._whole(name)
        if about is None:
            return False
        partial = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for each in about["folders"]:
            (partial / each).mkdir(parents=True, exist_ok=True)
        for each in about["files"]:
            (partial / each).parent.mkdir(parents=True, exist_ok=True)
            if not self.fetch(f"{name}/{each}", partial / each):
                break
        else:
            if self._whole(name) == about:  # otherwise somebody has stored another one meanwhile
                shutil.rmtree(folder, ignore_errors=True)
                partial.replace(folder)
                return True
        shutil.rmtree(partial, ignore_errors=True)
        return False

    def put_folder(self, name: str, folder: Path) -> None:
        """Store a folder under a name, in place of what was there; as long as it is not there whole it is not there."""
        import obstore

        inside = sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file())
        empty = [each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_dir()]
        before = self.names(name)
        self.remove([f"{name}/{WHOLE}"] if f"{name}/{WHOLE}" in before else [])
        for each in inside:
            self.put(f"{name}/{each}", folder / each)
        self.remove(sorted({*before} - {f"{name}/{each}" for each in (*inside, WHOLE)}))
        about = {"files": inside, "folders": sorted(empty), "stored": secrets.token_hex(8)}
        with self._translated():
            obstore.put(self._store, f"{name}/{WHOLE}", json.dumps(about).encode())

    def _whole(self, name: str) -> Any:
        """What is known of a folder that is there whole; None where it is not."""
        content = self.read(f"{name}/{WHOLE}")
        return None if content is None else json.loads(content)

    def read(self, name: str) -> bytes | None:
        """What is stored under a name, if it is small; None where nothing is."""
        import obstore

        with self._translated():
            try:
                return bytes(obstore.get(self._store, name).bytes())
            except FileNotFoundError:
                return None

    def put(self, name: str, file: Path) -> None:
        """Store a file under a name, in place of what was there; as a whole or not at all."""
        import obstore

        with self._translated():
            obstore.put(self._store, name, file)

    def names(self, prefix: str = "") -> list[str]:
        """The names that begin with the parts of a prefix, the one written last at the end."""
        return list(self.written(prefix))

    def written(self, prefix: str = "") -> dict[str, datetime]:
        """When each was written whose name begins with the parts of a prefix, the last at the end."""
        import obstore

        with self._translated():
            found = [each for chunk in obstore.list(self._store, prefix or None) for each in chunk]
        return {each["path"]: each["last_modified"] for each in sorted(found, key=lambda each: each["last_modified"])}

    def folders(self, name: str) -> list[str]:
        """The names of the folders that lie in one, which is part of each name; in order."""
        import obstore

        with self._translated():
            return sorted(obstore.list_with_delimiter(self._store, name)["common_prefixes"])

    def remove(self, names: list[str]) -> None:
        """Forget what is stored under these names."""
        import obstore

        if names:
            with self._translated():
                obstore.delete(self._store, names)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError) as error:
            if getattr(error, "errno", None):  # a file here
                raise
            said = re.search("<Message>(.*)</Message>", str(error))  # as S3 says it
            raise Problem(f"{self.url}: {said[1] if said else one_line(error)}") from None
