"""The web application firewall of the API, as CloudFormation; both deployments use it."""

from __future__ import annotations

from typing import Any

from deploy.sizes import Sizes


def web_acl(sizes: Sizes, env: str) -> dict[str, Any]:
    """Return the resources of the web ACL and of its address sets, by logical id."""
    webhooks, name = sizes.webhooks, f"{sizes.application}-{env}"
    rules = [
        _rule(
            "ManyRequests",
            0,
            {
                "RateBasedStatement": {
                    "Limit": webhooks.requests_per_5_minutes,
                    "AggregateKeyType": "IP",
                }
            },
        ),
        _rule(
            "KnownBadInputs",
            1,
            {
                "ManagedRuleGroupStatement": {
                    "VendorName": "AWS",
                    "Name": "AWSManagedRulesKnownBadInputsRuleSet",
                }
            },
            managed=True,
        ),
    ]
    resources: dict[str, Any] = {}
    if webhooks.source_ranges:
        sources = []
        for version, mark in (("IPV4", "."), ("IPV6", ":")):
            ranges = [each for each in webhooks.source_ranges if mark in each]
            if ranges:
                resources[f"WebhookSources{version}"] = {
                    "Type": "AWS::WAFv2::IPSet",
                    "Properties": {
                        "Name": f"{name}-webhooks-{version.lower()}",
                        "Scope": "REGIONAL",
                        "IPAddressVersion": version,
                        "Addresses": ranges,
                    },
                }
                arn = {"Fn::GetAtt": [f"WebhookSources{version}", "Arn"]}
                sources.append(
                    {"NotStatement": {"Statement": {"IPSetReferenceStatement": {"Arn": arn}}}}
                )
        path = {
            "ByteMatchStatement": {
                "FieldToMatch": {"UriPath": {}},
                "PositionalConstraint": "STARTS_WITH",
                "SearchString": webhooks.path,
                "TextTransformations": [{"Priority": 0, "Type": "NORMALIZE_PATH"}],
            }
        }
        rules.append(_rule("WebhookSources", 2, {"AndStatement": {"Statements": [path, *sources]}}))
    resources["WebAcl"] = {
        "Type": "AWS::WAFv2::WebACL",
        "Properties": {
            "Name": name,
            "Scope": "REGIONAL",
            "DefaultAction": {"Allow": {}},
            "Rules": rules,
            "VisibilityConfig": _visibility("all"),
        },
    }
    return resources


def _rule(
    name: str, priority: int, statement: dict[str, Any], *, managed: bool = False
) -> dict[str, Any]:
    return {
        "Name": name,
        "Priority": priority,
        "Statement": statement,
        **({"OverrideAction": {"None": {}}} if managed else {"Action": {"Block": {}}}),
        "VisibilityConfig": _visibility(name),
    }


def _visibility(name: str) -> dict[str, Any]:
    return {
        "SampledRequestsEnabled": True,
        "CloudWatchMetricsEnabled": True,
        "MetricName": f"highlights-{name}",
    }
