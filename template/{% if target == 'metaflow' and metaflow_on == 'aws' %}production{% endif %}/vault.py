"""The stage's secrets in AWS Secrets Manager: a JSON object, each of whose keys is a variable of every task.

vault.py keep NAME FOLDER    a file for each secret; what was kept earlier stays; prints what to call them all
vault.py remove NAME
"""

import json
import sys
from pathlib import Path

import boto3


def keep(name: str, folder: Path) -> str:
    """Add the files of a folder to the secret of that name."""
    manager = boto3.client("secretsmanager")
    given = {file.name: file.read_text(encoding="utf-8").strip() for file in folder.iterdir()}
    try:
        found = manager.get_secret_value(SecretId=name)
    except manager.exceptions.ResourceNotFoundException:
        return str(manager.create_secret(Name=name, SecretString=json.dumps(given))["ARN"])
    values = json.loads(found["SecretString"]) | given
    return str(manager.put_secret_value(SecretId=name, SecretString=json.dumps(values))["ARN"])


def remove(name: str) -> None:
    """Remove the secret at once, so that its name is free."""
    boto3.client("secretsmanager").delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["keep", name, folder]:
            print(keep(name, Path(folder)))
        case ["remove", name]:
            remove(name)
