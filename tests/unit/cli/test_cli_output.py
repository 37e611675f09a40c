"""Formats of output: which one is meant, and that each says the same."""

import json
from enum import StrEnum

import pytest
import typer
import yaml
from typer.testing import CliRunner

from sluice_cli.main import app as sluice
from sluice_cli.options import Output, OutputFormat, prints_data
from sluice_cli.terminal import print_data

CONTENT = {"name": "Köln", "none": None, "list": [1, {"deep": 2.5}], "text": "a: b\n- c", "no": "no"}


def _app() -> typer.Typer:
    app = typer.Typer()

    @app.command()
    @prints_data
    def show(name: str, output: Output = OutputFormat.TABLE) -> None:
        """Shows."""
        typer.echo(f"{name} {output}")

    return app


@pytest.mark.parametrize(
    ("arguments", "environment", "chosen"),
    [
        ([], {}, "table"),
        (["--json"], {}, "json"),
        (["-o", "yaml"], {}, "yaml"),
        (["--output", "json"], {}, "json"),
        ([], {"SLUICE_OUTPUT": "yaml"}, "yaml"),
        (["-o", "table"], {"SLUICE_OUTPUT": "yaml"}, "table"),
        (["--json"], {"SLUICE_OUTPUT": "yaml"}, "json"),
    ],
)
def test_format_is_the_flag_then_the_option_then_the_environment(
    arguments: list[str], environment: dict[str, str], chosen: str
):
    done = CliRunner().invoke(_app(), ["x", *arguments], env=environment)
    assert done.output == f"x {chosen}\n"


@pytest.mark.parametrize(("arguments", "environment"), [(["-o", "xml"], {}), ([], {"SLUICE_OUTPUT": "xml"})])
def test_unknown_format_is_wrong_use(arguments: list[str], environment: dict[str, str]):
    done = CliRunner().invoke(_app(), ["x", *arguments], env=environment)
    assert done.exit_code == 2
    assert "xml" in done.output


def test_every_command_with_formats_has_the_short_flag():
    found = {}
    for command in _commands(typer.main.get_command(sluice)):
        options = {option for parameter in command.params for option in parameter.opts}
        if "--output" in options:
            found[command.name] = "--json" in options
    assert {"ask", "search", "ingest", "status", "compile", "list", "show", "verify"} <= set(found)
    assert all(found.values())


def test_json_and_yaml_say_the_same(capsys: pytest.CaptureFixture[str]):
    print_data(CONTENT, OutputFormat.JSON)
    assert json.loads(capsys.readouterr().out) == CONTENT
    print_data(CONTENT, OutputFormat.YAML)
    printed = capsys.readouterr().out
    assert yaml.safe_load(printed) == CONTENT
    assert printed.startswith("name: Köln\n")


def test_yaml_prints_what_json_would_of_tuples_and_enums(capsys: pytest.CaptureFixture[str]):
    class Colour(StrEnum):
        RED = "red"

    print_data({"pair": (1, 2), "colour": Colour.RED}, OutputFormat.YAML)
    assert yaml.safe_load(capsys.readouterr().out) == {"pair": [1, 2], "colour": "red"}


@pytest.mark.parametrize("output", [OutputFormat.JSON, OutputFormat.YAML])
def test_documents_carry_control_characters_escaped(output: OutputFormat, capsys: pytest.CaptureFixture[str]):
    content = {"text": "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))}
    print_data(content, output)
    printed = capsys.readouterr().out
    assert yaml.safe_load(printed) == content
    assert not [character for character in printed if character != "\n" and not character.isprintable()]


def _commands(command):
    for child in getattr(command, "commands", {}).values():
        yield from _commands(child)
    yield command
