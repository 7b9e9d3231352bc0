"""Where the secrets are: AWS Secrets Manager, as one JSON object."""

import json

import boto3

manager = boto3.client("secretsmanager")


def read(name: str) -> dict[str, str] | None:
    """All values, or None where there is no such secret."""
    try:
        values: dict[str, str] = json.loads(manager.get_secret_value(SecretId=name)["SecretString"])
    except manager.exceptions.ResourceNotFoundException:
        return None
    return values


def write(name: str, values: dict[str, str]) -> None:
    """Store these values in place of the earlier ones."""
    if read(name) is None:
        manager.create_secret(Name=name, SecretString=json.dumps(values))
    else:
        manager.put_secret_value(SecretId=name, SecretString=json.dumps(values))


def reference(name: str) -> str:
    """The name by which Metaflow finds it: the service and the ARN."""
    return f"aws-secrets-manager.{manager.describe_secret(SecretId=name)['ARN']}"


def remove(name: str) -> None:
    """Remove it at once, so that its name is free."""
    manager.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
