"""A flow's runs on Argo Workflows, the newest first: the id that Metaflow gives each, its beginning, its outcome."""

import sys

from metaflow.metaflow_config import KUBERNETES_NAMESPACE
from metaflow.plugins.kubernetes.kubernetes_client import KubernetesClient

of = ("argoproj.io", "v1alpha1", KUBERNETES_NAMESPACE)
objects = KubernetesClient().get().CustomObjectsApi()
templates = {
    each["metadata"]["name"]
    for each in objects.list_namespaced_custom_object(*of, "workflowtemplates")["items"]
    if each["metadata"].get("annotations", {}).get("metaflow/project_flow_name") == sys.argv[1]
}
runs = [
    (each["metadata"]["creationTimestamp"], f"argo-{each['metadata']['name']}", each.get("status", {}).get("phase"))
    for each in objects.list_namespaced_custom_object(*of, "workflows")["items"]
    if each["spec"].get("workflowTemplateRef", {}).get("name") in templates
]
for began, name, phase in sorted(runs, reverse=True):
    print(name, began, phase or "Pending")
