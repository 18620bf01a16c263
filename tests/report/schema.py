"""The JSON Schema that ships, as a judge of reports."""

import json
from importlib import resources
from typing import Any

import jsonschema

SCHEMA = json.loads(
    resources.files("mailwitness.report").joinpath("report-1.schema.json").read_text()
)


def validate(report: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(report)
