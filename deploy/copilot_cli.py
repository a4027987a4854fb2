"""Runs the Copilot CLI against moto, an AWS API in this process, and returns what it renders.

Only in the environment of requirements-deploy.lock. What moto cannot do is put into its stores by
hand, as `copilot app init`, `env init` and `svc init` would leave it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from ssl import SSLSocket
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, Final

import yaml
from moto.backends import get_backend
from moto.moto_proxy import logger
from moto.moto_proxy.proxy3 import CertificateCreator, ProxyRequestHandler

from deploy.sizes import Sizes

REGION: Final = "eu-central-1"
ACCOUNT: Final = "123456789012"
_TIMEOUT: Final = 120.0
_TEMPLATE_VERSION: Final = "v1.34.1"
_FEATURES: Final = (
    *("ALBWorkloads", "Aliases", "AppRunnerPrivateWorkloads", "EFSWorkloads"),
    *("InternalALBWorkloads", "NATWorkloads"),
)
# What an operator exports before `copilot env deploy` (docs/deploy.md).
INPUTS: Final = {
    "PLATFORM_VPC_ID": "vpc-0123456789abcdef0",
    "PLATFORM_PUBLIC_SUBNET_A": "subnet-0123456789abcdef0",
    "PLATFORM_PUBLIC_SUBNET_B": "subnet-0123456789abcdef1",
    "PLATFORM_PRIVATE_SUBNET_A": "subnet-0123456789abcdef2",
    "PLATFORM_PRIVATE_SUBNET_B": "subnet-0123456789abcdef3",
    "CERTIFICATE_ARN": f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/0f0f0f0f",
}


def render(sizes: Sizes, target: Path) -> None:
    """Write the template of each environment and service to `target`.

    Raises:
        subprocess.CalledProcessError: Copilot refuses a manifest; its words are on stderr.
    """
    with _aws() as variables, TemporaryDirectory() as home:
        _register(sizes)
        for env in sizes.environments:
            argv = ["env", "package", "--name", env]
            _copilot(argv, target, {**variables, "HOME": home})
            for name in sizes.services:
                argv = ["svc", "package", "--name", name, "--env", env, "--tag", "v1"]
                _copilot(argv, target, {**variables, "HOME": home})
            for name in sizes.jobs:
                argv = ["job", "package", "--name", name, "--env", env, "--tag", "v1"]
                _copilot(argv, target, {**variables, "HOME": home})


def _copilot(argv: list[str], target: Path, environment: dict[str, str]) -> None:
    program = Path(sys.executable).with_name("copilot")
    done = subprocess.run(
        [str(program), *argv, "--output-dir", str(target)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(f"copilot {' '.join(argv)}\n{done.stdout}{done.stderr}")
        done.check_returncode()


class _Proxy(ProxyRequestHandler):
    """Says that it closes each connection, so that no client sends a second request on one."""

    timeout = int(_TIMEOUT)

    def end_headers(self) -> None:
        """End the headers of a response."""
        if isinstance(self.connection, SSLSocket):
            self.send_header("Connection", "close")
        super().end_headers()


@contextmanager
def _aws() -> Iterator[dict[str, str]]:
    """Serve the AWS API as an HTTPS proxy; yield the variables that lead programs to it."""
    logger.setLevel("CRITICAL")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Proxy)
    port = server.server_address[1]
    credentials = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    os.environ.update(credentials, MOTO_PORT=str(port), TEST_PROXY_MODE="true")
    _Proxy.validate()
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield {
            **INPUTS,
            **credentials,
            "PATH": os.environ["PATH"],
            "HTTPS_PROXY": f"http://127.0.0.1:{port}",
            "AWS_CA_BUNDLE": CertificateCreator.cacert,
            "CI": "true",
        }
    finally:
        server.shutdown()


def _register(sizes: Sizes) -> None:
    app = sizes.application
    _put(app, {"name": app, "account": ACCOUNT, "version": "1.0"})
    for env in sizes.environments:
        roles = {
            f"{kind}RoleARN": f"arn:aws:iam::{ACCOUNT}:role/{app}-{env}-{role}"
            for kind, role in (("execution", "CFNExecutionRole"), ("manager", "EnvManagerRole"))
        }
        place = {"app": app, "name": env, "region": REGION, "accountID": ACCOUNT}
        _put(f"{app}/environments/{env}", {**place, **roles})
        _stack(
            f"{app}-{env}",
            {
                "Metadata": {"Version": _TEMPLATE_VERSION},
                "Parameters": {each: {"Type": "String", "Default": ""} for each in _FEATURES},
            },
            tags={"copilot-application": app, "copilot-environment": env},
        )
    for name, service in sizes.services.items():
        kind = "Load Balanced Web Service" if service.port else "Backend Service"
        _put(f"{app}/components/{name}", {"app": app, "name": name, "type": kind})
    for name in sizes.jobs:
        _put(f"{app}/components/{name}", {"app": app, "name": name, "type": "Scheduled Job"})
    _register_resources(sizes)


def _register_resources(sizes: Sizes) -> None:
    """Make the stack set of keys, bucket and image repositories, with its instance."""
    app = sizes.application
    repositories = {
        f"ECRRepo{name.replace('-', 'DASH')}": {
            "Value": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{app}/{name}"
        }
        for name in (*sizes.services, *sizes.jobs)
    }
    template = {
        "Metadata": {"TemplateVersion": _TEMPLATE_VERSION, "Version": 1},
        "Outputs": {
            "KMSKeyARN": {"Value": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0f0f0f0f"},
            "PipelineBucket": {"Value": f"{app}-artifacts"},
            **repositories,
        },
    }
    name = f"{app}-infrastructure"
    stacks = get_backend("cloudformation")[ACCOUNT][REGION]
    stacks.create_stack_set(
        name=name,
        template=json.dumps({**template, "Resources": _placeholder(f"{name}-set")}),
        parameters={},
        tags={"copilot-application": app},
        permission_model="SELF_MANAGED",
        admin_role=None,
        exec_role=None,
        description=None,
    )
    stacks.create_stack_instances(name, [ACCOUNT], [REGION], [], None)
    # moto names another stack each time that it lists the instance, and none exists.
    (instance,) = stacks.describe_stack_set(name).instances.stack_instances
    listed = instance.to_dict()
    instance.to_dict = lambda: listed
    stack = _stack(f"StackSet-{name}", template, tags={"copilot-application": app})
    stack.stack_id = listed["StackId"]


def _stack(name: str, template: dict[str, Any], *, tags: dict[str, str]) -> Any:  # noqa: ANN401
    stacks = get_backend("cloudformation")[ACCOUNT][REGION]
    parameters = dict.fromkeys(template.get("Parameters", {}), "")
    text = json.dumps({**template, "Resources": _placeholder(name.lower())})
    return stacks.create_stack(name=name, template=text, parameters=parameters, tags=tags)


def _placeholder(name: str) -> dict[str, Any]:
    """Return the one resource that a stack must have."""
    return {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}}


def _put(path: str, value: dict[str, str]) -> None:
    get_backend("ssm")[ACCOUNT][REGION].put_parameter(
        name=f"/copilot/applications/{path}",
        description="",
        value=json.dumps(value),
        parameter_type="String",
        allowed_pattern="",
        keyid="",
        overwrite=True,
        tags=[],
        data_type="text",
        tier=None,
        policies=None,
    )


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms, such as `!Ref`, as their long ones."""


def _long_form(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in {"Ref", "Condition"} else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _long_form)


def load_template(path: Path) -> dict[str, Any]:
    """Read a template in YAML."""
    loaded: dict[str, Any] = yaml.load(path.read_text("utf-8"), Loader=_Loader)  # noqa: S506
    return loaded


if __name__ == "__main__":
    render(Sizes.read(), Path(sys.argv[1]))
