"""Which function of the API is answered by which Python function.

A behaviour takes the world and the request, and returns the result::

    @answers(GetServerInfo)
    def get_server_info(world: World, request: GetServerInfo) -> ServerInfo:
        return ServerInfo(version=world.server_version, machine_name=world.machine_name)

A long one is a generator: what it yields goes into the log and the progress of its task::

    @answers(CompactStore)
    def compact_store(world: World, request: CompactStore) -> Steps[None]:
        yield Step("Compacting...", percent=0)
        yield Step("Finished.")

Both hold the world's lock while they run, a long one during each of its steps: between
two steps, others may change the world. `Failed`, raised at any time, makes the call fail.
"""

from __future__ import annotations

import inspect
import logging
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeAlias, TypeVar, cast, overload

from pydantic import JsonValue, TypeAdapter

from mailstore.models.base import REVEAL, Request
from mailstore.sandbox.state import World

R = TypeVar("R")
Q = TypeVar("Q", bound=Request[Any])
Q_co = TypeVar("Q_co", bound=Request[Any], covariant=True)

_logger = logging.getLogger("mailstore.sandbox")


class Failed(Exception):  # noqa: N818 - the word of the API, `statusCode` "failed"
    """Makes a call fail: the answer is an envelope with the status ``failed`` and this message.

    Args:
        message: The ``message`` of the error, in the words of the real server where they are known.
        kind: The .NET exception that the ``details`` of the error begin with.
        note: What the real server would not say, added to the details.
    """

    def __init__(self, message: str, *, kind: str = "System.Exception", note: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.note = note

    def details(self, function: str) -> str:
        """Return a text that looks like the stack trace of a .NET exception."""
        lines = [f"{self.kind}: {self.message}", f"   at MailStore.Sandbox.Invoke.{function}()"]
        if self.note:
            lines += ["   --- from the sandbox ---", *self.note.splitlines()]
        return "\r\n".join(lines)


@dataclass(frozen=True)
class Step:
    """Something that a long call tells about itself."""

    log: str | None = None
    """A line of the log, without its line end; line feeds in it make several lines."""

    percent: int | None = None
    """Progress from 0 to 100; what was said last stays if left out."""

    text: str | None = None
    """The ``statusText``; what was said last stays if left out."""


Steps: TypeAlias = Generator[Step, None, R]
"""What a long behaviour returns: a generator of steps that ends with the result."""


@dataclass(frozen=True)
class Function:
    """A function that the sandbox answers."""

    request_type: type[Request[Any]]
    """The class of its requests."""

    behaviour: Callable[[World, Any], object]
    """What it does."""

    @cached_property
    def is_long(self) -> bool:
        """Whether a call becomes a task."""
        return inspect.isgeneratorfunction(self.behaviour)

    @cached_property
    def _result(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.request_type.returns)

    def call(self, world: World, request: Request[Any]) -> JsonValue:
        """Carry out a quick call and return its result as it travels.

        Raises:
            Failed: The call failed, or the behaviour has a mistake.
        """
        with world.lock, _only_failed(self.request_type.function):
            return self._to_wire(self.behaviour(world, request))

    def steps(self, world: World, request: Request[Any]) -> Steps[JsonValue]:
        """Carry out a call step by step; a quick one makes a single step.

        Raises:
            Failed: The call failed, or the behaviour has a mistake.
        """
        name = self.request_type.function
        if not self.is_long:
            yield Step()
            return self.call(world, request)
        steps = cast("Steps[object]", self.behaviour(world, request))
        try:
            while True:
                with world.lock, _only_failed(name):
                    try:
                        step = next(steps)
                    except StopIteration as end:
                        return self._to_wire(end.value)
                yield step
        finally:
            with world.lock, _only_failed(name):
                steps.close()

    def _to_wire(self, result: object) -> JsonValue:
        # A result of another type than declared is a mistake in the behaviour, hence the strict warnings.
        dumped: JsonValue = self._result.dump_python(
            result, mode="json", by_alias=True, exclude_unset=True, context=REVEAL, warnings="error"
        )
        return dumped


@contextmanager
def _only_failed(function: str) -> Generator[None]:
    """Turn every other exception into `Failed`, as a .NET server does with its own."""
    try:
        yield
    except Failed:
        raise
    except Exception as error:
        _logger.exception("the behaviour of %s has a mistake", function)
        raise Failed(f"{type(error).__name__}: {error}", note=traceback.format_exc()) from error


class Answers(Generic[Q_co]):
    """The decorator for one function; generic so that type checkers see what a behaviour takes and returns."""

    def __init__(self, registry: Registry, request_type: type[Request[Any]]) -> None:
        self._registry = registry
        self._request_type = request_type

    @overload
    def __call__(
        self: Answers[Request[R]], behaviour: Callable[[World, Q_co], Steps[R]]
    ) -> Callable[[World, Q_co], Steps[R]]: ...
    @overload
    def __call__(self: Answers[Request[R]], behaviour: Callable[[World, Q_co], R]) -> Callable[[World, Q_co], R]: ...
    def __call__(self, behaviour: Callable[[World, Any], object]) -> Callable[[World, Any], object]:
        """Register the behaviour and return it as it is."""
        self._registry.add(self._request_type, behaviour)
        return behaviour


class Registry:
    """The functions of a server, by name.

    Example:
        >>> functions = registry.copy()
        >>> @functions.answers(GetServerInfo)
        ... def get_server_info(world: World, request: GetServerInfo) -> ServerInfo:
        ...     raise Failed("The server is tired.")
        >>> Sandbox(functions=functions)
    """

    def __init__(self) -> None:
        self._functions: dict[str, Function] = {}

    def answers(self, request_type: type[Q]) -> Answers[Q]:
        """Return a decorator for the behaviour that answers this function from now on."""
        return Answers(self, request_type)

    def add(self, request_type: type[Request[Any]], behaviour: Callable[[World, Any], object]) -> None:
        """Let a behaviour answer this function from now on."""
        self._functions[request_type.function] = Function(request_type, behaviour)

    def get(self, name: str, *, ignore_case: bool = False) -> Function | None:
        """Return a function by its name."""
        found = self._functions.get(name)
        if found is None and ignore_case:
            return next((self._functions[known] for known in self._functions if known.lower() == name.lower()), None)
        return found

    def __iter__(self) -> Iterator[Function]:
        return iter(list(self._functions.values()))

    def __len__(self) -> int:
        return len(self._functions)

    def copy(self) -> Registry:
        """Return a registry of its own with the same functions."""
        copied = Registry()
        copied._functions.update(self._functions)
        return copied


registry: Registry = Registry()
"""The functions that the sandbox comes with."""


def answers(request_type: type[Q]) -> Answers[Q]:
    """Return a decorator for a behaviour that the sandbox comes with."""
    return registry.answers(request_type)
