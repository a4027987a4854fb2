"""What CloudFormation templates say of each service, to compare Copilot's with the CDK's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.sizes import Sizes


@dataclass
class ServiceFacts:
    """One service, as a template describes it. Values that are computed are written as `…`."""

    cpu: str = ""
    memory: str = ""
    disk: str = ""
    read_only: bool = False
    sidecar: dict[str, str] = field(default_factory=dict)
    health_check: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    actions: set[str] = field(default_factory=set)
    count: tuple[str, str] | None = None
    targets: set[str] = field(default_factory=set)


@dataclass
class Facts:
    """All services of an environment, with what is imported and exported."""

    services: dict[str, ServiceFacts]
    imports: set[str]
    exports: set[str]

    def differences(self, other: Facts) -> list[str]:
        """Return each fact in which two descriptions differ, one line each."""
        found = [
            f"{what}: {sorted(mine)} and {sorted(its)}"
            for what, mine, its in (
                ("services", self.services.keys(), other.services.keys()),
                ("imports", self.imports, other.imports),
                ("exports", self.exports, other.exports),
            )
            if mine != its
        ]
        for name in sorted(self.services.keys() & other.services.keys()):
            mine, its = vars(self.services[name]), vars(other.services[name])
            found += [
                f"{name}, {what}: {mine[what]} and {its[what]}"
                for what in mine
                if mine[what] != its[what]
            ]
        return found


class Template:
    """A template with the values of its parameters.

    Args:
        template: as JSON.
        parameters: values by name.
    """

    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        self._template, self._parameters = template, parameters

    def text(self, value: Any) -> str:  # noqa: ANN401 - JSON
        """Return a value as text; what only AWS knows is `…`, and an import is `<its name>`."""
        if not isinstance(value, dict):
            return str(value)
        ((function, argument),) = value.items()
        match function:
            case "Ref":
                return self._parameters.get(argument, "…")
            case "Fn::ImportValue":
                return f"<{self.text(argument)}>"
            case "Fn::Join":
                return str(argument[0]).join(self.text(each) for each in argument[1])
            case "Fn::Sub":
                text, values = argument if isinstance(argument, list) else (argument, {})
                return re.sub(
                    r"\$\{([^}]+)\}",
                    lambda found: (
                        self.text(values[found[1]])
                        if found[1] in values
                        else self._parameters.get(found[1], "…")
                    ),
                    text,
                )
            case _:
                return "…"

    def resources(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield logical id and properties of each resource of a type."""
        for name, each in self._template.get("Resources", {}).items():
            if each["Type"] == kind:
                yield name, each.get("Properties", {})

    def imports(self) -> set[str]:
        """Return the names of all imports."""
        return {name for name in self._imports(self._template) if not name.startswith("…")}

    def _imports(self, value: object) -> Iterator[str]:
        if isinstance(value, dict):
            if "Fn::ImportValue" in value:
                yield self.text(value)[1:-1]
            for each in value.values():
                yield from self._imports(each)
        elif isinstance(value, list):
            for each in value:
                yield from self._imports(each)

    def outputs(self) -> dict[str, str]:
        """Return the value of each output, by its logical id."""
        outputs = self._template.get("Outputs", {})
        return {name: self.text(each["Value"]) for name, each in outputs.items()}

    def exports(self) -> set[str]:
        """Return the names of all exports."""
        outputs = self._template.get("Outputs", {}).values()
        return {self.text(each["Export"]["Name"]) for each in outputs if "Export" in each}

    def actions(self, role: str | None = None) -> set[str]:
        """Return the actions on media and metrics that policies allow, of one role if given."""
        found: set[str] = set()
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            for _, policy in self.resources(kind):
                if role is None or {"Ref": role} in policy.get("Roles", []):
                    for statement in policy["PolicyDocument"]["Statement"]:
                        actions = statement["Action"]
                        found |= {actions} if isinstance(actions, str) else set(actions)
        return {each for each in found if each.startswith(("s3:", "aps:"))}

    def services(self) -> Iterator[tuple[str, ServiceFacts, str]]:
        """Yield name, facts, and logical id of the role of each task definition."""
        for _, task in self.resources("AWS::ECS::TaskDefinition"):
            container, *sidecars = task["ContainerDefinitions"]
            facts = ServiceFacts(
                cpu=self.text(task["Cpu"]),
                memory=self.text(task["Memory"]),
                disk=self.text(task.get("EphemeralStorage", {}).get("SizeInGiB", "")),
                read_only=self.text(container.get("ReadonlyRootFilesystem")).lower() == "true",
                sidecar={key: value for each in sidecars for key, value in self._sidecar(each)},
                health_check=" ".join(container.get("HealthCheck", {}).get("Command", [])),
                variables={
                    each["Name"]: self.text(each["Value"]) for each in container["Environment"]
                },
                secrets={
                    each["Name"]: self.text(each["ValueFrom"]).partition("parameter")[2]
                    or self.text(each["ValueFrom"])
                    for each in container.get("Secrets", [])
                },
            )
            yield (
                self.text(container["Name"]),
                facts,
                task["TaskRoleArn"]["Fn::GetAtt"][0],
            )

    def _sidecar(self, container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield what a container beside the service is: image, command, mounts, variables."""
        yield "name", self.text(container["Name"])
        yield "image", self.text(container["Image"])
        yield "command", " ".join(container.get("EntryPoint", ()))
        yield "essential", self.text(container.get("Essential")).lower()
        yield "read only", self.text(container.get("ReadonlyRootFilesystem")).lower()
        for each in container.get("MountPoints", ()):
            yield self.text(each["ContainerPath"]), self.text(each["SourceVolume"])
        for each in container["Environment"]:
            if not each["Name"].startswith("COPILOT_"):
                yield each["Name"], self.text(each["Value"])

    def scaling(self) -> Iterator[tuple[str, tuple[str, str], set[str]]]:
        """Yield the id of the resource that is scaled, its limits, and the metrics' targets."""
        for name, target in self.resources("AWS::ApplicationAutoScaling::ScalableTarget"):
            followed: set[str] = set()
            for _, policy in self.resources("AWS::ApplicationAutoScaling::ScalingPolicy"):
                if policy["ScalingTargetId"] != {"Ref": name} and "ScalableDimension" in policy:
                    continue
                if policy.get("ScalingTargetId") not in ({"Ref": name}, None):
                    continue
                rule = policy["TargetTrackingScalingPolicyConfiguration"]
                custom = rule.get("CustomizedMetricSpecification")
                predefined = rule.get("PredefinedMetricSpecification", {})
                metric = custom["MetricName"] if custom else predefined["PredefinedMetricType"]
                dimensions = custom.get("Dimensions", []) if custom else []
                where = {each["Name"]: self.text(each["Value"]) for each in dimensions}
                followed.add(f"{metric} {dict(sorted(where.items()))} {float(rule['TargetValue'])}")
            limits = (self.text(target["MinCapacity"]), self.text(target["MaxCapacity"]))
            yield name, limits, followed


def of_cdk(sizes: Sizes, env: str, template: Mapping[str, Any]) -> Facts:
    """Return the facts of the CDK's template of one environment."""
    read = Template(template, {})
    services = {}
    for name, facts, role in read.services():
        facts.actions = read.actions(role)
        services[name] = facts
    for target, limits, followed in read.scaling():
        # Its logical id begins with that of the service, without hyphens.
        owner = max(
            (name for name in services if target.startswith(name.replace("-", ""))), key=len
        )
        services[owner].count, services[owner].targets = limits, followed
    return Facts(services, read.imports(), _ours(sizes, env, read.exports()))


def of_copilot(
    sizes: Sizes,
    env: str,
    stacks: Mapping[str, tuple[Mapping[str, Any], Mapping[str, str]]],
    addons: Mapping[str, Mapping[str, Any]],
) -> Facts:
    """Return the facts of Copilot's templates of one environment.

    Args:
        sizes: the file of sizes.
        env: name of the environment.
        stacks: template and parameters of each service.
        addons: template of the addons of each service, and of the environment as ``.
    """
    parameters = {"App": sizes.application, "Env": env}
    services, imports, exports = {}, set(), set()
    for name, (template, values) in stacks.items():
        read = Template(template, values)
        addon = Template(addons.get(name, {}), {**parameters, "Name": name})
        for _, facts, _ in read.services():
            given = {
                _variable(output): value
                for output, value in addon.outputs().items()
                if _variable(output) in sizes.imported_variables
            }
            facts.variables = {
                key: given.get(key, value)
                for key, value in facts.variables.items()
                if not key.startswith("COPILOT_") and key != "STORES_POLICY_ARN"
            }
            # Copilot gives the outputs of an addon to every container.
            facts.sidecar = {
                key: value
                for key, value in facts.sidecar.items()
                if key not in given and key != "STORES_POLICY_ARN"
            }
            facts.actions = addon.actions()
            services[name] = facts
        for _, limits, followed in read.scaling():
            services[name].count, services[name].targets = limits, followed
        imports |= addon.imports() | read.imports()
    environment = Template(addons[""], parameters)
    imports |= environment.imports()
    exports |= _ours(sizes, env, environment.exports())
    own = f"{sizes.application}-{env}-"
    return Facts(services, {each for each in imports if not each.startswith(own)}, exports)


def _ours(sizes: Sizes, env: str, exports: set[str]) -> set[str]:
    return exports & {each.format(env=env) for each in sizes.exports.values()}


def _variable(output: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", output).upper()
