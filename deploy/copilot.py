"""`python -m deploy.copilot`: writes copilot/ from deploy/sizes.yaml."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from deploy import metrics
from deploy.firewall import web_acl
from deploy.sizes import HEALTH_PORT, SMALLEST_DISK, Job, Service, Size, Sizes

ROOT: Final = Path(__file__).parents[1] / "copilot"
_HEAD: Final = "# Written by `make deploy-files` from deploy/sizes.yaml; change that.\n"
_HOME: Final = "/var/lib/highlights"
_SCRATCH: Final = "/tmp"  # noqa: S108 - of a container
_ENVIRONMENT_STACK: Final = "${AppName}-${EnvName}"
_READ_ONLY_SIDECAR: Final = {
    "op": "add",
    "path": "/Resources/TaskDefinition/Properties/ContainerDefinitions/1/ReadonlyRootFilesystem",
    "value": True,
}
_FOOT: Final = {"App": {"Type": "String"}, "Env": {"Type": "String"}}


def files(sizes: Sizes) -> dict[str, str]:
    """Return the text of each file, by its path below copilot/."""
    written = {".workspace": f"application: {sizes.application}\n"}
    for env in sizes.environments:
        written[f"environments/{env}/manifest.yml"] = _text(_environment(env))
    written["environments/addons/platform.yml"] = _text(_environment_addon(sizes))
    written["environments/addons/addons.parameters.yml"] = _HEAD + (
        "Parameters:\n  EnvironmentSecurityGroup: !Ref EnvironmentSecurityGroup\n"
    )
    for name, service in sizes.services.items():
        written[f"{name}/manifest.yml"] = _text(_service(sizes, name, service))
        written[f"{name}/addons/stores.yml"] = _text(_stores(sizes, has_metrics=True))
        written[f"{name}/overrides/cfn.patches.yml"] = _text(_patches(sizes, service))
    for name, job in sizes.jobs.items():
        written[f"{name}/manifest.yml"] = _text(_job(sizes, name, job))
        if job.uses_servers:
            written[f"{name}/addons/stores.yml"] = _text(_stores(sizes, has_metrics=False))
    return written


def _text(value: object) -> str:
    # Round trip through JSON: no anchors for what occurs twice.
    plain = json.loads(json.dumps(value))
    return _HEAD + yaml.safe_dump(plain, sort_keys=False, width=100)


def _environment(env: str) -> dict[str, Any]:
    subnets = {
        kind: [{"id": f"${{PLATFORM_{kind.upper()}_SUBNET_{zone}}}"} for zone in "AB"]
        for kind in ("public", "private")
    }
    return {
        "name": env,
        "type": "Environment",
        "network": {"vpc": {"id": "${PLATFORM_VPC_ID}", "subnets": subnets}},
        "http": {"public": {"certificates": ["${CERTIFICATE_ARN}"]}},
        "observability": {"container_insights": True},
    }


def _container(sizes: Sizes, size: Size, image: str, name: str) -> dict[str, Any]:
    overrides: dict[str, Any] = {}
    for env in sizes.environments:
        overrides[env] = {
            "variables": sizes.literal_variables(env, name),
            "secrets": {
                each: sizes.secret_parameter(env, each) for each in sizes.secret_names(env, name)
            },
        }
    return {
        "image": {"build": {"dockerfile": "Dockerfile", "target": image, "context": "."}},
        "platform": "linux/x86_64",
        "cpu": size.cpu,
        "memory": size.memory,
        "storage": {
            "readonly_fs": True,
            **({"ephemeral": size.disk} if size.disk > SMALLEST_DISK else {}),
            "volumes": {
                volume: {"path": path, "read_only": False}
                for volume, path in (("home", _HOME), ("scratch", _SCRATCH))
            },
        },
        "environments": overrides,
    }


def _service(sizes: Sizes, name: str, service: Service) -> dict[str, Any]:
    container = _container(sizes, service, service.image, name)
    for env, (low, high) in service.count.items():
        container["environments"][env]["count"] = {
            "range": f"{low}-{high}",
            "cpu_percentage": service.cpu_target,
        }
    overrides = container.pop("environments")
    manifest = {"name": name, "type": "Backend Service", **container}
    manifest["network"] = {"vpc": {"placement": "private"}}
    if service.port is not None:
        manifest["type"] = "Load Balanced Web Service"
        manifest["image"]["port"] = service.port
        manifest["http"] = {
            "path": "/",
            "healthcheck": {"path": "/healthz", "interval": "10s", "grace_period": "60s"},
            "deregistration_delay": "30s",
        }
    manifest["image"]["healthcheck"] = {
        "command": ["CMD", "python", "-m", "app.health", _health_url(service)],
        "interval": "10s",
        "timeout": "5s",
        "retries": 3,
        "start_period": "60s",
    }
    for env in sizes.environments:
        overrides[env]["sidecars"] = {metrics.NAME: {"variables": _collected(sizes, env)}}
    manifest["sidecars"] = {
        metrics.NAME: {
            "image": sizes.metrics.image,
            "essential": False,
            # Copilot writes each part into YAML as it is, so it is quoted here.
            "entrypoint": [json.dumps(each) for each in metrics.entry_point(sizes, service)],
            "mount_points": [
                {"source_volume": "scratch", "path": metrics.SCRATCH, "read_only": False}
            ],
        }
    }
    manifest["environments"] = overrides
    return manifest


def _collected(sizes: Sizes, env: str) -> dict[str, Any]:
    export = sizes.imports["PrometheusWriteUrl"].format(env=env)
    return {metrics.WRITE_URL: {"from_cfn": export}}


def _health_url(service: Service) -> str:
    return f"http://127.0.0.1:{service.port or HEALTH_PORT}/healthz"


def _job(sizes: Sizes, name: str, job: Job) -> dict[str, Any]:
    container = _container(sizes, job, "api", name)
    overrides = container.pop("environments")
    return {
        "name": name,
        "type": "Scheduled Job",
        "on": {"schedule": "none"},
        "timeout": "1h",
        "retries": 0,
        **container,
        "network": {"vpc": {"placement": "private"}},
        "command": list(job.command),
        "environments": overrides,
    }


def imported(name: str) -> dict[str, Any]:
    """Return a reference to an export of the platform; `name` has {env} for the environment."""
    return {"Fn::ImportValue": {"Fn::Sub": name.replace("{env}", "${Env}")}}


def _stores(sizes: Sizes, *, has_metrics: bool) -> dict[str, Any]:
    bucket = imported(sizes.imports["MediaBucket"])
    arn = {"Fn::Sub": ["arn:${AWS::Partition}:s3:::${Bucket}", {"Bucket": bucket}]}
    objects = {"Fn::Sub": ["arn:${AWS::Partition}:s3:::${Bucket}/*", {"Bucket": bucket}]}
    workspace = imported(sizes.imports["PrometheusWorkspaceArn"])
    written = [_allow(list(sizes.metrics.actions), workspace)] if has_metrics else []
    return {
        "Parameters": {**_FOOT, "Name": {"Type": "String"}},
        "Resources": {
            "StoresPolicy": {
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {
                    "Description": {"Fn::Sub": "Media and metrics, for ${App}-${Env}-${Name}"},
                    "PolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [
                            _allow(list(sizes.bucket_actions), arn),
                            _allow(list(sizes.object_actions), objects),
                            *written,
                        ],
                    },
                },
            }
        },
        "Outputs": {
            # Copilot attaches the policy to the task's role, and makes variables of the others.
            "StoresPolicyArn": {"Value": {"Ref": "StoresPolicy"}},
            **{
                _camel(variable): {"Value": _composed(sizes, text)}
                for variable, text in sizes.imported_variables.items()
            },
        },
    }


def _allow(actions: list[str], resource: object) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource}


def _camel(variable: str) -> str:
    return "".join(part.capitalize() for part in variable.split("_"))


def _composed(sizes: Sizes, text: str) -> object:
    """Return `text`, whose {names} are imports, as an expression."""
    names = re.findall(r"\{(\w+)\}", text)
    values = {name: imported(sizes.imports[name]) for name in names}
    if text == f"{{{names[0]}}}":
        return values[names[0]]
    return {"Fn::Sub": [re.sub(r"\{(\w+)\}", r"${\1}", text), values]}


def _environment_addon(sizes: Sizes) -> dict[str, Any]:
    # The addon is one file for all environments, so its names hold the parameter Env.
    resources: Mapping[str, Any] = web_acl(sizes, "ENV")
    resources = json.loads(json.dumps(resources))
    for each in resources.values():
        each["Properties"]["Name"] = {
            "Fn::Sub": each["Properties"]["Name"].replace("ENV", "${Env}")
        }
    ingress = {
        f"{name}Ingress": {
            "Type": "AWS::EC2::SecurityGroupIngress",
            "Properties": {
                "Description": {"Fn::Sub": "${App} ${Env}"},
                "GroupId": imported(sizes.imports[name]),
                "IpProtocol": "tcp",
                "FromPort": port,
                "ToPort": port,
                "SourceSecurityGroupId": {"Ref": "EnvironmentSecurityGroup"},
            },
        }
        for name, port in sizes.ports.items()
    }
    values = {
        "WebAclArn": {"Fn::GetAtt": ["WebAcl", "Arn"]},
        "ApiEndpoint": {"Fn::Sub": sizes.api_endpoint("${Env}").replace("highlights", "${App}")},
    }
    return {
        "Parameters": {**_FOOT, "EnvironmentSecurityGroup": {"Type": "String"}},
        "Resources": {**resources, **ingress},
        "Outputs": {
            name: {
                "Value": values[name],
                "Export": {"Name": {"Fn::Sub": export.replace("{env}", "${Env}")}},
            }
            for name, export in sizes.exports.items()
        },
    }


def backlog_policy(
    sizes: Sizes, service: Service, env: object, target: dict[str, Any]
) -> dict[str, Any]:
    """Return the scaling policy that follows the backlog of a worker's task queue."""
    return {
        "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
        "Properties": {
            "PolicyName": f"{sizes.application}-{service.queue}-backlog",
            "PolicyType": "TargetTrackingScaling",
            "ScalingTargetId": target,
            "TargetTrackingScalingPolicyConfiguration": {
                "CustomizedMetricSpecification": {
                    "Namespace": "Highlights",
                    "MetricName": "task_queue_backlog",
                    "Statistic": "Average",
                    "Dimensions": [
                        {"Name": "environment", "Value": env},
                        {"Name": "task_queue", "Value": service.queue},
                    ],
                },
                "TargetValue": service.backlog_target,
                "ScaleOutCooldown": 60,
                "ScaleInCooldown": 600,
            },
        },
    }


def _patches(sizes: Sizes, service: Service) -> list[dict[str, Any]]:
    if service.queue is None:
        balancer = (
            "arn:${AWS::Partition}:elasticloadbalancing:${AWS::Region}:${AWS::AccountId}:"
            "loadbalancer/${Name}"
        )
        name = {"Fn::ImportValue": {"Fn::Sub": f"{_ENVIRONMENT_STACK}-PublicLoadBalancerFullName"}}
        acl = sizes.exports["WebAclArn"].replace("{env}", "${EnvName}")
        association = {
            "Type": "AWS::WAFv2::WebACLAssociation",
            "Properties": {
                "ResourceArn": {"Fn::Sub": [balancer, {"Name": name}]},
                "WebACLArn": {"Fn::ImportValue": {"Fn::Sub": acl}},
            },
        }
        return [
            {"op": "add", "path": "/Resources/FirewallAssociation", "value": association},
            _READ_ONLY_SIDECAR,
        ]
    policy = backlog_policy(sizes, service, {"Ref": "EnvName"}, {"Ref": "AutoScalingTarget"})
    stop = "/Resources/TaskDefinition/Properties/ContainerDefinitions/0/StopTimeout"
    return [
        {"op": "add", "path": "/Resources/BacklogScalingPolicy", "value": policy},
        {"op": "add", "path": stop, "value": 120},
        _READ_ONLY_SIDECAR,
    ]


def main() -> None:
    """Replace what is below copilot/, except its README.md."""
    for each in ROOT.iterdir():
        if each.is_dir():
            shutil.rmtree(each)
    for path, text in files(Sizes.read()).items():
        target = ROOT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
