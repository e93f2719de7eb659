"""The part of Dask's distributed that the examples use; the package itself has next to no types."""

from concurrent.futures import Executor
from types import TracebackType
from typing import Self

class LocalCluster:
    def __init__(
        self,
        *,
        n_workers: int | None = None,
        threads_per_worker: int | None = None,
        processes: bool | None = None,
        dashboard_address: str | None = ...,
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

class Client:
    def __init__(self, address: LocalCluster | str | None = None) -> None: ...
    def get_executor(self, *, pure: bool = ...) -> Executor: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
