"""The configuration's JSON Schema, for editors that check TOML as it is written.

Rule: made from the models alone. A [target.NAME] table is one of the kinds.
"""

from typing import Any

from hlspub.config.kinds import KINDS
from hlspub.config.model import NAME_PATTERN, Config

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema of a configuration file. Paths, durations and sizes are texts, as in the file."""
    schema = Config.model_json_schema(mode="validation")
    del schema["$defs"]["Target"]
    for name, kind in KINDS.items():
        schema["$defs"][f"target_{name}"] = kind.model_json_schema(mode="validation")
    schema["properties"]["target"] = {
        "type": "object",
        "propertyNames": {"pattern": NAME_PATTERN},
        "additionalProperties": {"oneOf": [{"$ref": f"#/$defs/target_{name}"} for name in KINDS]},
    }
    schema["required"] = []  # data_dir follows from where the file is
    return {"$schema": _DIALECT} | schema | {"title": "hlspub configuration"}
