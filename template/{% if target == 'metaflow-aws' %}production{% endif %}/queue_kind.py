"""What a job queue of AWS Batch runs on, as EC2, SPOT or FARGATE; nothing where there is no such queue.

queue_kind.py QUEUE
"""

import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError

try:
    batch = boto3.client("batch")
    for queue in batch.describe_job_queues(jobQueues=sys.argv[1:2])["jobQueues"]:
        first, *_ = sorted(queue["computeEnvironmentOrder"], key=lambda each: each["order"])
        places = batch.describe_compute_environments(computeEnvironments=[first["computeEnvironment"]])
        print(places["computeEnvironments"][0].get("computeResources", {}).get("type", "EC2"))
except (BotoCoreError, ClientError) as error:
    sys.exit(f"error: {error}")
