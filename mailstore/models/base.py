"""What every model shares: wire names, openness, and access by subscript.

Nothing in this package does any I/O. A model has two spellings for each of its
fields: the Python one (``user_name``) and the one that travels (``userName``).
Constructors accept both, attributes are Python's, dumps and subscripts the API's.
"""

from __future__ import annotations

import re
from collections.abc import KeysView, Mapping
from enum import StrEnum
from functools import cache
from types import GenericAlias
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue

from mailstore.errors import ArgumentError

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.fields import FieldInfo
    from pydantic_core import CoreSchema

R_co = TypeVar("R_co", covariant=True)

REVEAL = "mailstore.reveal"
"""The serialization context under which secrets are dumped in the clear, for the wire alone."""

MASK = "**********"
_SECRET_NAME = re.compile(
    r"pass(word|phrase|wd)|secret|(api|access|encryption|private|product|recovery)_?(key|token)", re.IGNORECASE
)


class OpenEnum(StrEnum):
    """A set of texts that a newer server may extend.

    Members compare, hash, print and serialise as their text. A value that this
    version does not know becomes a member-like object of the same class: it keeps
    its text, is not listed among the members, and has `is_known` false.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        unknown = str.__new__(cls, value)
        unknown._name_ = value
        unknown._value_ = value
        return unknown

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        # By value: early releases of Python 3.11 pickle by name, which an unknown value has not.
        return type(self), (self.value,)

    @property
    def is_known(self) -> bool:
        """Whether this version of the package knows the value."""
        return self._name_ in type(self).__members__

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Describe the set as open: known values are examples, not the only ones allowed."""
        described = handler.resolve_ref_schema(handler(schema))
        described["examples"] = described.pop("enum", [member.value for member in cls])
        described["description"] = _first_paragraph(cls.__doc__)
        return described


def wire_name(name: str) -> Any:
    """Give a field a wire name that camel case would not produce, such as ``timeZoneID``.

    Two aliases instead of one: with a plain ``alias`` type checkers would want the
    wire name in the constructor.
    """
    return Field(validation_alias=name, serialization_alias=name)


def to_wire(name: str) -> str:
    """Turn ``user_name`` into ``userName``; a trailing underscore (``from_``) is Python's, not the wire's."""
    return to_camel(name.rstrip("_"))


class Model(BaseModel):
    """Base of everything that travels: immutable, with wire names by alias.

    Subscripts, ``in``, `get` and `keys` work with the API's spelling, as on the
    decoded JSON object that a model stands for: a member that the server left out
    is absent.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        alias_generator=to_wire,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        frozen=True,
        defer_build=True,
        hide_input_in_errors=True,
        # A name such as `model_version` on the wire must not clash with pydantic's own prefix.
        protected_namespaces=(),
    )

    def __getitem__(self, key: str) -> Any:
        """Return the member that travels under this name; `KeyError` when it is absent."""
        name = python_names(type(self)).get(key)
        if name is not None and name in self.model_fields_set:
            return getattr(self, name)
        return (self.model_extra or {})[key]

    def __contains__(self, key: object) -> bool:
        """Whether a member of this wire name was given."""
        return key in self.keys()

    def get(self, key: str, default: Any = None) -> Any:
        """Return the member of this wire name, or `default` when it is absent."""
        try:
            return self[key]
        except KeyError:
            return default

    def keys(self) -> KeysView[str]:
        """Return the wire names of the members that were given, unknown ones included."""
        given = self.model_fields_set
        names = {wire: None for wire, name in python_names(type(self)).items() if name in given}
        return (names | dict.fromkeys(self.model_extra or ())).keys()

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON object as it travels, with the members that were given and secrets in the clear."""
        return self.model_dump(mode="json", context=REVEAL)

    if not TYPE_CHECKING:
        # The same signatures as pydantic's; only the default of `exclude_unset` differs, so that
        # a member which an answer did not have is not invented when the answer is dumped again.
        def model_dump(self, **options):
            """Dump as pydantic does, but without the members that were never given."""
            return super().model_dump(**{"exclude_unset": True, **options})

        def model_dump_json(self, **options):
            """Dump to JSON text as pydantic does, but without the members that were never given."""
            return super().model_dump_json(**{"exclude_unset": True, **options})

    def __repr_args__(self) -> Any:
        """Show the members, those that look like secrets masked."""
        for name, value in super().__repr_args__():
            yield name, masked(value, name)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the docstrings of the fields, read from the source only when a schema is asked for."""
        from mailstore.models import _documentation

        described = handler.resolve_ref_schema(handler(schema))
        if cls.__doc__:
            described["description"] = _documentation.paragraphs(cls.__doc__)
        documented = _documentation.field_docstrings(cls)
        wire = wire_names(cls)
        for name in cls.model_fields:
            member = described.get("properties", {}).get(wire[name])
            if member is not None and name in documented:
                member["description"] = documented[name]
        return described


def masked(value: object, name: str | None = None) -> object:
    """Return a value fit for a repr or a log: what looks like a secret by its name is replaced."""
    if name is not None and _SECRET_NAME.search(name) and _could_be_secret(value):
        return MASK
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        return {key: masked(member, key) for key, member in members.items()}
    if isinstance(value, list):
        items = cast("list[object]", value)
        return [masked(item) for item in items]
    return value


def _could_be_secret(value: object) -> bool:
    return isinstance(value, str | int | float | dict | list | tuple) and not isinstance(value, bool) and value != ""


class Response(Model):
    """Base of what the server sends: members that this version does not know are kept.

    Unknown members are found in ``model_extra`` and by subscript, and come back in a dump.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="allow")


if TYPE_CHECKING:
    # To type checkers it is pydantic's own metaclass: the constructors are the same.
    from pydantic._internal._model_construction import ModelMetaclass as _RequestMeta
else:

    class _RequestMeta(type(BaseModel)):
        """Turns pydantic's complaint about a constructor's arguments into an `ArgumentError`."""

        def __call__(cls, *args, **fields):
            try:
                return super().__call__(*args, **fields)
            except ValidationError as error:
                refused = refusal(cls, error)
            # Outside of the handler: the original error holds the input, secrets included.
            raise refused


class Request(Model, Generic[R_co], metaclass=_RequestMeta):
    """A call of one function of the API; `R_co` is what the function returns.

    A subclass is the single source of truth for its function: its name on the wire,
    its result (the generic argument), whether it may be repeated, its documentation
    and its arguments. Both clients, the sandbox and the JSON Schema derive from it.
    The order of the fields is the order of the arguments in the tutorial's client.

    Raises:
        ArgumentError: An argument is missing, unknown, or not what the API allows.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, validate_default=True)

    function: ClassVar[str] = ""
    """Name of the function on the wire; the class name unless a class says otherwise."""

    endpoint: ClassVar[str] = ""
    """Path below ``/api/``; ``invoke/`` and the function's name unless a class says otherwise."""

    repeatable: ClassVar[bool] = False
    """Whether a call may be sent again when it is unknown if it was executed. True for ``Get…``."""

    enveloped: ClassVar[bool] = True
    """Whether the answer is always a status envelope."""

    returns: ClassVar[Any] = None
    """The result type, taken from the generic argument."""

    since: ClassVar[str | None] = None
    """First server version known to have the function, as far as is publicly known."""

    tutorial_defaults: ClassVar[dict[str, Any]] = {}
    """Defaults that the tutorial's client has and the model has not, by field name."""

    tutorial_required: ClassVar[frozenset[str]] = frozenset()
    """Arguments that the tutorial's client wants although the API does not, by field name."""

    if not TYPE_CHECKING:

        def __class_getitem__(cls, item):
            # A plain alias instead of a pydantic class for each result type: nothing is validated
            # through it, and a hundred classes less make the import of a module of models cheaper.
            return GenericAlias(cls, item if isinstance(item, tuple) else (item,))

        @classmethod
        def model_validate(cls, obj, **options):
            """Build the request from a mapping; raise `ArgumentError` where pydantic would raise its own error."""
            return _refusing(cls, super().model_validate, obj, options)

        @classmethod
        def model_validate_json(cls, json_data, **options):
            """Build the request from JSON text; raise `ArgumentError` where pydantic would raise its own error."""
            return _refusing(cls, super().model_validate_json, json_data, options)

    @classmethod
    def from_wire(cls, arguments: Mapping[str, object]) -> Self:
        """Build the request from arguments with the names of the wire; a refusal speaks of them by these names.

        Raises:
            ArgumentError: An argument is missing, unknown, or not what the API allows.
        """
        try:
            return super().model_validate(arguments)
        except ValidationError as error:
            refused = refusal(cls, error, wire=True)
        raise refused

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Fill in what the class does not say: name, path, result type, repeatability."""
        super().__pydantic_init_subclass__(**kwargs)
        own = cls.__dict__
        cls.function = own.get("function", cls.__name__)
        cls.endpoint = own.get("endpoint", f"invoke/{cls.function}")
        cls.repeatable = own.get("repeatable", cls.function.startswith("Get"))
        for base in own.get("__orig_bases__", ()):
            if get_origin(base) is Request:
                cls.returns = get_args(base)[0]


def _refusing(request_type: type[Request[Any]], validate: Any, value: Any, options: dict[str, Any]) -> Any:
    try:
        return validate(value, **options)
    except ValidationError as error:
        refused = refusal(request_type, error)
    raise refused


def refusal(request_type: type[Request[Any]], error: ValidationError, *, wire: bool = False) -> ArgumentError:
    """Put a validation error of a request into words that name the argument and what is allowed.

    Args:
        request_type: The class that refused.
        error: What pydantic said; none of its input is taken over, it may hold a secret.
        wire: Spell arguments as the API does instead of as Python does.
    """
    names = python_names(request_type)
    problems: list[str] = []
    argument = None
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        head, *rest = problem["loc"] or ("",)
        name = names.get(str(head), str(head))
        spelled = wire_names(request_type).get(name, name) if wire else name
        words = problem["msg"].removeprefix("Value error, ")
        if wire:
            words = _in_wire_names(words, request_type)
        if problem["type"] == "missing":
            words = "is required"
        elif problem["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
            known = wire_names(request_type).values() if wire else request_type.model_fields
            words = f"is not an argument of this function; known: {', '.join(known) or 'none'}"
        argument = argument or spelled or None
        where = ".".join([spelled, *(str(part) for part in rest)])
        problems.append(f"{where}: {words}" if where else words)
    return ArgumentError(
        "; ".join(dict.fromkeys(problems)) + ".",
        function=request_type.function or request_type.__name__,
        argument=argument,
    )


def _in_wire_names(words: str, request_type: type[Request[Any]]) -> str:
    names = wire_names(request_type)
    return re.sub(r"\w+", lambda word: names.get(word[0], word[0]) if "_" in word[0] else word[0], words)


@cache
def wire_names(model: type[Model]) -> dict[str, str]:
    """Map each field's Python name to its name on the wire, in the order of the fields."""
    return {name: _wire_name_of(model, name, field) for name, field in model.model_fields.items()}


def _wire_name_of(model: type[Model], name: str, field: FieldInfo) -> str:
    if field.serialization_alias is not None:
        return field.serialization_alias
    generator = model.model_config.get("alias_generator")
    return generator(name) if callable(generator) else name


@cache
def python_names(model: type[Model]) -> dict[str, str]:
    """Map each field's name on the wire to its Python name."""
    return {wire: name for name, wire in wire_names(model).items()}


def secrets_of(value: object) -> list[str]:
    """Collect the secret texts inside a model, a mapping or a list, however deep."""
    found: list[str] = []
    _collect_secrets(value, None, found)
    return found


def _collect_secrets(value: object, name: str | None, found: list[str]) -> None:
    if isinstance(value, SecretStr):
        found.append(value.get_secret_value())
    elif isinstance(value, str):
        if name is not None and _SECRET_NAME.search(name):
            found.append(value)
    elif isinstance(value, Model):
        for key, member in value:
            _collect_secrets(member, key, found)
    elif isinstance(value, dict):
        for key, member in cast("dict[str, object]", value).items():
            _collect_secrets(member, key, found)
    elif isinstance(value, list | tuple):
        for item in cast("list[object]", value):
            _collect_secrets(item, name, found)


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").strip().split("\n\n")[0].split())
