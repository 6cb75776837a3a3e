"""How the small model's calls are chosen, asked for and read, without the model."""

from __future__ import annotations

import json
from typing import Any

import pytest
from local_gateways import TOOLS, say

from holysheep_nb.local.engine import Delta
from holysheep_nb.local.request import ChatRequest
from holysheep_nb.local.small_model_calls import (
    CallReader,
    call_format,
    choose_tools,
    explain_schema,
    prompt_messages,
)

WEATHER = {
    "type": "function",
    "function": {
        "name": "getWeather",
        "description": "How warm it is in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALL = {"id": "a", "type": "function", "function": {"name": "refund", "arguments": '{"order": 1}'}}
CALLED = [{"role": "assistant", "content": None, "tool_calls": [CALL]}]
RESULT = [{"role": "tool", "tool_call_id": "a", "content": "Denied."}]


def ask(prompt: str, *more: Any, **keys: Any) -> ChatRequest:
    tools = [*TOOLS, WEATHER]
    return ChatRequest.model_validate({"model": "m", "messages": [*say(prompt), *more], "tools": tools, **keys})


def names(request: ChatRequest) -> list[str]:
    return [tool.function.name for tool in choose_tools(request)]


@pytest.mark.parametrize(
    ("prompt", "chosen"),
    [
        ("Refund it!", ["refund"]),
        ("What is the weather like?", ["getWeather"]),
        ("Which cities are WARM?", ["getWeather"]),
        ("lookup_order 7, then refund", ["lookup_order"]),
        ("Hello, how are you?", []),
        ("天气？", []),
        ("请用 getWeather", ["getWeather"]),
    ],
)
def test_the_tool_that_shares_words_with_the_prompt_is_offered(prompt: str, chosen: list[str]) -> None:
    assert names(ask(prompt)) == chosen


def test_tool_choice_decides() -> None:
    named = {"type": "function", "function": {"name": "refund"}}
    assert names(ask("the weather", tool_choice=named)) == ["refund"]
    assert names(ask("the weather", tool_choice="none")) == []
    assert names(ask("the weather", tool_choice="required")) == ["getWeather"]
    assert names(ask("hello", tool_choice="required")) == ["lookup_order", "refund", "getWeather"]


def test_after_results_the_answer_is_text_until_the_next_prompt() -> None:
    assert names(ask("A refund", *CALLED, *RESULT)) == []
    assert names(ask("A refund", *CALLED, *RESULT, tool_choice="required")) == ["refund"]
    assert names(ask("A refund", *CALLED, *RESULT, *say("And the weather?"))) == ["getWeather"]


def test_calls_and_results_are_told_in_the_roles_of_the_template() -> None:
    asked = ask("A refund", *CALLED, *RESULT)
    assert prompt_messages(asked, []) == [
        {"role": "user", "content": "A refund"},
        {"role": "assistant", "content": "I look it up with refund."},
        {"role": "user", "content": "refund says: Denied.\n\nTell me in one sentence what this says."},
    ]


def test_results_of_one_round_are_one_message() -> None:
    both = [{**CALLED[0], "tool_calls": [CALL, {**CALL, "id": "b"}]}, *RESULT, {**RESULT[0], "tool_call_id": "b"}]
    messages = prompt_messages(ask("A refund", *both, *say("Why?")), [])
    assert messages[2:] == [{"role": "user", "content": "refund says: Denied.\nrefund says: Denied."}, *say("Why?")]


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (
            '{"status": "shipped", "total": 59.5, "paid": true}',
            "the status is shipped, the total is 59.5, the paid is true",
        ),
        ('{"a": [1]}', '{"a": [1]}'),
        ("{}", "{}"),
        ("[1, 2]", "[1, 2]"),
        ("It is warm.", "It is warm."),
    ],
)
def test_a_flat_object_is_told_in_words(result: str, told: str) -> None:
    messages = prompt_messages(ask("A refund", *CALLED, {**RESULT[0], "content": result}, *say("Why?")), [])
    assert messages[2] == {"role": "user", "content": f"refund says: {told}"}


def test_a_call_is_asked_for_with_the_prompt_and_the_tool() -> None:
    request = ask("Is it warm in Oslo?")
    (message,) = prompt_messages(request, choose_tools(request))
    assert isinstance(message, dict)
    assert message["role"] == "user"
    assert "getWeather(city): How warm it is in a city." in str(message["content"])
    assert "Question: Is it warm in Oslo?" in str(message["content"])
    assert "refund" not in str(message["content"])


def test_references_of_each_tool_lead_to_its_own_definitions() -> None:
    parameters = {"$defs": {"P": {"type": "object"}}, "properties": {"p": {"$ref": "#/$defs/P"}, "me": {"$ref": "#"}}}
    tools = [{"type": "function", "function": {"name": n, "parameters": parameters}} for n in "ab"]
    request = ChatRequest.model_validate({"model": "m", "messages": say("x"), "tools": tools})
    made: Any = call_format(request.tools or [])
    schema = made["json_schema"]["schema"]
    assert [call["properties"]["arguments"] for call in schema["anyOf"]] == [{"$ref": f"#/$defs/{n}"} for n in "ab"]
    assert schema["$defs"]["b"]["properties"] == {"p": {"$ref": "#/$defs/b/$defs/P"}, "me": {"$ref": "#/$defs/b"}}
    assert parameters["properties"] == {"p": {"$ref": "#/$defs/P"}, "me": {"$ref": "#"}}


def test_a_complaint_about_something_else_is_not_about_a_schema() -> None:
    assert explain_schema("out of memory", ask("x")) is None
    assert explain_schema("JSON schema error at #/$defs/other/properties/x: bad", ask("x")) is None
    found = explain_schema("JSON schema error at #/$defs/refund/properties/x: bad", ask("x"))
    assert found is not None
    assert (found.param, str(found)) == (
        "tools.1.function.parameters",
        "The parameters of the tool 'refund' are not understood at properties/x: bad.",
    )


ARGUMENTS = {"a": ' {"} \\ [', "b": [1, {"c": "é\n"}], "d": {}}


@pytest.mark.parametrize("indent", [None, 4])
def test_a_call_is_read_whole_wherever_its_json_is_cut(indent: int | None) -> None:
    text = json.dumps({"name": "f", "arguments": ARGUMENTS}, indent=indent)
    for cut in range(len(text) + 1):
        reader = CallReader("id")
        deltas = [delta for piece in (text[:cut], text[cut:]) for delta in reader.feed(piece)]
        first, *fragments = [call for delta in deltas if isinstance(delta, Delta) for call in delta.calls]
        assert first == {"index": 0, "id": "id", "type": "function", "function": {"name": "f", "arguments": ""}}
        assert json.loads("".join(call["function"]["arguments"] for call in fragments)) == ARGUMENTS
