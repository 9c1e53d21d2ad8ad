"""The configuration's JSON Schema, for editors that check TOML as it is written.

Rule: made from the models alone. A [target.NAME] table is one of the kinds, and so is a [hook.NAME] table.
"""

from typing import Any

from hlspub.config.hooks import HOOKS
from hlspub.config.kinds import KINDS
from hlspub.config.model import Config
from hlspub.config.names import NAME_PATTERN

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema of a configuration file. Paths, durations and sizes are texts, as in the file."""
    schema = Config.model_json_schema(mode="validation")
    for tables, kinds in (("target", KINDS), ("hook", HOOKS)):
        del schema["$defs"][tables.capitalize()]
        for name, kind in kinds.items():
            table = kind.model_json_schema(mode="validation")
            schema["$defs"] |= table.pop("$defs", {})
            schema["$defs"][f"{tables}_{name}"] = table
        schema["properties"][tables] = {
            "type": "object",
            "propertyNames": {"pattern": NAME_PATTERN},
            "additionalProperties": {"oneOf": [{"$ref": f"#/$defs/{tables}_{name}"} for name in kinds]},
        }
    schema["required"] = []  # data_dir follows from where the file is
    return {"$schema": _DIALECT} | schema | {"title": "hlspub configuration"}
