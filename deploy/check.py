"""`python -m deploy.check`: renders both deployments, lints every template, and compares the two.

Only in the environment of requirements-deploy.lock; `make lint-deploy` runs it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from deploy import copilot_cli, stack
from deploy.facts import Facts, of_cdk, of_copilot
from deploy.sizes import Sizes

_ROOT: Final = Path(__file__).parents[1]
_TIMEOUT: Final = 600.0
# docs/deploy.md says why.
_CHECKOV_SKIPPED: Final = "CKV_AWS_91,CKV_AWS_158,CKV_AWS_260"
_CFN_LINT_SKIPPED: Final = ("W", "E3601")


def main() -> int:
    """Return 0 if nothing is wrong; else print each problem and return 1."""
    sizes = Sizes.read()
    with TemporaryDirectory() as directory:
        rendered, synthesized = Path(directory, "copilot"), Path(directory, "cdk")
        copilot_cli.render(sizes, rendered)
        stack.synthesize(sizes, str(synthesized))
        problems = [
            f"{env}: {each}"
            for env in sizes.environments
            for each in copilot_facts(sizes, env, rendered).differences(
                cdk_facts(sizes, env, synthesized)
            )
        ]
        templates = sorted(synthesized.glob("*.template.json"))
        written = [
            *sorted((_ROOT / "copilot").glob("*/addons/stores.yml")),
            _ROOT / "copilot" / "environments" / "addons" / "platform.yml",
        ]
        stacks = sorted(rendered.glob("*.stack.yml"))
        skipped = [f"--ignore-checks={each}" for each in _CFN_LINT_SKIPPED]
        problems += _run("cfn-lint", *skipped, "--", *map(str, [*templates, *written, *stacks]))
        files = [argument for each in [*templates, *written] for argument in ("-f", str(each))]
        problems += _run(
            *(
                "checkov",
                "--skip-download",
                "--quiet",
                "--compact",
                "--framework",
                "cloudformation",
            ),
            *("--skip-check", _CHECKOV_SKIPPED, *files),
        )
    problems += _run("hadolint", str(_ROOT / "Dockerfile"))
    for each in problems:
        sys.stderr.write(f"{each}\n")
    return 1 if problems else 0


def copilot_facts(sizes: Sizes, env: str, rendered: Path) -> Facts:
    """Return the facts of what Copilot rendered for one environment."""
    stacks: dict[str, tuple[dict[str, Any], dict[str, str]]] = {}
    addons = {}
    for name in (*sizes.services, *sizes.jobs):
        template = copilot_cli.load_template(rendered / f"{name}-{env}.stack.yml")
        given = json.loads((rendered / f"{name}-{env}.params.json").read_text("utf-8"))
        stacks[name] = (template, given["Parameters"])
        if sizes.uses_servers(name):
            addons[name] = copilot_cli.load_template(
                _ROOT / "copilot" / name / "addons" / "stores.yml"
            )
    platform = _ROOT / "copilot" / "environments" / "addons" / "platform.yml"
    addons[""] = copilot_cli.load_template(platform)
    return of_copilot(sizes, env, stacks, addons)


def cdk_facts(sizes: Sizes, env: str, synthesized: Path) -> Facts:
    """Return the facts of what the CDK synthesized for one environment."""
    path = synthesized / f"{sizes.application}-{env}.template.json"
    return of_cdk(sizes, env, json.loads(path.read_text("utf-8")))


def _run(program: str, *arguments: str) -> Sequence[str]:
    """Run a linter; return what it prints if it finds something."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name(program)), *arguments],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=False,
    )
    return [f"{program}: {done.stdout}{done.stderr}"] if done.returncode else []


if __name__ == "__main__":
    sys.exit(main())
