"""How the engine is told to make a pod's container."""

import re

from .docker import LABEL, Failed, Waiting, docker
from .fields import at
from .kinds import Object
from .pods import GPU, quantity
from .store import Store
from .volumes import Volumes, contents

LABELS = {"kubernetes.io/os": "linux", "kubernetes.io/hostname": "stand-in"}  # of the node


def create(store: Store, pod: Object, container: Object, volumes: Volumes, network: str) -> str:
    """Make a container, which does not begin yet; its id.

    Raises:
        Waiting: something that it needs is not there.
    """
    _schedule(pod, container)
    pull(container["image"], container["imagePullPolicy"])
    variables = environment(store, pod, container)
    user = _user(pod, container)
    try:
        volumes.prepare(container["image"])
        flags = [f"--network={network}", f"--hostname={pod['spec'].get('hostname', pod['metadata']['name'])[:63]}"]
        flags += [f"--label={LABEL}={pod['metadata']['uid']}", "--pull=never", *volumes.flags(container), *user]
        flags += [*_security(container), *_resources(container)]
        flags += [f"--env={name}={value}" for name, value in variables.items()]
        flags += [f"--env=FAKETIME={store.clock.ahead.total_seconds():+.0f}"]  # for images that can have another clock
        flags += [f"--workdir={container['workingDir']}"] if container.get("workingDir") else []
        first, *words = [expanded(word, variables) for word in container.get("command", [])] or [""]
        flags += [f"--entrypoint={first}"] if first else []
        words += [expanded(word, variables) for word in container.get("args", [])]
        return docker("create", *flags, container["image"], *words)
    except Failed as problem:
        raise Waiting("CreateContainerError", str(problem)) from problem


def _schedule(pod: Object, container: Object) -> None:
    """Let a pod wait that asks for another node than the one that there is, or for a GPU."""
    for key, value in at(pod, "spec.nodeSelector", {}).items():
        if LABELS.get(key) != value:
            told = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
            raise Waiting("Unschedulable", told)
    if GPU in at(container, "resources.limits", {}):
        raise Waiting("Unschedulable", f"0/1 nodes are available: 1 Insufficient {GPU}.")


def pull(image: str, policy: str) -> None:
    """See to it that an image is there, as the policy has it.

    Raises:
        Waiting: it is not.
    """
    try:
        docker("image", "inspect", image)
        there = True
    except Failed:
        there = False
    if policy == "Never" and not there:
        raise Waiting("ErrImageNeverPull", f"Container image {image!r} is not present with pull policy of Never")
    if policy == "Always" or not there:
        try:
            docker("pull", "--quiet", image)
        except Failed as problem:
            raise Waiting("ErrImagePull", str(problem)) from problem


def expanded(text: str, variables: dict[str, str]) -> str:
    """A text with $(NAME) for what a variable has; one that is not there stays, and $$ is $."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else variables.get(found[1], found[0])

    return re.sub(r"\$\$|\$\(([^)]+)\)", value, text)


def environment(store: Store, pod: Object, container: Object) -> dict[str, str]:
    """A container's variables.

    Raises:
        Waiting: one is to come from what is not there.
    """
    namespace, variables = pod["metadata"]["namespace"], dict[str, str]()
    if pod["spec"].get("enableServiceLinks", True):
        for service in store.all("Service", namespace):
            variables |= _links(service)
    for source in container.get("envFrom", []):
        kind, of = ("Secret", source["secretRef"]) if "secretRef" in source else ("ConfigMap", source["configMapRef"])
        found = contents(store, kind, namespace, of["name"], optional=of.get("optional", False))
        variables |= {source.get("prefix", "") + key: value.decode() for key, value in found.items()}
    for variable in container.get("env", []):
        source = variable.get("valueFrom")
        value = expanded(variable.get("value", ""), variables) if source is None else _value(store, pod, source)
        if value is not None:
            variables[variable["name"]] = value
    return variables


def _links(service: Object) -> dict[str, str]:
    """What a container is told of a Service that was there before it."""
    name, address = service["metadata"]["name"].upper().replace("-", "_"), service["spec"]["clusterIP"]
    ports = service["spec"]["ports"]
    found = {f"{name}_SERVICE_HOST": address, f"{name}_SERVICE_PORT": str(ports[0]["port"])}
    found[f"{name}_PORT"] = f"tcp://{address}:{ports[0]['port']}"
    for port in ports:
        number, each = str(port["port"]), f"{name}_PORT_{port['port']}_TCP"
        found |= {each: f"tcp://{address}:{number}", f"{each}_PROTO": "tcp", f"{each}_PORT": number}
        found |= {f"{each}_ADDR": address}
        if port.get("name"):
            found[f"{name}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = number
    return found


def _value(store: Store, pod: Object, source: Object) -> str | None:
    if "fieldRef" in source:
        path = source["fieldRef"]["fieldPath"]
        found = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
        return str(at(pod, ("metadata", found[1], found[2]) if found else path, ""))
    kind, of = (
        ("Secret", source["secretKeyRef"]) if "secretKeyRef" in source else ("ConfigMap", source["configMapKeyRef"])
    )
    data = contents(store, kind, pod["metadata"]["namespace"], of["name"], optional=of.get("optional", False))
    if of["key"] in data:
        return data[of["key"]].decode()
    if of.get("optional"):
        return None
    raise Waiting("CreateContainerConfigError", f"couldn't find key {of['key']} in {kind} {of['name']}")


def _user(pod: Object, container: Object) -> list[str]:
    whole, own = at(pod, "spec.securityContext", {}), container.get("securityContext", {})
    both = whole | own
    image = docker("image", "inspect", "--format={{.Config.User}}", container["image"])
    user = str(both["runAsUser"]) if "runAsUser" in both else image.partition(":")[0]
    if both.get("runAsNonRoot"):
        if user in ("", "0", "root"):
            raise Waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root")
        if not user.isdigit():
            told = f"container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root"
            raise Waiting("CreateContainerConfigError", told)
    groups = [*whole.get("supplementalGroups", []), *([whole["fsGroup"]] if "fsGroup" in whole else [])]
    flags = [f"--group-add={group}" for group in groups]
    if "runAsGroup" in both:
        return [*flags, f"--user={user or 0}:{both['runAsGroup']}"]
    return [*flags, f"--user={user}"] if "runAsUser" in both else flags


def _security(container: Object) -> list[str]:
    own = container.get("securityContext", {})
    flags = ["--read-only"] if own.get("readOnlyRootFilesystem") else []
    flags += ["--security-opt=no-new-privileges"] if own.get("allowPrivilegeEscalation") is False else []
    flags += [f"--cap-drop={each}" for each in at(own, "capabilities.drop", [])]
    return flags + [f"--cap-add={each}" for each in at(own, "capabilities.add", [])]


def _resources(container: Object) -> list[str]:
    limits = {key: quantity(value) for key, value in at(container, "resources.limits", {}).items()}
    flags = []
    if "memory" in limits:
        flags += [f"--memory={int(limits['memory'])}", f"--memory-swap={int(limits['memory'])}"]
    if "cpu" in limits:
        flags += ["--cpu-period=100000", f"--cpu-quota={int(limits['cpu'] * 100000)}"]
    return flags
