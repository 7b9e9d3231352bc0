"""AWS on this machine, as Metaflow uses it: moto's server, whose Batch jobs are real containers on the engine here."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
from ports import free_port

REGION = "eu-west-1"
BUCKET = "shop"


@contextmanager
def serving() -> Iterator[dict[str, str]]:
    """An account without anything in it but a bucket; yields the variables that lead there.

    The server ends with this process at the latest.
    """
    port = str(free_port())
    variables = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",  # pragma: allowlist secret
        "AWS_DEFAULT_REGION": REGION,
    }
    command = ["setpriv", "--pdeathsig=TERM", sys.executable, str(Path(__file__).with_name("server.py"))]
    env = os.environ | variables | {"MOTO_DOCKER_NETWORK_MODE": "host", "MOTO_PORT": port}
    server = subprocess.Popen([*command, "-H", "127.0.0.1", "-p", port], env=env, stderr=subprocess.DEVNULL)
    try:
        while True:
            assert server.poll() is None, "moto's server did not start"
            try:
                urlopen(f"{variables['AWS_ENDPOINT_URL']}/moto-api/", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        client(variables, "s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield variables
    finally:
        server.terminate()
        server.wait(30)


def client(variables: dict[str, str], service: str) -> Any:
    """A client of one of its services."""
    return boto3.client(
        service,
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        region_name=REGION,
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )


def equip(variables: dict[str, str]) -> dict[str, str]:
    """What the administrator of an account makes for Metaflow; returns its configuration."""
    execute = {"stepfunctions": {"execute_state_machine": True}}
    config = f"{variables['AWS_ENDPOINT_URL']}/moto-api/config"
    urlopen(Request(config, json.dumps(execute).encode(), {"Content-Type": "application/json"})).close()
    role = client(variables, "iam").create_role(RoleName="metaflow", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    network = client(variables, "ec2")
    place = {
        "type": "FARGATE",
        "maxvCpus": 16,
        "subnets": [network.describe_subnets()["Subnets"][0]["SubnetId"]],
        "securityGroupIds": [network.describe_security_groups()["SecurityGroups"][0]["GroupId"]],
    }
    batch = client(variables, "batch")
    made = batch.create_compute_environment(
        computeEnvironmentName="containers", type="MANAGED", serviceRole=role, computeResources=place
    )
    order = [{"order": 1, "computeEnvironment": made["computeEnvironmentArn"]}]
    queue = batch.create_job_queue(jobQueueName="jobs", state="ENABLED", priority=1, computeEnvironmentOrder=order)
    client(variables, "dynamodb").create_table(
        TableName="metaflow",
        KeySchema=[{"AttributeName": "pathspec", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pathspec", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return {
        "METAFLOW_BATCH_JOB_QUEUE": queue["jobQueueArn"],
        "METAFLOW_DATASTORE_SYSROOT_S3": f"s3://{BUCKET}/metaflow",
        "METAFLOW_ECS_FARGATE_EXECUTION_ROLE": role,
        "METAFLOW_ECS_S3_ACCESS_IAM_ROLE": role,
        "METAFLOW_EVENTS_SFN_ACCESS_IAM_ROLE": role,
        "METAFLOW_SFN_DYNAMO_DB_TABLE": "metaflow",
        "METAFLOW_SFN_IAM_ROLE": role,
    }
