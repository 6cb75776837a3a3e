"""Chat: conversation + transport + view, put together. And the plainest door, which needs no notebook."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from . import agent
from .aliases import resolve_alias
from .approvals import POLICIES, Approvals
from .attachments import read_attachments
from .comparison import MOST_MODELS, Comparison
from .config import Settings
from .conversation import Conversation, Exchange, Turn, Usage
from .errors import AnswerFormatError, UsageError, show_briefly
from .events import Event, TextDelta
from .execution import execute_with
from .kernel import main_thread, stream_thread, wait_ticking
from .keys import present_key
from .masks import find_name
from .parts import ImagePart, TextPart, UserPart
from .preview import Preview
from .pricing import Meter
from .prompts import join_texts
from .route import Route, open_route
from .run import Request, Run
from .timing import estimate_request_tokens, iso_now
from .tool_calls import ToolCalls
from .tools import Tool, make_tool
from .view import captured_output, open_view
from .view.markdown import strip_fence
from .wire.chat_completions import continuation, messages_from_turns


class Chat:
    """A conversation with a model.

        chat = Chat(model="gpt-4.1")
        run = await chat.ask("Why is the sky blue?")     # in a notebook the answer streams below the cell
        run = chat.ask("And at sunset?"); run.result()   # the same in synchronous code
        async for event in chat.stream("In one line?"): ...

    model, system      for prompts that name no other; the settings' where None
    base_url           another endpoint than the settings'; it needs `api_key_name`
    api_key_name       the environment variable that holds the key
    transport          "sse", "ws" (WebSocket) or "auto"; the settings' where None
    tools              functions the model may call; see `tool`
    approve            what happens to calls of tools that are not marked as safe: "ask" a person, "auto" makes
                       them, "deny" does not; the settings' where None
    max_rounds         most rounds of a run; the settings' where None
    parameters         go into each request as they are: `temperature=0.2, max_tokens=500, seed=1, ...`
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        system: str | None = None,
        base_url: str | None = None,
        api_key_name: str | None = None,
        transport: str | None = None,
        tools: Iterable[Callable[..., Any] | Tool] = (),
        approve: str | None = None,
        max_rounds: int | None = None,
        settings: Settings | None = None,
        **parameters: Any,
    ) -> None:
        self.settings = settings or Settings()
        self.model = model
        self.system = system
        self.base_url = base_url
        self.api_key_name = api_key_name
        self.transport = transport
        self.tools = _by_name(tools)
        self.approve = approve
        self.max_rounds = max_rounds
        self.parameters = parameters
        self.conversation = Conversation()
        self.runs: list[Run] = []
        self.chosen: Run | None = None
        self.listed_models: list[str] = []
        self._always: set[str] = set()

    def __repr__(self) -> str:
        return f"<Chat {self.model or self.settings.resolved_model()}, {len(self.conversation.exchanges)} exchanges>"

    def ask(
        self,
        prompt: str | Sequence[UserPart],
        *,
        attach: Sequence[Any] = (),
        model: str | None = None,
        system: str | None = None,
        base_url: str | None = None,
        api_key_name: str | None = None,
        transport: str | None = None,
        tools: Iterable[Callable[..., Any] | Tool] = (),
        approve: str | None = None,
        max_rounds: int | None = None,
        max_cost: float | None = None,
        fallback: str | None = None,
        record: str | os.PathLike[str] | None = None,
        replay: str | os.PathLike[str] | None = None,
        answer_format: str = "markdown",
        cell: str | None = None,
        afresh: bool = False,
        live: bool = False,
        label: str = "",
        remark: str = "",
        show: bool = True,
        shows_error: bool = True,
        listener: Callable[[Event | None], None] | None = None,
        start: bool = True,
        **parameters: Any,
    ) -> Run:
        """Sends a prompt with the conversation above it; the answer streams while you go on.

        prompt        text, or texts with images among them, as `prompts.interpolate` gives them
        attach        values that go with the prompt as a model reads them; a `Path` stands for its file
        tools         functions for this prompt, besides the chat's
        max_cost      most that the run may cost, in US dollars; it ends there as "budget", and what came is kept
        fallback      the model that is asked where this one cannot answer; the settings' where None
        record        a file that gets what is sent and what comes, without the key
        replay        such a file, played instead of asking: it needs neither key nor network
        cell          the cell that asks: asking again from it replaces its exchange
        afresh        leaves out what was said above
        remark        what the answer's footer says besides
        live          keeps the widget instead of freezing it into markdown
        show          False streams without showing anything
        shows_error   False leaves an error's sentence to whoever raises it
        listener      is called on the stream thread with each event, and with None at the end
        start         False leaves it to `run.start()`; nothing is shown then

        Raises `UsageError` and `ConfigurationError` at once, before anything is sent; what goes wrong
        later is raised when the run is awaited.
        """
        turns = [_user_turn(prompt, attach), Turn("assistant")]
        asked = self._asked_model(model, base_url)
        offered = {**self.tools, **_by_name(tools)}
        route = open_route(
            self.settings,
            transport or self.transport,
            base_url or self.base_url,
            api_key_name or self.api_key_name,
            has_tools=bool(offered),
            model=asked,
            fallback=fallback,
            record=record,
            replay=replay,
        )
        self._refuse_keys(api_key_name, prompt=turns[0].text, system=system)
        policy = approve or self.approve or self.settings.approve
        if policy not in POLICIES:
            raise UsageError(f"There is no way to approve called {policy!r}: it is ask, auto or deny.")
        earlier = self.conversation.context_of(cell, afresh=afresh)
        messages = self._messages(earlier, turns[0], system, asked)
        sent = {**self._default_parameters(), **self.parameters, **parameters}
        if offered:
            sent["tools"] = [each.definition() for each in offered.values()]
        body = route.request_body(asked, messages, sent)
        meter = _meter(self.settings, route, max_cost)
        meter.check_start(route.models(asked), estimate_request_tokens(body))
        exchange = self.conversation.begin(cell, turns, afresh=afresh, label=label)
        read = [each for each in earlier if each.source]
        branches = tuple(exchange.branches)
        request = Request(
            prompt=Turn.user(prompt).text,
            model=asked,
            body=body,
            host=route.host,
            transport=route.protocol,
            earlier_cells=len(earlier),
            answer_format=answer_format,
            label=label,
            cell=exchange.key,
            replayed_from=route.cassette.path.name if route.cassette is not None else "",
            starts_afresh=afresh,
            earlier_source=read[0].source if read else "",
            earlier_read=len(read),
            remark=remark,
            branches=branches,
            version=len(branches) + 1,
            asked_at=iso_now(),
        )
        view = open_view(live=live, hidden=not show, shows_error=shows_error) if start else None
        approvals = Approvals(policy, self._always, self.settings.approval_timeout_s, lambda: run.can_ask)
        calls = self._tool_calls(route, asked, offered, approvals) if offered else None
        rounds = max_rounds or self.max_rounds or self.settings.max_rounds
        run = Run(
            request,
            turns,
            lambda turn: agent.converse(
                route.lines(asked, messages + continuation(turn.parts), sent),
                calls,
                rounds,
                self.settings.retries(),
                turn.next_call_index,
                run.note_request,
            ),
            _read_json if answer_format == "json" else str,
            approvals,
            meter,
        )
        self.runs.append(run)
        self.chosen = None
        if listener is not None:
            run.subscribe(listener)
        if not start:
            return run
        return run.start(view) if view else run.start()

    def compare(
        self,
        prompt: str | Sequence[UserPart],
        models: Sequence[str | None],
        *,
        cell: str | None = None,
        live: bool = False,
        show: bool = True,
        **options: Any,
    ) -> Comparison:
        """Sends a prompt to several models at once, each with the conversation above it.

            comparison = await chat.compare("Which join?", models=["gpt-4.1", "gemini-2.5-flash"])
            comparison.keep("gpt-4.1")

        models    two or more; None is the chat's own, or the settings'
        options   what `ask` takes, but for `record`, `replay`, `model`, `listener` and `start`

        Later prompts go on from the answer that is kept, or until then from the first that is complete, in the order
        of `models`. Raises `UsageError` and `ConfigurationError` at once, before anything is sent; a model that fails
        leaves the others, and only if all do is an error raised when the comparison is awaited.
        """
        _check_comparison(models, options)
        runs: list[Run] = []
        for model in models:
            run = self.ask(prompt, model=model, cell=cell, start=False, **options)
            runs.append(run)
            cell = run.request.cell
        # The columns are no versions of each other.
        first = runs[0].request
        for run in runs:
            run.request = replace(run.request, branches=first.branches, version=first.version)

        def choose(run: Run) -> None:
            # A cell that was run again meanwhile goes on from what it has now, unless a person says otherwise.
            now = self.conversation.turns_of(run.request.cell)
            if comparison.kept is not None or any(now is each.turns for each in runs):
                self.conversation.choose(run.request.cell, run.turns)

        comparison = Comparison(runs, choose)
        from .view import open_comparison

        return comparison.start(open_comparison(live=live, hidden=not show))

    def preview(
        self,
        prompt: str | Sequence[UserPart],
        *,
        attach: Sequence[Any] = (),
        model: str | None = None,
        system: str | None = None,
        base_url: str | None = None,
        api_key_name: str | None = None,
        transport: str | None = None,
        tools: Iterable[Callable[..., Any] | Tool] = (),
        cell: str | None = None,
        afresh: bool = False,
        **parameters: Any,
    ) -> Preview:
        """What `ask` would send, and how large it is. Nothing is sent or remembered, and no key is needed.

        Takes what `ask` takes of the same names. Raises `UsageError` and `ConfigurationError`.
        """
        turn = _user_turn(prompt, attach)
        asked = self._asked_model(model, base_url)
        offered = {**self.tools, **_by_name(tools)}
        route = open_route(
            self.settings,
            transport or self.transport,
            base_url or self.base_url,
            api_key_name or self.api_key_name,
            has_tools=bool(offered),
            model=asked,
            needs_key=False,
        )
        self._refuse_keys(api_key_name, prompt=turn.text, system=system)
        earlier = self.conversation.context_of(cell, afresh=afresh)
        messages = self._messages(earlier, turn, system, asked)
        sent = {**self._default_parameters(), **self.parameters, **parameters}
        if offered:
            sent["tools"] = [each.definition() for each in offered.values()]
        body = route.request_body(asked, messages, sent)
        cost = self.settings.price(asked, route.host).cost(Usage(estimate_request_tokens(body), 0, is_estimate=True))
        return Preview(
            model=asked,
            body=body,
            host=route.host,
            transport=route.protocol,
            earlier_cells=len(earlier),
            cost="" if cost.usd is None else str(cost),
        )

    def _messages(
        self, earlier: Iterable[Exchange], turn: Turn, system: str | None, model: str
    ) -> list[dict[str, Any]]:
        """The messages of a request: what was said in `earlier` exchanges, and the turn of a person."""
        turns = [*(each for exchange in earlier for each in exchange.turns), turn]
        return messages_from_turns(turns, self.system_prompt(system), takes_images=self.settings.takes_images(model))

    def _refuse_keys(self, api_key_name: str | None, *, prompt: str, system: str | None) -> None:
        settings = self.settings
        own = (settings.api_key_name, settings.resolved_api_key_name(), settings.fallback_api_key_name)
        for name in (*own, self.api_key_name, api_key_name):
            present_key(name or "")
        _refuse_key(prompt, "prompt")
        _refuse_key(self.system_prompt(system), "system prompt")

    def _tool_calls(self, route: Route, model: str, tools: dict[str, Tool], approvals: Approvals) -> ToolCalls:
        main_thread.remember()

        takes_images = self.settings.takes_images(model)
        return ToolCalls(tools, approvals, execute_with(captured_output, route.secrets, takes_images=takes_images))

    async def stream(self, prompt: str, **options: Any) -> AsyncGenerator[Event, None]:
        """The events of the answer, as they come. Takes what `ask` takes; shows nothing unless told.

        Leaving the loop early stops the run. Raises `HolySheepError` at the end of a run that failed.
        """
        events, listen = _event_queue()
        run = self.ask(prompt, **{"show": False, **options}, listener=listen)
        try:
            while (event := await events.get()) is not None:
                yield event
        finally:
            run.stop()
        run.raise_error()

    def stop(self) -> int:
        """Stops every run that is still going. Gives how many there were."""
        going = self.going()
        for run in going:
            run.stop()
        return len(going)

    def going(self) -> list[Run]:
        """The runs that have not ended."""
        return [run for run in self.runs if not run.is_finished]

    def reset(self) -> None:
        """Forgets the conversation. Runs and outputs stay as they are."""
        self.conversation.reset()

    async def list_models(self) -> list[str]:
        """The names of the models the endpoint offers. Raises `HolySheepError`."""
        route = open_route(self.settings, "sse", self.base_url, self.api_key_name)
        self.listed_models = await wait_ticking(stream_thread.submit(route.list_models()))
        return self.listed_models

    def system_prompt(self, given: str | None = None) -> str:
        """The system prompt of a request: the given one, else this chat's, else the settings'."""
        return next((text for text in (given, self.system) if text is not None), self.settings.system)

    def _asked_model(self, given: str | None, base_url: str | None) -> str:
        model = resolve_alias(given or self.model or self.settings.resolved_model())
        return model if base_url or self.base_url else self.settings.served_model(model)

    def _default_parameters(self) -> dict[str, Any]:
        return {"max_tokens": self.settings.max_tokens, "temperature": self.settings.temperature}


def _check_comparison(models: Sequence[str | None], options: Mapping[str, Any]) -> None:
    """Raises `UsageError` for what cannot be compared."""
    if not 2 <= len(models) <= MOST_MODELS:
        raise UsageError(f"Name 2 to {MOST_MODELS} models to compare; here are {len(models)}.")
    if options.get("record") or options.get("replay"):
        raise UsageError("A cassette holds one answer: record or replay each model on its own.")


def _user_turn(prompt: str | Sequence[UserPart], attach: Sequence[Any]) -> Turn:
    """What a person says, with what is attached below it. Raises `UsageError`."""
    said: Sequence[UserPart] = [TextPart(prompt)] if isinstance(prompt, str) else prompt
    if not any(isinstance(part, ImagePart) or part.text.strip() for part in said):
        raise UsageError("The prompt is empty: write it below the first line of the cell.")
    return Turn.user(join_texts([*said, *read_attachments(attach)]))


def _meter(settings: Settings, route: Route, max_cost: float | None = None) -> Meter:
    """Prices and limits of a run that takes this route: a replayed one costs nothing."""
    return Meter(
        lambda model: settings.price(model, route.host),
        max_cost,
        lambda: settings.budget,
        is_counted=route.cassette is None,
    )


def _refuse_key(text: str, what: str) -> None:
    """Raises `UsageError` for a text that holds a known key: it would go to the model, and into the notebook."""
    name = find_name(text)
    if name:
        error = UsageError(f"The {what} contains the value of {name}: take it out.")
        # Some tracebacks show variables, and here one is the text.
        show_briefly(error, f"UsageError: {error}")
        raise error


def _by_name(tools: Iterable[Callable[..., Any] | Tool]) -> dict[str, Tool]:
    """The tools, checked. Raises `UsageError`."""
    made: dict[str, Tool] = {}
    for function in tools:
        found = make_tool(function)
        if found.name in made:
            raise UsageError(f"Two tools are called {found.name!r}: give one another name with @tool(name=...).")
        made[found.name] = found
    return made


def _read_json(text: str) -> Any:
    try:
        return json.loads(strip_fence(text))
    except ValueError as error:
        raise AnswerFormatError(f"The answer is not JSON ({error}); its text is kept.") from None


def stream_chat_completion_sse(
    model: str,
    messages: list[dict[str, Any]],
    max_tokens: int | None = 2048,
    *,
    settings: Settings | None = None,
    **parameters: Any,
) -> Iterator[str]:
    """The text of the answer to `messages`, piece by piece: for scripts and synchronous code.

        for text in stream_chat_completion_sse("gpt-4.1", [{"role": "user", "content": "Hello"}]):
            print(text, end="", flush=True)

    Leaving the loop early ends the request. Raises `HolySheepError`.
    """
    return _texts(plain_run("sse", settings, model, messages, {"max_tokens": max_tokens, **parameters}))


def stream_with_websocket(
    model: str,
    messages: list[dict[str, Any]],
    max_tokens: int | None = 2048,
    *,
    settings: Settings | None = None,
    **parameters: Any,
) -> AsyncGenerator[str, None]:
    """The text of the answer to `messages`, piece by piece over a WebSocket: for asynchronous code.

        async for text in stream_with_websocket("gpt-4.1", [{"role": "user", "content": "Hello"}]):
            print(text, end="", flush=True)

    Leaving the loop early closes the socket. Raises `HolySheepError`.
    """
    return _texts_awaited(plain_run("ws", settings, model, messages, {"max_tokens": max_tokens, **parameters}))


def plain_run(
    transport: str,
    settings: Settings | None,
    model: str,
    messages: list[dict[str, Any]],
    parameters: dict[str, Any],
) -> Run:
    """A run without a conversation and without a view, not started. Its calls are left to whoever asked."""
    settings = settings or Settings()
    model = settings.served_model(model)
    route = open_route(settings, transport)
    _refuse_key(json.dumps(messages), "prompt")
    body = route.request_body(model, messages, parameters)
    meter = _meter(settings, route)
    meter.check_start(route.models(model), estimate_request_tokens(body))
    request = Request(prompt="", model=model, body=body, host=route.host, transport=route.protocol)

    def answer(turn: Turn) -> AsyncGenerator[Event, None]:
        lines = route.lines(model, messages + continuation(turn.parts), parameters)
        return agent.converse(lines, retries=settings.retries(), note_request=run.note_request)

    run = Run(request, [Turn("assistant")], answer, meter=meter)
    return run


def _event_queue() -> tuple[asyncio.Queue[Event | None], Callable[[Event | None], None]]:
    """A queue of this loop, and the listener that fills it from the stream thread."""
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[Event | None] = asyncio.Queue()

    def listen(event: Event | None) -> None:
        # Whoever left the loop over the events may have closed this one.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(events.put_nowait, event)

    return events, listen


async def _texts_awaited(run: Run) -> AsyncGenerator[str, None]:
    events, listen = _event_queue()
    run.subscribe(listen)
    run.start()
    try:
        while (event := await events.get()) is not None:
            if isinstance(event, TextDelta):
                yield event.text
    finally:
        run.stop()
    run.raise_error()


def _texts(run: Run) -> Iterator[str]:
    events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
    run.subscribe(events.put)
    run.start()
    try:
        while (event := events.get()) is not None:
            if isinstance(event, TextDelta):
                yield event.text
    finally:
        run.stop()
    run.raise_error()
