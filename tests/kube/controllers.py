"""The controllers of CronJobs and Jobs."""

import copy
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from . import cron
from .fields import at
from .kinds import Object
from .loop import Loop
from .owners import Gone, create, reference
from .store import Store, moment, stamp, suffix

INDEX = "batch.kubernetes.io/job-completion-index"
LONGEST = 600  # seconds that a failed pod is not replaced, at most
OVER = ("Succeeded", "Failed")


@dataclass
class Attempt:
    """A pod of a job, remembered when the pod is gone."""

    index: int = 0
    outcome: str = ""
    action: str = ""  # of the job's podFailurePolicy
    ended: datetime | None = None


class Controllers(Loop):
    """Both controllers."""

    def __init__(self, store: Store, backoff: float) -> None:
        super().__init__(store)
        self.backoff = backoff
        self.attempts: dict[str, dict[str, Attempt]] = {}

    def look(self) -> None:
        """Make the jobs that are due, and the pods that jobs want."""
        for kind, control in (("CronJob", self.cron_job), ("Job", self.job)):
            for thing in self.store.all(kind):
                if "deletionTimestamp" not in thing["metadata"]:
                    with suppress(Gone):
                        control(thing)

    def cron_job(self, it: Object) -> None:
        """Make a CronJob's job when its moment comes, and remove its old ones."""
        spec, status, now = it["spec"], it["status"], self.store.clock.now()
        jobs = {job["metadata"]["uid"]: job for job in self.store.owned_by(it, "Job")}
        known = [jobs[ref["uid"]] for ref in status.get("active", []) if ref["uid"] in jobs]
        active = [job for job in known if not ended(job)]
        done = [job["status"]["completionTime"] for job in known if ended(job) == "Complete"]
        self._forget(it, list(jobs.values()))
        last = status.get("lastScheduleTime")
        since = moment(last or it["metadata"]["creationTimestamp"])
        if "startingDeadlineSeconds" in spec:
            since = max(since, now - timedelta(seconds=spec["startingDeadlineSeconds"]))
        due = cron.latest(spec["schedule"], spec.get("timeZone", ""), now)
        waits = spec["suspend"] or (active and spec["concurrencyPolicy"] == "Forbid")
        if due > since and not waits:
            if spec["concurrencyPolicy"] == "Replace":
                for job in active:
                    self.store.delete(job)
                active = []
            made = create(self.store, it, new_job(it, due))
            active += [made] if made else []
            last = stamp(due)
        told = [reference(job) for job in active] or None
        self.store.set_status(
            it, active=told, lastScheduleTime=last, **({"lastSuccessfulTime": max(done)} if done else {})
        )

    def _forget(self, it: Object, jobs: list[Object]) -> None:
        for outcome, limit in (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
            old = sorted(
                (job for job in jobs if ended(job) == outcome), key=lambda job: str(job["status"]["startTime"])
            )
            for job in old[: max(0, len(old) - it["spec"][limit])]:
                self.store.delete(job)

    def job(self, it: Object) -> None:
        """Make a job's pods, and say how it goes."""
        spec, now = it["spec"], self.store.clock.now()
        if ended(it):
            finished = max(moment(each["lastTransitionTime"]) for each in it["status"]["conditions"])
            if now >= finished + timedelta(seconds=spec.get("ttlSecondsAfterFinished", 10**9)):
                self.store.delete(it, "Foreground")
            return
        pods = self.store.owned_by(it, "Pod")
        attempts = self._attempts(it, pods)
        active = [pod for pod in pods if not attempts[pod["metadata"]["uid"]].outcome]
        if spec["suspend"]:
            self._end(active, attempts, "Gone")
            self._tell(it, pods, attempts, conditions=holding(it, ("Suspended",), "JobSuspended", now))
            return
        if "startTime" not in it["status"] or at(it, "status.conditions"):
            begun = {} if any(each["type"] == "FailureTarget" for each in conditions(it)) else {"conditions": None}
            self.store.set_status(it, startTime=it["status"].get("startTime", stamp(now)), **begun)
        if why := self._failure(it, attempts, now):
            alive = [pod for pod in pods if at(pod, "status.phase") not in OVER]
            self._end(alive, attempts, "Failed")
            words = ("FailureTarget",) if alive else ("FailureTarget", "Failed")
            self._tell(it, pods, attempts, conditions=holding(it, words, why, now))
        elif len(succeeded(it, attempts)) >= spec["completions"]:
            met = holding(it, ("SuccessCriteriaMet", "Complete"), "CompletionsReached", now)
            self._tell(it, pods, attempts, conditions=met, completionTime=stamp(now))
        else:
            self._end(active[spec["parallelism"] :], attempts, "Gone")
            for index in self._wanted(it, attempts, now)[: max(0, spec["parallelism"] - len(active))]:
                create(self.store, it, new_pod(it, index, attempts))
            self._tell(it, pods, attempts)

    def _attempts(self, it: Object, pods: list[Object]) -> dict[str, Attempt]:
        attempts = self.attempts.setdefault(it["metadata"]["uid"], {})
        there = {pod["metadata"]["uid"]: pod for pod in pods}
        for uid, pod in there.items():
            attempts.setdefault(uid, Attempt(int(at(pod, ("metadata", "annotations", INDEX), "0"))))
        for uid, attempt in attempts.items():
            phase = at(there.get(uid), "status.phase", "Failed")
            early = it["spec"]["podReplacementPolicy"] == "TerminatingOrFailed"
            if phase not in OVER and early and at(there[uid], "metadata.deletionTimestamp"):
                phase = "Failed"
            if phase in OVER and not attempt.outcome:
                attempt.outcome, attempt.ended = phase, self.store.clock.now()
                attempt.action = action(it, there.get(uid)) if phase == "Failed" else ""
                attempt.outcome = "Gone" if attempt.action == "Ignore" else phase
        return attempts

    def _end(self, pods: list[Object], attempts: dict[str, Attempt], outcome: str) -> None:
        for pod in pods:
            attempt = attempts[pod["metadata"]["uid"]]
            attempt.outcome, attempt.ended = attempt.outcome or outcome, attempt.ended or self.store.clock.now()
            if self.store.current(pod):
                self.store.delete(pod)

    def _failure(self, it: Object, attempts: dict[str, Attempt], now: datetime) -> str:
        spec, failed = it["spec"], failed_indexes(it, attempts)
        for each in conditions(it):
            if each["type"] == "FailureTarget":
                return str(each["reason"])
        begun = moment(it["status"].get("startTime", stamp(now)))
        if now >= begun + timedelta(seconds=spec.get("activeDeadlineSeconds", 10**9)):
            return "DeadlineExceeded"
        if any(each.action == "FailJob" for each in attempts.values()):
            return "PodFailurePolicy"
        if sum(each.outcome == "Failed" for each in attempts.values()) > spec["backoffLimit"]:
            return "BackoffLimitExceeded"
        if len(failed) > spec.get("maxFailedIndexes", spec["completions"]):
            return "MaxFailedIndexesExceeded"
        over = len(failed | succeeded(it, attempts)) >= spec["completions"]
        return "FailedIndexes" if failed and over else ""

    def _wanted(self, it: Object, attempts: dict[str, Attempt], now: datetime) -> list[int]:
        """Of which index a pod may begin now; of a job without indexes, as many zeros."""
        spec, good = it["spec"], succeeded(it, attempts)
        running = [each.index for each in attempts.values() if not each.outcome]
        if spec["completionMode"] != "Indexed":
            wanted = [0] * max(0, spec["completions"] - len(good) - len(running))
        else:
            over = {*good, *running, *failed_indexes(it, attempts)}
            wanted = [index for index in range(spec["completions"]) if index not in over]
        each_alone = "backoffLimitPerIndex" in spec
        return [index for index in wanted if self._may_begin(attempts, index if each_alone else None, now)]

    def _may_begin(self, attempts: dict[str, Attempt], index: int | None, now: datetime) -> bool:
        ends = [
            each for each in attempts.values() if each.ended and each.outcome in OVER and index in (None, each.index)
        ]
        ends.sort(key=lambda each: each.ended or now)
        row = 0
        for each in ends:
            row = row + 1 if each.outcome == "Failed" else 0
        wait = timedelta(seconds=min(self.backoff * 2 ** (row - 1), LONGEST))
        return row == 0 or now >= (ends[-1].ended or now) + wait

    def _tell(self, it: Object, pods: list[Object], attempts: dict[str, Attempt], **more: Any) -> None:
        phases = [at(pod, "status.phase") for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        outcomes = [each.outcome for each in attempts.values()]
        told: Object = {"active": outcomes.count(""), "ready": phases.count("Running")}
        told |= {"succeeded": outcomes.count("Succeeded") or None, "failed": outcomes.count("Failed") or None}
        if it["spec"]["completionMode"] == "Indexed":
            told["completedIndexes"] = ranges(succeeded(it, attempts)) or None
        if "backoffLimitPerIndex" in it["spec"]:
            told["failedIndexes"] = ranges(failed_indexes(it, attempts))
        terminating = sum(
            "deletionTimestamp" in pod["metadata"] and at(pod, "status.phase") not in OVER for pod in pods
        )
        self.store.set_status(it, **told, terminating=terminating, uncountedTerminatedPods={}, **more)


def conditions(job: Object) -> list[Object]:
    """A job's conditions."""
    found: list[Object] = at(job, "status.conditions", [])
    return found


def ended(job: Object) -> str:
    """Complete or Failed, or empty while a job goes on."""
    return next((str(each["type"]) for each in conditions(job) if each["type"] in ("Complete", "Failed")), "")


def holding(job: Object, words: tuple[str, ...], reason: str, now: datetime) -> list[Object]:
    """A job's conditions when these hold; those that held before stay as they are."""
    told = {"status": "True", "reason": reason, "message": MESSAGES[reason]}
    told |= {"lastProbeTime": stamp(now), "lastTransitionTime": stamp(now)}
    before = {each["type"]: each for each in conditions(job)}
    return [before.get(word, {"type": word, **told}) for word in words]


MESSAGES = {
    "BackoffLimitExceeded": "Job has reached the specified backoff limit",
    "CompletionsReached": "Reached expected number of succeeded pods",
    "DeadlineExceeded": "Job was active longer than specified deadline",
    "FailedIndexes": "Job has failed indexes",
    "JobSuspended": "Job suspended",
    "PodFailurePolicy": "A container failed with an exit code that matches a FailJob rule",
    "MaxFailedIndexesExceeded": "Job has exceeded the specified maximal number of failed indexes",
}


def succeeded(it: Object, attempts: dict[str, Attempt]) -> set[Any]:
    """The indexes that a pod has succeeded for; of a job without indexes, the pods."""
    good = {uid: each.index for uid, each in attempts.items() if each.outcome == "Succeeded"}
    return set(good.values()) if it["spec"]["completionMode"] == "Indexed" else set(good)


def failed_indexes(it: Object, attempts: dict[str, Attempt]) -> set[int]:
    """The indexes that are not tried again."""
    failed = [each.index for each in attempts.values() if each.outcome == "Failed"]
    limit = it["spec"].get("backoffLimitPerIndex", len(failed))
    at_once = {each.index for each in attempts.values() if each.action == "FailIndex"}
    return at_once | {index for index in failed if failed.count(index) > limit}


def action(job: Object, pod: Object | None) -> str:
    """What a job's podFailurePolicy does about a pod that failed."""
    ends = [*at(pod, "status.initContainerStatuses", []), *at(pod, "status.containerStatuses", [])]
    codes = {code for code in (at(each, "state.terminated.exitCode", 0) for each in ends) if code}
    for rule in at(job, "spec.podFailurePolicy.rules", []):
        values = set(rule["onExitCodes"]["values"])
        if codes & values if rule["onExitCodes"]["operator"] == "In" else codes - values:
            return str(rule["action"])
    return ""


def ranges(indexes: set[int]) -> str:
    """Indexes as a job's status has them, three or more in a row by the first and the last: 0,2-4."""
    rows: list[list[int]] = []
    for index in sorted(indexes):
        if rows and rows[-1][-1] == index - 1:
            rows[-1].append(index)
        else:
            rows.append([index])
    return ",".join(f"{row[0]}-{row[-1]}" if len(row) > 2 else ",".join(map(str, row)) for row in rows)


def new_job(it: Object, due: datetime) -> Object:
    """The job of a CronJob's moment."""
    template = copy.deepcopy(it["spec"]["jobTemplate"])
    made = template.get("metadata") or {}
    minutes = int(due.timestamp()) // 60
    annotations = at(made, "annotations", {}) | {"batch.kubernetes.io/cronjob-scheduled-timestamp": due.isoformat()}
    metadata = {"name": f"{it['metadata']['name']}-{minutes}", "namespace": it["metadata"]["namespace"]}
    metadata |= {"labels": at(made, "labels", {}), "annotations": annotations}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]}


def new_pod(it: Object, index: int, attempts: dict[str, Attempt]) -> Object:
    """A job's pod, of an index if the job has them."""
    template, name = copy.deepcopy(it["spec"]["template"]), it["metadata"]["name"]
    metadata, spec = template["metadata"], template["spec"]
    base = f"{name}-"
    if it["spec"]["completionMode"] == "Indexed":
        base = f"{name}-{index}-"
        spec["hostname"] = base[:-1]
        metadata["labels"][INDEX] = str(index)
        metadata["annotations"] = at(metadata, "annotations", {}) | {INDEX: str(index)}
        if "backoffLimitPerIndex" in it["spec"]:
            failed = sum(each.outcome == "Failed" and each.index == index for each in attempts.values())
            metadata["annotations"]["batch.kubernetes.io/job-index-failure-count"] = str(failed)
        source = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}}
        for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
            container.setdefault("env", []).append({"name": "JOB_COMPLETION_INDEX", "valueFrom": source})
    place = {"name": base[:58] + suffix(), "namespace": it["metadata"]["namespace"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata | place, "spec": spec}
