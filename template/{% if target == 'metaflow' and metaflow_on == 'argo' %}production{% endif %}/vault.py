"""The stage's secrets as a Kubernetes secret: each of its keys is a variable of every task.

vault.py keep NAME FOLDER    a file for each secret; what was kept earlier stays; prints what to call them all
vault.py remove NAME
"""

import sys
from pathlib import Path

from kubernetes import client, config
from metaflow.metaflow_config import KUBERNETES_NAMESPACE


def keep(name: str, folder: Path) -> str:
    """Add the files of a folder to the secret of that name."""
    values = {file.name: file.read_text(encoding="utf-8").strip() for file in folder.iterdir()}
    secret = {"metadata": {"name": name}, "stringData": values}
    core = client.CoreV1Api()
    try:
        core.patch_namespaced_secret(name, KUBERNETES_NAMESPACE, secret)
    except client.ApiException as error:
        if error.status != 404:
            raise
        core.create_namespaced_secret(KUBERNETES_NAMESPACE, secret)
    return name


def remove(name: str) -> None:
    """Remove the secret, if there is one."""
    try:
        client.CoreV1Api().delete_namespaced_secret(name, KUBERNETES_NAMESPACE)
    except client.ApiException as error:
        if error.status != 404:
            raise


if __name__ == "__main__":
    config.load_config()
    match sys.argv[1:]:
        case ["keep", name, folder]:
            print(keep(name, Path(folder)))
        case ["remove", name]:
            remove(name)
