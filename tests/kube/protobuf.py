"""Objects as some of kubectl's commands send them, `create job` among them: in protobuf.

The numbers are those of Kubernetes' generated.proto, for the fields that the stand-in knows.
"""

import base64
from collections.abc import Iterator
from typing import Any

from .kinds import Object, bad, unknown

# A field is a text; with # a number, ? a truth, {} a map of texts, - a map of bytes, = a map of quantities,
# :X an object X, and with ^X one whose fields are the outer one's; * says that there are several.
MESSAGES = """
Namespace        1 metadata:ObjectMeta
ConfigMap        1 metadata:ObjectMeta 2 data{} 3 binaryData- 4 immutable?
Secret           1 metadata:ObjectMeta 2 data- 3 type 4 stringData{} 5 immutable?
ServiceAccount   1 metadata:ObjectMeta 4 automountServiceAccountToken?
Job              1 metadata:ObjectMeta 2 spec:JobSpec
ObjectMeta       1 name 2 generateName 3 namespace 5 uid 6 resourceVersion 11 labels{} 12 annotations{} \
                 13 ownerReferences*:OwnerReference
OwnerReference   1 kind 3 name 4 uid 5 apiVersion 6 controller? 7 blockOwnerDeletion?
JobSpec          1 parallelism# 2 completions# 3 activeDeadlineSeconds# 6 template:PodTemplateSpec 7 backoffLimit# \
                 8 ttlSecondsAfterFinished# 9 completionMode 10 suspend? 11 podFailurePolicy:Policy \
                 12 backoffLimitPerIndex# 13 maxFailedIndexes# 14 podReplacementPolicy
Policy           1 rules*:Rule
Rule             1 action 2 onExitCodes:Codes
Codes            2 operator 3 values*#
PodTemplateSpec  1 metadata:ObjectMeta 2 spec:PodSpec
PodSpec          1 volumes*:Volume 2 containers*:Container 3 restartPolicy 4 terminationGracePeriodSeconds# \
                 6 dnsPolicy 7 nodeSelector{} 8 serviceAccountName 9 serviceAccount 14 securityContext:Security \
                 15 imagePullSecrets*:Reference 16 hostname 19 schedulerName 20 initContainers*:Container \
                 21 automountServiceAccountToken? 22 tolerations*:Toleration 30 enableServiceLinks?
Toleration       1 key 2 operator 3 value 4 effect 5 tolerationSeconds#
Security         2 runAsUser# 3 runAsNonRoot? 4 supplementalGroups*# 5 fsGroup# 6 runAsGroup# \
                 9 fsGroupChangePolicy 10 seccompProfile:Seccomp
Container        1 name 2 image 3 command* 4 args* 5 workingDir 7 env*:Variable 8 resources:Resources \
                 9 volumeMounts*:Mount 13 terminationMessagePath 14 imagePullPolicy \
                 15 securityContext:OwnSecurity 19 envFrom*:Source 20 terminationMessagePolicy
OwnSecurity      1 capabilities:Capabilities 2 privileged? 4 runAsUser# 5 runAsNonRoot? \
                 6 readOnlyRootFilesystem? 7 allowPrivilegeEscalation? 8 runAsGroup# 11 seccompProfile:Seccomp
Capabilities     1 add* 2 drop*
Seccomp          1 type
Variable         1 name 2 value 3 valueFrom:ValueFrom
ValueFrom        1 fieldRef:FieldRef 3 configMapKeyRef:KeyRef 4 secretKeyRef:KeyRef
FieldRef         1 apiVersion 2 fieldPath
KeyRef           1 reference^Reference 2 key 3 optional?
Source           1 prefix 2 configMapRef:SourceRef 3 secretRef:SourceRef
SourceRef        1 reference^Reference 2 optional?
Reference        1 name
Resources        1 limits= 2 requests=
Mount            1 name 2 readOnly? 3 mountPath 4 subPath
Volume           1 name 2 source^VolumeSource
VolumeSource     2 emptyDir:EmptyDir 6 secret:SecretFiles 10 persistentVolumeClaim:ClaimSource 19 configMap:MapFiles
EmptyDir         1 medium 2 sizeLimit:Quantity
SecretFiles      1 secretName 2 items*:Item 3 defaultMode# 4 optional?
MapFiles         1 reference^Reference 2 items*:Item 3 defaultMode# 4 optional?
Item             1 key 2 path 3 mode#
ClaimSource      1 claimName 2 readOnly?
"""
MAGIC = b"k8s\0"


def _table() -> dict[str, dict[int, str]]:
    rows = [line.split() for line in MESSAGES.replace("\\\n", "").splitlines() if line]
    return {name: dict(zip(map(int, row[::2]), row[1::2], strict=True)) for name, *row in rows}


TABLE = _table()


def read(content: bytes) -> Object:
    """The object of a request.

    Raises:
        Refused: the stand-in does not know it.
    """
    if not content.startswith(MAGIC):
        raise bad("no object in protobuf")
    whole = dict(_fields(content[len(MAGIC) :]))
    typed = {number: text.decode() for number, text in _fields(whole[1])}
    if typed[2] not in TABLE:
        raise unknown(f"{typed[2]} in protobuf; in JSON it comes by kubectl create --dry-run=client -o json")
    return {"apiVersion": typed[1], "kind": typed[2], **_message(whole[2], typed[2])}


def _fields(content: bytes) -> Iterator[tuple[int, Any]]:
    """The numbers and values of a message."""
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = content[place]
            value, shift, place = value | (byte & 127) << shift, shift + 7, place + 1
            if byte < 128:
                return value

    while place < len(content):
        number, how = divmod(varint(), 8)
        if how == 0:
            yield number, varint()
        elif how == 2:
            length = varint()
            yield number, content[place : place + length]
            place += length
        else:
            raise bad(f"protobuf's wire type {how}")


def _message(content: bytes, name: str) -> Object:
    read: Object = {}
    for number, value in _fields(content):
        if number not in TABLE[name]:
            if value and any(each for _, each in _fields(value) if isinstance(value, bytes)):
                raise unknown(f"field {number} of {name}")
            continue
        field, _, inner = TABLE[name][number].replace("^", "^:").partition(":")
        key = field.rstrip("*#?{}-=^")
        if field.endswith("^"):
            read |= _message(value, inner)
        elif field.endswith(("{}", "-", "=")):
            read.setdefault(key, {}).update([_entry(value, field[-1])])
        else:
            held = _value(value, field, inner)
            if "*" in field:
                read.setdefault(key, []).append(held)
            elif held != "":
                read[key] = held
    return read


def _value(value: Any, field: str, inner: str) -> Any:
    if inner:
        return dict(_fields(value))[1].decode() if inner == "Quantity" else _message(value, inner)
    return bool(value) if field.endswith("?") else value if field.endswith("#") else value.decode()


def _entry(content: bytes, how: str) -> tuple[str, str]:
    parts = dict(_fields(content))
    value = parts.get(2, b"")
    if how == "-":
        value = base64.b64encode(value)
    elif how == "=":
        value = dict(_fields(value))[1]
    return parts.get(1, b"").decode(), value.decode()
