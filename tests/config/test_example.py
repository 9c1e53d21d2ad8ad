"""The example file, the schema and the models say the same."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from hlspub.config.example import EXAMPLE_PATH, example
from hlspub.config.fields import TAKES_EFFECT, said_of
from hlspub.config.hooks import HOOKS
from hlspub.config.kinds import KINDS
from hlspub.config.load import parse
from hlspub.config.model import Config, Gateway, Limits, Publish, Stream
from hlspub.config.names import IpnsName, Router
from hlspub.config.schema import json_schema

REPOSITORY = Path(__file__).parents[2]
FILE = Path("/etc/hlspub/config.toml")
OPTIONAL = ("target", "name", "router", "hook")
SECTIONS = [(), ("stream", "main"), ("target", "local"), ("publish",), ("gateway",), ("limits",)]
MODELS = dict(zip(SECTIONS, [Config, Stream, KINDS["local"], Publish, Gateway, Limits], strict=True))


def uncommented(text: str) -> str:
    return re.sub(r"^# (?=[a-z_]+ = )", "", text, flags=re.MULTILINE)


def keys(section: tuple[str, ...]) -> set[str]:
    return {name for name in MODELS[section].model_fields if said_of(MODELS[section], name, TAKES_EFFECT)}


def table(document: dict[str, Any], section: tuple[str, ...]) -> dict[str, Any]:
    for name in section:
        document = document[name]
    return document


def test_the_repositorys_example_is_the_one_that_init_writes() -> None:
    assert (REPOSITORY / "config.example.toml").read_text() == example()


def test_commented_it_is_a_configuration_at_its_defaults() -> None:
    config = parse(example(), FILE, {})
    minimal = parse(f'[stream.main]\npath = "{EXAMPLE_PATH}"', FILE, {})
    assert config == minimal


def test_uncommented_every_default_equals_the_models() -> None:
    text = uncommented(example())
    assert text != example()
    config = parse(text, FILE, {})
    local = config.target["local"]
    assert local.required is True  # what the absent key means while there is no other target
    assert config.required_targets() == parse(example(), FILE, {}).required_targets()
    expected = parse(example(), FILE, {})
    assert config.model_copy(update={"target": expected.target}) == expected


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_in_it_and_no_other(section: tuple[str, ...]) -> None:
    document = table(tomllib.loads(uncommented(example())), section)
    tables = {name for name, value in document.items() if isinstance(value, dict)}
    assert document.keys() - tables == keys(section)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_has_a_line_of_why(section: tuple[str, ...]) -> None:
    lines = example().split("\n")
    for name in keys(section):
        at = [number for number, line in enumerate(lines) if re.match(rf"(# )?{name} = ", line)]
        assert at
        assert all(lines[number - 1].startswith("# ") and lines[number - 1].endswith((".", "]")) for number in at)


def test_the_stream_in_it_can_be_named() -> None:
    config = parse(example('/odd "path"/ü', "cam"), FILE, {})
    assert config.stream["cam"].path == Path('/odd "path"/ü')


def test_the_schema_knows_every_key_with_the_examples_default() -> None:
    schema = json_schema()
    document = tomllib.loads(uncommented(example()))
    named = {
        (): schema,
        ("stream", "main"): schema["$defs"]["Stream"],
        ("target", "local"): schema["$defs"]["target_local"],
        ("publish",): schema["$defs"]["Publish"],
        ("gateway",): schema["$defs"]["Gateway"],
        ("limits",): schema["$defs"]["Limits"],
    }
    for section, described in named.items():
        for name in keys(section):
            property_schema = described["properties"][name]
            assert property_schema["description"]
            if property_schema.get("default") is not None:
                assert property_schema["default"] == table(document, section)[name]
            if "pattern" in property_schema:
                assert re.match(property_schema["pattern"], table(document, section)[name])
        assert described["additionalProperties"] is False


def test_the_schema_names_only_what_it_defines() -> None:
    schema = json_schema()
    text = str(schema)
    assert set(re.findall(r"#/\$defs/(\w+)", text)) <= schema["$defs"].keys()
    assert len(schema["properties"]["target"]["additionalProperties"]["oneOf"]) == len(KINDS)
    assert len(schema["properties"]["hook"]["additionalProperties"]["oneOf"]) == len(HOOKS)


def test_each_other_table_is_shown_at_its_defaults() -> None:
    text = "\n".join(line.removeprefix("#   ") for line in example().split("\n") if line.startswith("#   "))
    shown = tomllib.loads(uncommented(text))
    assert shown.keys() == set(OPTIONAL)
    assert {table["kind"] for table in shown["target"].values()} == KINDS.keys() - {"local"}
    assert {table["kind"] for table in shown["hook"].values()} == HOOKS.keys()
    models = [(table, KINDS[table["kind"]]) for table in shown["target"].values()]
    models += [(table, HOOKS[table["kind"]]) for table in shown["hook"].values()]
    models += [(table, IpnsName) for table in shown["name"].values()]
    models += [(table, Router) for table in shown["router"].values()]
    for table, model in models:
        assert table.keys() == {name for name in model.model_fields if said_of(model, name, TAKES_EFFECT)}
    config = parse(re.sub(r"^# [a-z_]+ = .*$", "", text, flags=re.MULTILINE), FILE, {})
    assert config.target.keys() == {"local", *shown["target"]}
    assert config.hook.keys() == shown["hook"].keys()
