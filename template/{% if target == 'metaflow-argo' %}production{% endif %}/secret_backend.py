"""Where the secrets are: a Kubernetes secret in the namespace in which the tasks of the flow run."""

import base64

from metaflow.metaflow_config import KUBERNETES_NAMESPACE
from metaflow.plugins.kubernetes.kubernetes_client import KubernetesClient

client = KubernetesClient().get()  # of the cluster that Metaflow finds
core = client.CoreV1Api()


def read(name: str) -> dict[str, str] | None:
    """All values, or None where there is no such secret."""
    try:
        found = core.read_namespaced_secret(name, KUBERNETES_NAMESPACE)
    except client.ApiException as error:
        if error.status != 404:
            raise
        return None
    return {key: base64.b64decode(value).decode() for key, value in (found.data or {}).items()}


def write(name: str, values: dict[str, str]) -> None:
    """Store these values in place of the earlier ones."""
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    secret = client.V1Secret(metadata=client.V1ObjectMeta(name=name), data=encoded)
    if read(name) is None:
        core.create_namespaced_secret(KUBERNETES_NAMESPACE, secret)
    else:
        core.replace_namespaced_secret(name, KUBERNETES_NAMESPACE, secret)


def reference(name: str) -> str:
    """The name by which Metaflow finds it."""
    return name


def remove(name: str) -> None:
    """Remove it."""
    core.delete_namespaced_secret(name, KUBERNETES_NAMESPACE)
