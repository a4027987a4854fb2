"""`python -m deploy.stack DIRECTORY`: synthesizes the CDK app, one stack per environment.

Only in the environment of requirements-deploy.lock, with Node.js. Needs no AWS account.
"""

from __future__ import annotations

import re
import sys
from typing import Any, Final, cast

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_servicediscovery as discovery
from aws_cdk import aws_ssm as ssm
from aws_cdk import aws_wafv2 as waf
from constructs import Construct

from deploy import metrics
from deploy.firewall import web_acl
from deploy.sizes import HEALTH_PORT, SMALLEST_DISK, Service, Size, Sizes

_HOME: Final = "/var/lib/highlights"
_SCRATCH: Final = "/tmp"  # noqa: S108 - of a container
_STOP_TIMEOUT: Final = 120


class HighlightsStack(cdk.Stack):
    """API, workers and migrations of one environment, in the VPC of the shared platform."""

    def __init__(self, scope: Construct, sizes: Sizes, env: str) -> None:
        super().__init__(scope, f"{sizes.application}-{env}")
        self._sizes, self._env = sizes, env
        cdk.Tags.of(self).add("application", sizes.application)
        cdk.Tags.of(self).add("environment", env)
        self._tag = cdk.CfnParameter(self, "ImageTag", description="Tag of both images.")
        certificate = cdk.CfnParameter(
            self, "CertificateArn", description="Certificate of the public name, in ACM."
        )
        self._vpc = self._platform_vpc()
        self._group = ec2.SecurityGroup(
            self, "Services", vpc=self._vpc, description="API and workers"
        )
        for name, port in sizes.ports.items():
            group = ec2.SecurityGroup.from_security_group_id(self, name, self._imported(name))
            group.add_ingress_rule(self._group, ec2.Port.tcp(port), sizes.application)
        self._cluster = ecs.Cluster(
            self,
            "Cluster",
            vpc=self._vpc,
            container_insights_v2=ecs.ContainerInsights.ENABLED,
            default_cloud_map_namespace=ecs.CloudMapNamespaceOptions(
                name=f"{env}.{sizes.application}.local", vpc=self._vpc
            ),
        )
        self._repositories = {
            image: ecr.Repository.from_repository_name(
                self, f"{image}-repository", f"{sizes.application}/{image}"
            )
            for image in ("api", "worker")
        }
        for name, service in sizes.services.items():
            running = self._service(name, service)
            if service.port is not None:
                self._balance(running, service.port, certificate.value_as_string)
        for name, job in sizes.jobs.items():
            task = self._task(name, job, "api", command=list(job.command))
            if job.uses_servers:
                self._allow_media(task)
            cdk.CfnOutput(self, f"{name.capitalize()}Task", value=task.task_definition_arn)
        cdk.CfnOutput(self, "ServicesGroup", value=self._group.security_group_id)
        cdk.CfnOutput(self, "ClusterName", value=self._cluster.cluster_name)
        self._export("ApiEndpoint", sizes.api_endpoint(env))

    def _platform_vpc(self) -> ec2.IVpc:
        def parameter(name: str, kind: str) -> str:
            return str(cdk.CfnParameter(self, name, type=kind).value_as_string)

        subnets = {
            kind: [parameter(f"{kind}Subnet{zone}", "AWS::EC2::Subnet::Id") for zone in ("A", "B")]
            for kind in ("Public", "Private")
        }
        return ec2.Vpc.from_vpc_attributes(
            self,
            "Vpc",
            vpc_id=parameter("VpcId", "AWS::EC2::VPC::Id"),
            availability_zones=[cdk.Fn.select(each, cdk.Fn.get_azs()) for each in (0, 1)],
            public_subnet_ids=subnets["Public"],
            private_subnet_ids=subnets["Private"],
        )

    def _imported(self, name: str) -> str:
        return str(cdk.Fn.import_value(self._sizes.imports[name].format(env=self._env)))

    def _export(self, name: str, value: str) -> None:
        export = self._sizes.exports[name].format(env=self._env)
        cdk.CfnOutput(self, name, value=value, export_name=export)

    def _task(
        self, name: str, size: Size, image: str, *, command: list[str] | None = None
    ) -> ecs.FargateTaskDefinition:
        sizes, env = self._sizes, self._env
        task = ecs.FargateTaskDefinition(
            self,
            f"{name}-task",
            family=f"{sizes.application}-{env}-{name}",
            cpu=size.cpu,
            memory_limit_mib=size.memory,
            ephemeral_storage_gib=size.disk if size.disk > SMALLEST_DISK else None,
            volumes=[ecs.Volume(name="home"), ecs.Volume(name="scratch")],
        )
        variables = sizes.literal_variables(env, name)
        if sizes.uses_servers(name):
            variables |= {
                key: re.sub(r"\{(\w+)\}", lambda found: self._imported(found[1]), text)
                for key, text in sizes.imported_variables.items()
            }
        service = sizes.services.get(name)
        container = task.add_container(
            name,
            image=ecs.ContainerImage.from_ecr_repository(
                self._repositories[image], self._tag.value_as_string
            ),
            command=command,
            environment=variables,
            secrets={each: self._secret(name, each) for each in sizes.secret_names(env, name)},
            readonly_root_filesystem=True,
            stop_timeout=cdk.Duration.seconds(_STOP_TIMEOUT) if service else None,
            logging=ecs.LogDriver.aws_logs(
                stream_prefix=name,
                log_group=logs.LogGroup(
                    self, f"{name}-logs", retention=logs.RetentionDays.ONE_MONTH
                ),
            ),
            health_check=self._health_check(service) if service else None,
            port_mappings=(
                [ecs.PortMapping(container_port=service.port)] if service and service.port else None
            ),
        )
        for volume, path in (("home", _HOME), ("scratch", _SCRATCH)):
            container.add_mount_points(
                ecs.MountPoint(source_volume=volume, container_path=path, read_only=False)
            )
        if service is not None:
            self._collect(name, service, task)
        return task

    def _collect(self, name: str, service: Service, task: ecs.FargateTaskDefinition) -> None:
        sidecar = task.add_container(
            metrics.NAME,
            container_name=metrics.NAME,
            image=ecs.ContainerImage.from_registry(self._sizes.metrics.image),
            essential=False,
            entry_point=metrics.entry_point(self._sizes, service),
            environment={
                metrics.WRITE_URL: self._imported("PrometheusWriteUrl"),
            },
            readonly_root_filesystem=True,
            logging=ecs.LogDriver.aws_logs(
                stream_prefix=metrics.NAME,
                log_group=logs.LogGroup(
                    self, f"{name}-{metrics.NAME}-logs", retention=logs.RetentionDays.ONE_MONTH
                ),
            ),
        )
        sidecar.add_mount_points(
            ecs.MountPoint(source_volume="scratch", container_path=metrics.SCRATCH, read_only=False)
        )
        task.add_to_task_role_policy(
            iam.PolicyStatement(
                actions=list(self._sizes.metrics.actions),
                resources=[self._imported("PrometheusWorkspaceArn")],
            )
        )

    def _allow_media(self, task: ecs.FargateTaskDefinition) -> None:
        bucket = f"arn:{self.partition}:s3:::{self._imported('MediaBucket')}"
        for actions, resource in (
            (self._sizes.bucket_actions, bucket),
            (self._sizes.object_actions, f"{bucket}/*"),
        ):
            task.add_to_task_role_policy(
                iam.PolicyStatement(actions=list(actions), resources=[resource])
            )

    def _secret(self, service: str, name: str) -> ecs.Secret:
        parameter = ssm.StringParameter.from_secure_string_parameter_attributes(
            self,
            f"{service}-{name}",
            parameter_name=self._sizes.secret_parameter(self._env, name),
        )
        return ecs.Secret.from_ssm_parameter(parameter)

    @staticmethod
    def _health_check(service: Service) -> ecs.HealthCheck:
        url = f"http://127.0.0.1:{service.port or HEALTH_PORT}/healthz"
        return ecs.HealthCheck(
            command=["CMD", "python", "-m", "app.health", url],
            interval=cdk.Duration.seconds(10),
            timeout=cdk.Duration.seconds(5),
            retries=3,
            start_period=cdk.Duration.seconds(60),
        )

    def _service(self, name: str, service: Service) -> ecs.FargateService:
        task = self._task(name, service, service.image)
        self._allow_media(task)
        low, high = service.count[self._env]
        running = ecs.FargateService(
            self,
            name,
            cluster=self._cluster,
            task_definition=task,
            desired_count=low,
            min_healthy_percent=100,
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
            security_groups=[self._group],
            vpc_subnets=ec2.SubnetSelection(subnets=self._vpc.private_subnets),
            cloud_map_options=ecs.CloudMapOptions(
                name=name, dns_record_type=discovery.DnsRecordType.A
            ),
        )
        scaling = running.auto_scale_task_count(min_capacity=low, max_capacity=high)
        scaling.scale_on_cpu_utilization("Cpu", target_utilization_percent=service.cpu_target)
        if service.queue is not None:
            backlog = cloudwatch.Metric(
                namespace="Highlights",
                metric_name="task_queue_backlog",
                statistic="Average",
                dimensions_map={"environment": self._env, "task_queue": service.queue},
            )
            scaling.scale_to_track_custom_metric(
                "Backlog",
                metric=backlog,
                target_value=cast("int", service.backlog_target),
                scale_out_cooldown=cdk.Duration.seconds(60),
                scale_in_cooldown=cdk.Duration.seconds(600),
            )
        return running

    def _balance(self, service: ecs.FargateService, port: int, certificate: str) -> None:
        balancer = elb.ApplicationLoadBalancer(
            self,
            "LoadBalancer",
            vpc=self._vpc,
            internet_facing=True,
            drop_invalid_header_fields=True,
            vpc_subnets=ec2.SubnetSelection(subnets=self._vpc.public_subnets),
        )
        balancer.add_redirect()
        listener = balancer.add_listener(
            "Https",
            port=443,
            certificates=[elb.ListenerCertificate.from_arn(certificate)],
            ssl_policy=elb.SslPolicy.RECOMMENDED_TLS,
        )
        listener.add_targets(
            "Api",
            port=port,
            protocol=elb.ApplicationProtocol.HTTP,
            targets=[service],
            deregistration_delay=cdk.Duration.seconds(30),
            health_check=elb.HealthCheck(path="/healthz", interval=cdk.Duration.seconds(10)),
        )
        cdk.CfnOutput(self, "LoadBalancerDns", value=balancer.load_balancer_dns_name)
        acl = self._firewall()
        waf.CfnWebACLAssociation(
            self,
            "FirewallAssociation",
            resource_arn=balancer.load_balancer_arn,
            web_acl_arn=acl,
        )

    def _firewall(self) -> str:
        template: dict[str, Any] = {"Resources": web_acl(self._sizes, self._env)}
        found: dict[str, cdk.CfnResource] = {}
        for name, each in template["Resources"].items():
            found[name] = cdk.CfnResource(
                self, name, type=each["Type"], properties=each["Properties"]
            )
            found[name].override_logical_id(name)
        arn = found["WebAcl"].get_att("Arn").to_string()
        self._export("WebAclArn", arn)
        return str(arn)


def synthesize(sizes: Sizes, target: str) -> None:
    """Write the template of each environment to the directory `target`."""
    app = cdk.App(outdir=target, analytics_reporting=False)
    for env in sizes.environments:
        HighlightsStack(app, sizes, env)
    app.synth()


if __name__ == "__main__":
    synthesize(Sizes.read(), sys.argv[1])
