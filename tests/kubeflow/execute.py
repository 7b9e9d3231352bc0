"""Execute an uploaded pipeline in the place of its server, in the environment of a generated project, which has kfp.

Arguments: RUN_ID, PARAMETERS and SECRETS as JSON, and docker run's options; the pipeline is its input.
"""

import importlib
import json
import sys
import tempfile

import yaml
from google.protobuf import json_format
from kfp import dsl, local
from kfp.local import pipeline_orchestrator
from kfp.pipeline_spec import pipeline_spec_pb2

run_id, parameters, secrets, *options = sys.argv[1:]
text = sys.stdin.read().replace(dsl.PIPELINE_JOB_ID_PLACEHOLDER, run_id)  # as the server's driver does
spec = json_format.ParseDict(next(yaml.safe_load_all(text)), pipeline_spec_pb2.PipelineSpec())
sys.argv[1:] = ["name", "image", run_id, *options]
*_, given = importlib.import_module("production.graph").arguments()
given["environment"] |= json.loads(secrets)
with tempfile.TemporaryDirectory() as outputs:
    local.init(local.DockerRunner(entrypoint=[], **given), pipeline_root=outputs)
    pipeline_orchestrator.run_local_pipeline(spec, json.loads(parameters))
