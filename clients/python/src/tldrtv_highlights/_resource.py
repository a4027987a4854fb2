"""Operations written once, called either way.

A resource's methods only say what to send. Whose method it is decides how: of a resource of
`HighlightsClient` it returns the answer, of `AsyncHighlightsClient` something to await.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, cast, overload

from tldrtv_highlights._endpoint import SUCCESSFUL, Endpoint, Sent
from tldrtv_highlights._transport import AsyncTransport, File, SyncTransport
from tldrtv_highlights.models import Page, StreamEvent, TenantEvent

P = ParamSpec("P")
T = TypeVar("T")
E = TypeVar("E", bound=StreamEvent | TenantEvent)
Transport = TypeVar("Transport", bound=SyncTransport | AsyncTransport)


class Resource(Generic[Transport]):
    """A group of operations."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    def bound(
        self, build: Callable[..., Sent | File], send: Callable[..., Any]
    ) -> Callable[..., Any]:
        """Return a method of this resource that sends what `build` says."""

        @wraps(build)
        def method(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - typed by who binds it
            return send(build(self, *args, **kwargs))

        return method


class Method(Generic[P, T]):
    """A method of a resource, bound to the client whose resource it is.

    Args:
        endpoint: the operation that it calls.
        build: says what to send, given the method's arguments.
    """

    def __init__(
        self, endpoint: Endpoint[T], build: Callable[Concatenate[Any, P], Sent | File]
    ) -> None:
        self.endpoint = endpoint
        self.build = build
        self.__doc__ = build.__doc__


class Operation(Method[P, T]):
    """A method that sends one request."""

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Resource[SyncTransport], owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(
        self, instance: Resource[AsyncTransport], owner: type
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, instance: Resource[Any] | None, owner: type) -> Any:
        """Return the method, bound to how its resource sends."""
        if instance is None:
            return self
        return instance.bound(self.build, partial(instance.transport.call, self.endpoint))


class Paging(Protocol[P, T]):
    """A method that iterates over a list, or reads one page of it."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]: ...

    def page(self, cursor: str | None, *args: P.args, **kwargs: P.kwargs) -> Page[T]:
        """Read the page at a cursor, `next_cursor` of the one before; None is the first page."""


class AsyncPaging(Protocol[P, T]):
    """The same for asyncio."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]: ...

    async def page(self, cursor: str | None, *args: P.args, **kwargs: P.kwargs) -> Page[T]:
        """Read the page at a cursor, `next_cursor` of the one before; None is the first page."""


class Listing(Method[P, Page[T]]):
    """A method that iterates over a list, page by page."""

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Resource[SyncTransport], owner: type) -> Paging[P, T]: ...
    @overload
    def __get__(self, instance: Resource[AsyncTransport], owner: type) -> AsyncPaging[P, T]: ...
    def __get__(self, instance: Resource[Any] | None, owner: type) -> Any:
        """Return the method, bound to how its resource sends."""
        if instance is None:
            return self

        def page(cursor: str | None, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as above
            sent = cast("Sent", self.build(instance, *args, **kwargs))
            at = replace(sent, query={**sent.query, "cursor": cursor})
            return instance.transport.call(self.endpoint, at)

        method: Any = instance.bound(self.build, partial(instance.transport.pages, self.endpoint))
        method.page = page
        return method


class Following(Method[P, None], Generic[P, E]):
    """A method that iterates over events until they end."""

    def __init__(
        self,
        endpoint: Endpoint[None],
        build: Callable[Concatenate[Any, P], Sent],
        read: Callable[[dict[str, str]], E],
    ) -> None:
        super().__init__(endpoint, build)
        self.read = read

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(
        self, instance: Resource[SyncTransport], owner: type
    ) -> Callable[P, Iterator[E]]: ...
    @overload
    def __get__(
        self, instance: Resource[AsyncTransport], owner: type
    ) -> Callable[P, AsyncIterator[E]]: ...
    def __get__(self, instance: Resource[Any] | None, owner: type) -> Any:
        """Return the method, bound to how its resource sends."""
        if instance is None:
            return self
        return instance.bound(
            self.build, partial(instance.transport.events, self.endpoint, self.read)
        )


class Download(Method[P, bytes]):
    """A method that fetches a file, whole or not at all, and returns its path."""

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Resource[SyncTransport], owner: type) -> Callable[P, Path]: ...
    @overload
    def __get__(
        self, instance: Resource[AsyncTransport], owner: type
    ) -> Callable[P, Coroutine[Any, Any, Path]]: ...
    def __get__(self, instance: Resource[Any] | None, owner: type) -> Any:
        """Return the method, bound to how its resource sends."""
        if instance is None:
            return self
        return instance.bound(self.build, instance.transport.download)


def operation(
    route: str,
    answer: type[T],
    *,
    creates: bool = False,
    repeatable: bool = True,
    statuses: frozenset[int] = SUCCESSFUL,
) -> Callable[[Callable[Concatenate[Any, P], Sent]], Operation[P, T]]:
    """Make what a method says to send a call of an operation; `Endpoint` has the arguments."""
    endpoint = Endpoint(route, answer, creates=creates, repeatable=repeatable, statuses=statuses)
    return lambda build: Operation(endpoint, build)


def listing(
    route: str, answer: type[Page[T]]
) -> Callable[[Callable[Concatenate[Any, P], Sent]], Listing[P, T]]:
    """Make what a method says to send an iteration over a list."""
    return lambda build: Listing(Endpoint(route, answer), build)


def following(
    route: str, read: Callable[[dict[str, str]], E]
) -> Callable[[Callable[Concatenate[Any, P], Sent]], Following[P, E]]:
    """Make what a method says to send an iteration over events, which `read` reads."""
    return lambda build: Following(Endpoint(route, type(None)), build, read)


def downloads(route: str) -> Callable[[Callable[Concatenate[Any, P], File]], Download[P]]:
    """Make the file that a method names a download; its signed URL leads to the operation."""
    return lambda build: Download(Endpoint(route, bytes), build)
