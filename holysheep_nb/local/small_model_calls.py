"""How a model of 135 million parameters calls tools: the gateway chooses the tool, the model writes the arguments.

Measured with SmolLM2-135M and three tools: asked which one to call, or whether to call one at all, it is right no more
often than by chance. Given one tool, and held to a JSON schema, it takes the arguments from the prompt reliably.
So, by `tool_choice`:

- "auto": the tool that shares most words with the prompt (name, description and parameters are compared) is called.
  If none shares a word, or the results of a call are there already, the answer is text.
- "required": the same tool; if none shares a word, all are offered, and the model's choice is a guess.
- a named function: that one.
- "none": the answer is text.

There is one call a round, whatever `parallel_tool_calls` says. Results are told to the model as a user's message,
JSON objects in words, with the request to say in one sentence what they say: more it cannot do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pydantic import JsonValue

from holysheep_nb.local.engine import Delta, EngineEvent
from holysheep_nb.local.request import ChatRequest, Message, RefusedRequestError, Tool

_WORDS = re.compile(r"[^\W_]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_EVERYDAY_WORDS = (
    "about after all also and any are been but can could did does each for from get give has have her him his how "
    "into its just let make may more not now one our out please say see she show some tell than that the their them "
    "then there these they this use used want was were what when where which who why will with would you your"
)
_SCHEMA_COMPLAINT = re.compile(r"JSON schema error at #/\$defs/([\w-]+)(\S*): (.*?)\W*$", re.DOTALL)


def choose_tools(request: ChatRequest) -> list[Tool]:
    """The tools to offer in this round, of which the model must call one; [] if it is to answer in text."""
    tools, choice = request.tools or [], request.tool_choice
    if choice == "none" or not tools:
        return []
    if request.forced_tool is not None:
        return [tool for tool in tools if tool.function.name == request.forced_tool]
    if choice != "required" and request.rounds:
        return []
    prompt = request.last_user_text
    said = _words(prompt)
    best = max(tools, key=lambda tool: _closeness(tool, prompt, said))
    if _closeness(best, prompt, said):
        return [best]
    return tools if choice == "required" else []


def call_format(tools: Sequence[Tool]) -> dict[str, JsonValue]:
    """The `response_format` that makes the model write `{"name": ..., "arguments": {...}}` for one of `tools`."""
    names = [tool.function.name for tool in tools]
    calls: list[JsonValue] = [
        {
            "type": "object",
            "properties": {"name": {"const": name}, "arguments": {"$ref": f"#/$defs/{name}"}},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for name in names
    ]
    # llama.cpp knows `$defs` at the root alone, so each tool's own references get a longer way.
    definitions = {tool.function.name: _rebase(_parameters(tool), f"#/$defs/{tool.function.name}") for tool in tools}
    return {"type": "json_schema", "json_schema": {"name": "call", "schema": {"$defs": definitions, "anyOf": calls}}}


def explain_schema(complaint: str, request: ChatRequest) -> RefusedRequestError | None:
    """The refusal that names the tool whose schema llama.cpp does not take; None if its complaint is another."""
    found = _SCHEMA_COMPLAINT.search(complaint)
    names = [tool.function.name for tool in request.tools or []]
    if found is None or found[1] not in names:
        return None
    where = f" at {found[2].lstrip('/')}" if found[2] else ""
    return RefusedRequestError(
        f"The parameters of the tool {found[1]!r} are not understood{where}: {found[3]}.",
        code="invalid_function_parameters",
        param=f"tools.{names.index(found[1])}.function.parameters",
    )


def prompt_messages(request: ChatRequest, tools: Sequence[Tool]) -> list[JsonValue]:
    """The conversation in the three roles that the model's template has, text only; `tools` are explained at its end.

    The calls of a round become a sentence of the assistant's, their results one of the user's.
    """
    roles = {"developer": "system", "tool": "user"}
    told: list[tuple[str, str]] = []
    names: dict[str, str] = {}
    is_results = False
    for message in request.messages:
        names.update({call.id: call.function.name for call in message.calls})
        text = _plain_text(message, names)
        if message.role == "tool" and is_results:
            told[-1] = ("user", f"{told[-1][1]}\n{text}")
        else:
            told.append((roles.get(message.role, message.role), text))
        is_results = message.role == "tool"
    role, text = told[-1]
    if tools:
        # A prompt is asked in these words; what is no prompt stays before them.
        if role == "user" and not is_results:
            told.pop()
        told.append(("user", _ask_for_call(request, tools)))
    elif is_results:
        told[-1] = (role, f"{text}\n\nTell me in one sentence what this says.")
    return [{"role": role, "content": text} for role, text in told]


class CallReader:
    """Turns the JSON of a call, as it is generated, into the deltas of a tool call, without spaces between tokens."""

    def __init__(self, call_id: str) -> None:
        self._call_id = call_id
        self._head = ""
        self._has_name = False
        self._depth = 0
        self._is_in_string = False
        self._is_escaped = False

    def feed(self, text: str) -> Iterator[EngineEvent]:
        """The deltas of the next piece of the JSON."""
        if not self._has_name:
            self._head += text
            found = re.match(r'\s*\{\s*"name"\s*:\s*("[^"]*")\s*,\s*"arguments"\s*:\s*(?=\{)', self._head)
            if found is None:
                return
            self._has_name = True
            yield Delta.of_call(0, self._call_id, json.loads(found[1]))
            text = self._head[found.end() :]
        if kept := "".join(self._kept(text)):
            yield Delta.of_arguments(0, kept)

    def _kept(self, text: str) -> Iterator[str]:
        for character in text:
            if self._is_in_string:
                self._is_in_string = character != '"' or self._is_escaped
                self._is_escaped = character == "\\" and not self._is_escaped
            elif character == '"':
                self._is_in_string = True
            elif character.isspace():
                continue
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                if self._depth < 0:
                    return  # the end of the call itself
            yield character


def _parameters(tool: Tool) -> Mapping[str, JsonValue]:
    return tool.function.parameters or {"type": "object", "properties": {}, "additionalProperties": False}


def _rebase(schema: JsonValue | Mapping[str, JsonValue], root: str) -> JsonValue:
    """`schema` with its references to itself leading to `root`."""
    if isinstance(schema, list):
        return [_rebase(item, root) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    rebased = {key: _rebase(value, root) for key, value in schema.items()}
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        rebased["$ref"] = root + reference[1:]
    return rebased


def _ask_for_call(request: ChatRequest, tools: Sequence[Tool]) -> str:
    lines = []
    for tool in tools:
        properties = _parameters(tool).get("properties")
        names = ", ".join(properties) if isinstance(properties, Mapping) else ""
        lines.append(f"{tool.function.name}({names}): {tool.function.description or ''}")
    listed = "\n".join(lines)
    return (
        f"Functions:\n{listed}\n\nQuestion: {request.last_user_text}\n"
        "Which function answers the question, and with which arguments? Reply with JSON."
    )


def _plain_text(message: Message, names: Mapping[str, str]) -> str:
    if message.role == "tool":
        return f"{names.get(message.tool_call_id or '', 'It')} says: {_in_words(message.text)}"
    if message.calls and not message.text:
        return f"I look it up with {', '.join(call.function.name for call in message.calls)}."
    return message.text


def _in_words(result: str) -> str:
    """A flat JSON object as "the key is value, …", which the model repeats rightly where JSON confuses it."""
    try:
        found = json.loads(result)
    except (ValueError, RecursionError):
        return result
    if not isinstance(found, dict) or not found or any(isinstance(value, dict | list) for value in found.values()):
        return result
    words = {key: value if isinstance(value, str) else json.dumps(value) for key, value in found.items()}
    return ", ".join(f"the {key} is {value}" for key, value in words.items())


def _closeness(tool: Tool, prompt: str, said: set[str]) -> int:
    """How much a tool has to do with a prompt: words in common count, those of its name twice; its name counts most."""
    function = tool.function
    properties = _parameters(tool).get("properties")
    texts = [function.description or "", *(properties if isinstance(properties, Mapping) else ())]
    is_named = function.name.lower() in prompt.lower()
    return 100 * is_named + 2 * len(said & _words(function.name)) + len(said & _words(*texts))


def _words(*texts: str) -> set[str]:
    everyday = _EVERYDAY_WORDS.split()
    found: Iterable[str] = (word.lower() for text in texts for word in _WORDS.findall(_HUMP.sub(" ", text)))
    return {word.removesuffix("s") for word in found if len(word) > 2 and word not in everyday}
