"""Contents of each function's bundle: the files that it imports, their distributions, and models of AWS."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rollback_constructs.functions.distributions import Distribution, needed_by
from rollback_constructs.functions.import_graph import Imports, imports_of

_PACKAGE = "rollback"
# Only an environment that signs with a GitHub App's key has the 15 MB of `cryptography` (decision 38).
OPTIONAL_PACKAGES = frozenset({"cryptography"})
# Parts of distributions that no function imports; `tests/constructs/test_bundle.py` imports the rest from each bundle.
_UNUSED = re.compile(
    r"aws_lambda_powertools/event_handler/"
    r"|aws_lambda_powertools/utilities/(?!jmespath_utils/|typing/)[^/]+/"
    r"|pydantic/(v1/|mypy\.py)"  # models of pydantic 1, and a plugin of mypy
    r"|dateutil/zoneinfo/.*\.tar\.gz"  # time zones by name; botocore's times have offsets
    r"|urllib3/contrib/emscripten/"
    r"|.*(\.pyi|-stubs/.*|/sboms/.*)$"
)
# Names that `rollback.handlers` imports: Lambda finds each function by its name there.
_ENTRANCE = "rollback.handlers"

# Services whose clients a function makes; `tests/constructs/test_bundle.py` derives them from the call graph. The X-Ray
# SDK makes one of `xray` when it is imported. The models of all services take 28 MB.
AWS_SERVICES = {
    "decide": frozenset(
        {
            "application-autoscaling", "cloudformation", "cloudwatch", "dynamodb", "ecr", "ecs", "elbv2", "events",
            "kms", "sns", "stepfunctions", "sts", "xray",
        }
    ),
    "service": frozenset(
        {
            "application-autoscaling", "cloudformation", "cloudwatch", "dynamodb", "ecr", "ecs", "elbv2", "events",
            "stepfunctions", "sts",
        }
    ),
    "report": frozenset(
        {
            "application-autoscaling", "cloudformation", "cloudwatch", "dynamodb", "ecs", "elbv2", "events", "lambda",
            "logs", "s3", "secretsmanager", "sns", "stepfunctions", "xray",
        }
    ),
    "promote": frozenset(
        {
            "application-autoscaling", "cloudwatch", "dynamodb", "ecr", "ecs", "elbv2", "iam", "lambda", "logs", "s3",
            "secretsmanager", "ssm", "xray",
        }
    ),
    "database": frozenset(
        {
            "application-autoscaling", "cloudformation", "dynamodb", "ecr", "ecs", "events", "logs", "secretsmanager",
            "xray",
        }
    ),
    "approve": frozenset({"dynamodb", "kms", "stepfunctions", "sts", "xray"}),
}  # fmt: skip


class UnknownPackage(Exception):
    """A function imports a package that no locked distribution provides."""


@dataclass(frozen=True)
class BundleContents:
    """Contents of one function's bundle.

    Attributes:
        sources: files of `lambdas/rollback`, templates of its packages included.
        distributions: locked distributions that the sources import, and what those need.
        services: names of botocore's models.
    """

    sources: tuple[Path, ...]
    distributions: tuple[Distribution, ...]
    services: frozenset[str]

    def carries(self, file: str) -> bool:
        """Whether the bundle has a file of its distributions: no models of other services, and no unused parts.

        Args:
            file: path below the bundle, such as `botocore/data/ecs/2014-11-13/service-2.json.gz`.
        """
        if _UNUSED.match(file):
            return False
        folder, _, rest = file.partition("botocore/data/")
        if folder or "/" not in rest:
            return True  # no model: code, or a file such as endpoints.json
        return rest.partition("/")[0] in self.services and "/examples-1.json" not in rest


def contents_of(
    function: str, lambdas: Path, distributions: dict[str, Distribution], *, platform_packages: frozenset[str]
) -> BundleContents:
    """Return what a function's bundle has.

    Args:
        function: the function's name, such as `service`.
        lambdas: folder that holds the package `rollback`.
        distributions: what uv installed, by name.
        platform_packages: packages of the standard library.

    Raises:
        UnknownPackage: the function imports a package that no distribution provides.
        UnreadableImport: a module imports relatively.
    """
    imports = imports_of((_ENTRANCE, f"{_PACKAGE}.functions.{function}"), lambdas)
    packages = imports.packages - platform_packages
    needed = needed_by(packages, distributions)
    provided = {package for distribution in needed for package in distribution.packages}
    if missing := packages - provided - OPTIONAL_PACKAGES:
        raise UnknownPackage(
            f"the function {function} imports {', '.join(sorted(missing))}, which lambdas/requirements.txt does not "
            "lock: add the distribution to the Makefile's target `lock`, and run `make lock`"
        )
    return BundleContents(tuple(sorted({*imports.files, *_data_of(imports)})), tuple(needed), AWS_SERVICES[function])


def _data_of(imports: Imports) -> Iterator[Path]:
    """Yield the files beside the modules of the imported packages, such as templates."""
    for file in imports.files:
        if file.name == "__init__.py":
            yield from _data_in(file.parent)


def _data_in(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder that are no modules, also those of subfolders that are no packages."""
    for path in folder.iterdir():
        if path.is_dir():
            if path.name != "__pycache__" and not (path / "__init__.py").is_file():
                yield from _data_in(path)
        elif path.suffix not in {".py", ".pyc"} and not path.name.startswith("."):
            yield path
