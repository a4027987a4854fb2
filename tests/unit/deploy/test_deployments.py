"""The deployments name only what exists: settings, queues, exports, documented inputs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import copilot
from deploy.facts import Facts, ServiceFacts, Template
from deploy.firewall import web_acl
from deploy.sizes import Sizes
from domain import task_queues
from infra.settings import Settings
from infra.temporal.backlog import BACKLOG_METRIC, METRIC_NAMESPACE

ROOT = Path(__file__).parents[3]
SIZES = Sizes.read()
ENVIRONMENTS = sorted(SIZES.environments)
SERVICES = sorted([*SIZES.services, *SIZES.jobs])
FILES = copilot.files(SIZES)
GUIDE = (ROOT / "docs" / "deploy.md").read_text("utf-8")
KNOWN = {name for names in Settings.variables().values() for name in names}


def test_copilots_files_are_those_that_the_sizes_give() -> None:
    found = {
        path.relative_to(copilot.ROOT).as_posix(): path.read_text("utf-8")
        for path in copilot.ROOT.rglob("*")
        if path.is_file() and path.name != "README.md"
    }
    assert found == FILES, "run `make deploy-files`"


@pytest.mark.parametrize("env", ENVIRONMENTS)
@pytest.mark.parametrize("name", SERVICES)
def test_every_variable_and_secret_is_a_setting(env: str, name: str) -> None:
    variables = {*SIZES.literal_variables(env, name), *SIZES.secret_names(env, name)}
    assert variables | {*SIZES.imported_variables} <= KNOWN


@pytest.mark.parametrize("env", ENVIRONMENTS)
@pytest.mark.parametrize("name", sorted(SIZES.services))
def test_the_settings_accept_the_variables_of_a_service(
    monkeypatch: pytest.MonkeyPatch, env: str, name: str
) -> None:
    given = SIZES.literal_variables(env, name)
    for key, value in given.items():
        monkeypatch.setenv(key, value)
    settings = Settings()
    assert settings.environment == env
    if queue := SIZES.services[name].queue:
        assert settings.worker_queues == (queue,)


def test_each_task_queue_has_one_service() -> None:
    queues = [each.queue for each in SIZES.services.values() if each.queue]
    assert sorted(queues) == sorted(task_queues.ALL)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_temporal_cloud_has_its_key_and_a_server_of_ours_has_none(env: str) -> None:
    has_key = "TEMPORAL_API_KEY" in SIZES.secret_names(env, "api")
    assert has_key is (SIZES.environments[env].temporal == "cloud")


def test_only_one_service_has_the_rights_of_each_secret_that_few_need() -> None:
    users = {
        secret: [name for name in SERVICES if secret in SIZES.secret_names("prod", name)]
        for secret in ("AMQP_URL", "DATABASE_OWNER_URL", "REDIS_URL")
    }
    assert users == {
        "AMQP_URL": ["doctor", "worker-io"],
        "DATABASE_OWNER_URL": ["migrate"],
        "REDIS_URL": ["api", "doctor"],
    }


def test_every_import_secret_and_input_is_in_the_guide() -> None:
    secrets = {name for each in SERVICES for name in SIZES.secret_names("prod", each)}
    inputs = set(re.findall(r"\$\{([A-Z_]+)\}", "".join(FILES.values())))
    named = {*SIZES.imports.values(), *SIZES.exports.values(), *secrets, *inputs}
    assert {each for each in named if f"`{each}`" not in GUIDE} == set()


def references(value: object, function: str) -> list[Any]:
    if isinstance(value, dict):
        own = [value[function]] if function in value else []
        return own + [found for each in value.values() for found in references(each, function)]
    if isinstance(value, list):
        return [found for each in value for found in references(each, function)]
    return []


def template(path: str) -> dict[str, Any]:
    text = FILES[path].replace("!Ref EnvironmentSecurityGroup", "''")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


@pytest.mark.parametrize("path", [path for path in FILES if "/addons/" in path])
def test_every_reference_of_an_addon_is_defined_in_it(path: str) -> None:
    read = template(path)
    defined = {*read.get("Parameters", {}), *read.get("Resources", {})}
    assert {*references(read, "Ref")} <= defined
    assert {each[0] for each in references(read, "Fn::GetAtt")} <= defined
    known = {each.replace("{env}", "${Env}") for each in SIZES.imports.values()}
    assert {each["Fn::Sub"] for each in references(read, "Fn::ImportValue")} <= known


@pytest.mark.parametrize("name", [name for name, each in SIZES.services.items() if each.queue])
def test_a_worker_scales_on_the_metric_that_it_logs(name: str) -> None:
    patches = yaml.safe_load(FILES[f"{name}/overrides/cfn.patches.yml"])
    (metric,) = references(patches, "CustomizedMetricSpecification")
    assert (metric["Namespace"], metric["MetricName"]) == (METRIC_NAMESPACE, BACKLOG_METRIC)
    values = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
    assert values == {"environment": {"Ref": "EnvName"}, "task_queue": SIZES.services[name].queue}


def test_webhooks_from_other_ranges_are_blocked_if_ranges_are_given() -> None:
    webhooks = SIZES.webhooks.model_copy(
        update={"source_ranges": ["192.0.2.0/24", "2001:db8::/32"]}
    )
    made = web_acl(SIZES.model_copy(update={"webhooks": webhooks}), "prod")
    rules = {each["Name"]: each for each in made["WebAcl"]["Properties"]["Rules"]}
    path, *sources = rules["WebhookSources"]["Statement"]["AndStatement"]["Statements"]
    assert path["ByteMatchStatement"]["SearchString"] == "/v1/webhooks/100ms"
    assert len(sources) == len(made) - 1 == 2
    assert "WebhookSources" not in json.dumps(web_acl(SIZES, "prod"))


def test_a_difference_between_two_descriptions_is_named() -> None:
    one = Facts({"api": ServiceFacts(cpu="256")}, {"a"}, set())
    other = Facts({"api": ServiceFacts(cpu="512")}, {"b"}, set())
    assert one.differences(one) == []
    assert one.differences(other) == ["imports: ['a'] and ['b']", "api, cpu: 256 and 512"]


def test_text_of_a_template_resolves_parameters_and_imports() -> None:
    read = Template({}, {"Env": "test"})
    value = {"Fn::Sub": ["s3://${B}/${Env}", {"B": {"Fn::ImportValue": {"Fn::Sub": "p-${Env}"}}}]}
    assert read.text(value) == "s3://<p-test>/test"
    assert read.text({"Fn::Join": ["", ["a", {"Ref": "AWS::Region"}]]}) == "a…"
