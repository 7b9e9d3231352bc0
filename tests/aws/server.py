"""moto's server with what Metaflow needs beyond it, as AWS has it: server.py -H HOST -p PORT.

An emulator, patched. Of Step Functions: the case of Batch's parameters, a name for an execution that is given none, an
OutputPath that keeps several fields, and no second state machine under a name. Of Batch: a job's retries, and the
variables of its container.
"""

import json
import os
import re
import sys
import uuid
from typing import Any

import boto3
from moto.batch import models
from moto.batch.responses import BatchResponse
from moto.server import main
from moto.stepfunctions.exceptions import AWSError
from moto.stepfunctions.parser.asl.component.common.string import string_expression
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_factory as factory
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

# What AWS gives a container by its role.
GIVEN = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")

create = StepFunctionsParserBackend.create_state_machine
begin = StepFunctionsParserBackend.start_execution
extract = string_expression.extract_json
submit = BatchResponse.submitjob


class Task(factory.StateTaskServiceBatch):
    """A state that is a Batch job: its parameters begin with capitals, and those of Batch's API do not."""

    def _operation(self, action: str | None) -> Any:
        wanted = (action or self.resource.api_action).replace("_", "").lower()
        service = boto3.client("batch").meta.service_model
        return next(service.operation_model(name) for name in service.operation_names if name.lower() == wanted)

    def _normalise_parameters(self, parameters: Any, _: Any = None, service_action_name: str | None = None) -> None:
        self._to_boto_request(parameters, self._operation(service_action_name).input_shape)

    def _normalise_response(self, response: Any, _: Any = None, service_action_name: str | None = None) -> None:
        self._from_boto_response(response, self._operation(service_action_name).output_shape)


class Job(models.Job):
    """A job that is tried again, as often as it was submitted to be, and tells its container which attempt it is."""

    __module__ = models.__name__  # by which moto knows the service

    tries = 1
    again = True

    def run(self) -> None:
        while self.again:
            self.again = False
            super().run()

    def _mark_stopped(self, success: bool = True) -> None:
        self.again = self.again or not (success or self.stop or len(self.attempts) >= self.tries)
        if not self.again:
            super()._mark_stopped(success)

    def _get_container_property(self, p: str, default: Any) -> Any:
        found = super()._get_container_property(p, default)
        if p != "environment":
            return found
        told = {
            "AWS_BATCH_CE_NAME": "containers",
            "AWS_BATCH_JOB_ATTEMPT": str(len(self.attempts) + 1),
            "AWS_BATCH_JQ_NAME": self.job_queue.name,
            "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE",
        }
        told |= {name: os.environ[name] for name in GIVEN}
        return [*found, *({"name": name, "value": value} for name, value in told.items())]


class AlreadyThere(AWSError):
    """Another state machine has that name."""

    TYPE = "StateMachineAlreadyExists"
    STATUS = 400


def submitjob(self: BatchResponse) -> str:
    answer: str = submit(self)
    strategy = self._get_param("retryStrategy") or {}
    self.batch_backend._jobs[json.loads(answer)["jobId"]].tries = strategy.get("attempts", 1)
    return answer


def create_state_machine(self: StepFunctionsParserBackend, definition: str, **given: Any) -> Any:
    made = create(self, definition=definition, **given)
    if made.definition != definition:
        raise AlreadyThere(f"State Machine Already Exists: '{made.arn}'")
    return made


def start_execution(self: StepFunctionsParserBackend, state_machine_arn: str, name: str | None, *given: Any) -> Any:
    return begin(self, state_machine_arn, name or str(uuid.uuid4()), *given)


def extract_json(path: str, data: Any) -> Any:
    if not re.fullmatch(r"\$\.?\['\w+'(, *'\w+')+\]", path):
        return extract(path, data)
    return {name: data[name] for name in re.findall(r"'(\w+)'", path) if name in data}


factory.StateTaskServiceBatch = Task
models.Job = Job
BatchResponse.submitjob = submitjob
StepFunctionsParserBackend.create_state_machine = create_state_machine
StepFunctionsParserBackend.start_execution = start_execution
string_expression.extract_json = extract_json

if __name__ == "__main__":
    main(sys.argv[1:])
