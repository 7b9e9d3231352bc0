"""A pod's volumes: each is one of the engine's, with the files that a secret or a config map has in it."""

import base64
import io
import tarfile
from dataclasses import dataclass, field

from .docker import LABEL, Waiting, docker
from .fields import at
from .kinds import Object, Refused
from .pods import quantity
from .store import Store

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
DATA = "..2026_01_01_00_00_00.000000000"  # the kubelet's folder behind `..data`, to which each file is a link


@dataclass
class Claim:
    """A persistent volume claim's volume, and the folders that were made in it."""

    volume: str
    made: set[str] = field(default_factory=set)


def contents(store: Store, kind: str, namespace: str, name: str, *, optional: bool = False) -> dict[str, bytes]:
    """The data of a Secret or a ConfigMap.

    Raises:
        Waiting: there is none, and there has to be.
    """
    try:
        found = store.get(kind, namespace, name)
    except Refused as problem:
        if optional:
            return {}
        raise Waiting("CreateContainerConfigError", f'{kind.lower()} "{name}" not found') from problem
    binary = at(found, "data" if kind == "Secret" else "binaryData", {})
    plain = {} if kind == "Secret" else at(found, "data", {})
    return {key: text.encode() for key, text in plain.items()} | {
        key: base64.b64decode(text) for key, text in binary.items()
    }


class Volumes:
    """The volumes of a pod, made when all is there that they need."""

    def __init__(self, store: Store, claims: dict[str, Claim], pod: Object) -> None:
        self.store, self.claims, self.pod = store, claims, pod
        self.namespace: str = pod["metadata"]["namespace"]
        self.group: int | None = at(pod, "spec.securityContext.fsGroup")
        self.names: dict[str, str] = {}
        self.own: list[str] = []
        self.filled = False
        self.fresh: list[tuple[Claim, str]] = []  # folders of claims that are made with it
        in_memory = [each for each in at(pod, "spec.volumes", []) if at(each, "emptyDir.medium") == "Memory"]
        self.in_memory = {each["name"]: at(each, "emptyDir.sizeLimit") for each in in_memory}
        self.listed = [each for each in at(pod, "spec.volumes", []) if each["name"] not in self.in_memory]
        if self._mounts_account():
            self.listed.append({"name": "kube-api-access", "account": {}})

    def prepare(self, image: str) -> None:
        """Make and fill them, once, by a container of the image that never begins.

        Raises:
            Waiting: something is missing.
        """
        if self.filled or not self.listed:
            return
        self.fresh = []
        with io.BytesIO() as content:
            with tarfile.open(fileobj=content, mode="w") as tar:
                found = {volume["name"]: self._fill(volume, tar) for volume in self.listed}
            for name, volume in found.items():
                self.names[name] = volume or self.names.get(name) or self._create()
            mounts = [f"--volume={volume}:/volumes/{name}:nocopy" for name, volume in self.names.items()]
            helper = docker("create", "--pull=never", *mounts, "--entrypoint=true", image)
            try:
                # Not --archive, which would give all to the image's user.
                docker("cp", "-", f"{helper}:/volumes", given=content.getvalue())
            finally:
                docker("rm", "--volumes", helper)
        self.filled = True
        for claim, path in self.fresh:
            claim.made.add(path)

    def flags(self, container: Object) -> list[str]:
        """What mounts them in a container."""
        mounts = [*container.get("volumeMounts", [])]
        if self._mounts_account() and all(mount["mountPath"] != ACCOUNT for mount in mounts):
            mounts.append({"name": "kube-api-access", "mountPath": ACCOUNT, "readOnly": True})
        read_only = {each["name"] for each in self.listed if {"secret", "configMap"} & each.keys()}
        read_only |= {each["name"] for each in self.listed if at(each, "persistentVolumeClaim.readOnly")}
        flags = []
        for mount in mounts:
            if mount["name"] in self.in_memory:
                size = self.in_memory[mount["name"]]
                most = f",tmpfs-size={int(quantity(size))}" if size else ""
                flags.append(f"--mount=type=tmpfs,dst={mount['mountPath']}{most}")
                continue
            parts = ["type=volume", f"src={self.names[mount['name']]}", f"dst={mount['mountPath']}", "volume-nocopy"]
            parts += ["readonly"] if mount.get("readOnly") or mount["name"] in read_only else []
            parts += [f"volume-subpath={mount['subPath']}"] if mount.get("subPath") else []
            flags.append(f"--mount={','.join(parts)}")
        return flags

    def remove(self) -> None:
        """Remove those that go with the pod."""
        if self.own:
            docker("volume", "rm", "--force", *self.own)

    def _create(self) -> str:
        self.own.append(docker("volume", "create", f"--label={LABEL}={self.pod['metadata']['uid']}"))
        return self.own[-1]

    def _mounts_account(self) -> bool:
        name, given = at(self.pod, "spec.serviceAccountName"), at(self.pod, "spec.automountServiceAccountToken")
        account = {each["metadata"]["name"]: each for each in self.store.all("ServiceAccount", self.namespace)}
        its = at(account.get(name), "automountServiceAccountToken", True)
        return bool(its if given is None else given)

    def _fill(self, volume: Object, tar: tarfile.TarFile) -> str:
        """Put what a volume begins with into the archive; the name of the volume, if there is one already."""
        name, folder = volume["name"], 0o755
        if claim := at(volume, "persistentVolumeClaim.claimName"):
            return self._fill_claim(name, claim, tar)
        if "emptyDir" in volume:
            folder = 0o777
        self._add(tar, name, folder, kind=tarfile.DIRTYPE)
        files, mode = self._files(volume)
        if files:
            self._add(tar, f"{name}/{DATA}", folder, kind=tarfile.DIRTYPE)
            self._add(tar, f"{name}/..data", 0o777, kind=tarfile.SYMTYPE, link=DATA)
        for path, content in files.items():
            self._add(tar, f"{name}/{DATA}/{path}", mode, content)
        for path in {path.partition("/")[0] for path in files}:
            self._add(tar, f"{name}/{path}", 0o777, kind=tarfile.SYMTYPE, link=f"..data/{path}")
        if "emptyDir" in volume:
            for path in self._subpaths(name):
                self._add(tar, f"{name}/{path}", folder, kind=tarfile.DIRTYPE)
        return ""

    def _fill_claim(self, name: str, wanted: str, tar: tarfile.TarFile) -> str:
        try:
            uid = self.store.get("PersistentVolumeClaim", self.namespace, wanted)["metadata"]["uid"]
        except Refused as problem:
            raise Waiting("Unschedulable", f'persistentvolumeclaim "{wanted}" not found') from problem
        claim = self.claims.setdefault(uid, Claim(f"claim-{uid}"))
        for path in ["", *self._subpaths(name)]:
            if path not in claim.made:
                self.fresh.append((claim, path))
                self._add(tar, f"{name}/{path}", 0o775 if self.group else 0o755, kind=tarfile.DIRTYPE)
        return claim.volume

    def _subpaths(self, name: str) -> list[str]:
        spec = self.pod["spec"]
        mounts = [
            each
            for one in (*spec.get("initContainers", []), *spec["containers"])
            for each in one.get("volumeMounts", [])
        ]
        return sorted({mount["subPath"] for mount in mounts if mount["name"] == name and mount.get("subPath")})

    def _files(self, volume: Object) -> tuple[dict[str, bytes], int]:
        if "account" in volume:
            return {"token": b"stand-in", "ca.crt": b"stand-in", "namespace": self.namespace.encode()}, 0o644
        for field_name, kind, key in (("secret", "Secret", "secretName"), ("configMap", "ConfigMap", "name")):
            if source := volume.get(field_name):
                optional = source.get("optional", False)
                try:
                    found = contents(self.store, kind, self.namespace, source[key], optional=optional)
                except Waiting as why:
                    raise Waiting("ContainerCreating", f"MountVolume.SetUp failed: {why}") from why
                if items := source.get("items"):
                    missing = [item["key"] for item in items if item["key"] not in found]
                    if missing and not optional:
                        raise Waiting("ContainerCreating", f"references non-existent {kind.lower()} key: {missing[0]}")
                    found = {item["path"]: found[item["key"]] for item in items if item["key"] in found}
                return found, source.get("defaultMode", 0o644)
        return {}, 0

    def _add(
        self,
        tar: tarfile.TarFile,
        path: str,
        mode: int,
        content: bytes = b"",
        *,
        kind: bytes = tarfile.REGTYPE,
        link: str = "",
    ) -> None:
        """Add to the archive as root's, or as the group's that the pod names."""
        entry = tarfile.TarInfo(path)
        entry.type, entry.linkname, entry.size, entry.mode = kind, link, len(content), mode
        if self.group is not None and kind != tarfile.SYMTYPE:
            entry.gid, entry.mode = self.group, mode | (0o2770 if kind == tarfile.DIRTYPE else 0o440)
        tar.addfile(entry, io.BytesIO(content))
