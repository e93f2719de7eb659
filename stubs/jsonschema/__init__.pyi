"""Types for the little of jsonschema that the tests use; the package ships none."""

from collections.abc import Mapping

class ValidationError(Exception):
    message: str
    json_path: str

class Draft202012Validator:
    def __init__(self, schema: Mapping[str, object]) -> None: ...
    @classmethod
    def check_schema(cls, schema: Mapping[str, object]) -> None: ...
    def validate(self, instance: object) -> None: ...
    def is_valid(self, instance: object) -> bool: ...
