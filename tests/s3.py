"""A server that speaks S3's protocol, on loopback."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from moto.server import ThreadedMotoServer


@contextmanager
def serving(*buckets: str, address: str = "127.0.0.1") -> Iterator[dict[str, str]]:
    """Serve empty buckets of these names; yields the environment by which programs reach them."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address=address, port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    reach = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",  # pragma: allowlist secret
        "AWS_REGION": "us-east-1",
    }
    try:
        client = boto3.client(
            "s3",
            endpoint_url=reach["AWS_ENDPOINT_URL"],
            aws_access_key_id="tests",
            aws_secret_access_key="tests",  # pragma: allowlist secret
            region_name="us-east-1",
        )
        for bucket in buckets:
            client.create_bucket(Bucket=bucket)
        yield reach
    finally:
        server.stop()
