"""Options of the copy writers, as ``[copy.options]`` of campaign.toml gives them: checked all at once."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from allocator.campaign.config import toml_finding
from allocator.errors import Finding, InputError

PREFIX = "copy.options"
KEY_VARIABLE = "OPENAI_API_KEY"
ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,79}")
# What names of variables do not look like and keys do: long, with digits, and mixed case or no underscore.
LOOKS_LIKE_A_KEY = re.compile(r"(?=.{20})(?=.*\d)(?:(?=.*[a-z])(?=.*[A-Z]).*|[^_]*|[a-z]+[_-].*)")


def _path(value: Any) -> Path:
    if not isinstance(value, (str, Path)) or not str(value):
        raise ValueError("not a path")
    return Path(value).expanduser().resolve()


def _model_folder(value: Any) -> Path:
    folder = _path(value)
    if not (folder / "config.json").is_file():
        raise ValueError("no model in this folder; name a Hugging Face folder with config.json")
    return folder


def _adapter_folder(value: Any) -> Path:
    folder = _path(value)
    if not all((folder / name).is_file() for name in ("adapter_config.json", "adapter_model.safetensors")):
        raise ValueError("no adapter in this folder; `allocate copy train` writes one")
    return folder


def _file(value: Any) -> Path:
    path = _path(value)
    if not path.is_file():
        raise ValueError("there is no such file")
    return path


def _key_variable(value: Any) -> str:
    if not isinstance(value, str) or not ENVIRONMENT_NAME.fullmatch(value) or LOOKS_LIKE_A_KEY.match(value):
        raise ValueError(
            "name the environment variable that holds the key; a key itself has no place in campaign.toml"
        )
    return value


def _endpoint(value: Any) -> str:
    problem = "an address such as https://api.openai.com/v1 or http://localhost:8000/v1"
    if not isinstance(value, str):
        raise ValueError(f"not {problem}")
    try:
        address = urlsplit(value)
        usable = address.scheme in ("http", "https") and address.hostname and (address.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or not value.isascii() or not value.isprintable():
        raise ValueError(f"not {problem}")
    if address.username is not None or address.query or address.fragment:
        raise ValueError("an address holds no user, password or query; the key belongs in the environment")
    return value.rstrip("/").removesuffix("/chat/completions")


ModelFolder = Annotated[Path, BeforeValidator(_model_folder)]
AdapterFolder = Annotated[Path, BeforeValidator(_adapter_folder)]
File = Annotated[Path, BeforeValidator(_file)]
Languages = Annotated[tuple[Literal["en", "zh"], ...], Field(strict=False)]


class ModelOptions(BaseModel):
    """What every writer with a model takes.

    Parameters
    ----------
    candidates
        Hooks written for each cell and attempt, 1 to 32.
    max_attempts
        Rounds for a cell none of whose hooks passed, 1 to 10.
    languages
        Which languages the model is let write; the bank and the template write the others.
    bank
        A file of approved hooks of your own, laid out as ``copygen/data/hooks.toml``.
    cache
        Whether hooks are kept for the next run; or the folder to keep them in.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    candidates: int = Field(default=8, ge=1, le=32)
    max_attempts: int = Field(default=2, ge=1, le=10)
    languages: Languages = ("en", "zh")
    bank: File | None = None
    cache: bool | Annotated[Path, BeforeValidator(_path)] = True


class LocalOptions(ModelOptions):
    """Options of the local writer.

    Parameters
    ----------
    model
        Folder of a Hugging Face causal language model; the embedded model, which writes English only,
        if None.
    device
        ``auto``, ``cpu`` or ``cuda``.
    adapter
        Folder of a LoRA adapter of that model, as ``allocate copy train`` writes it.
    dtype
        In which the model computes; ``float16`` on CUDA only.
    batch
        Texts written at a time, 1 to 512.
    """

    model: ModelFolder | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    adapter: AdapterFolder | None = None
    dtype: Literal["bfloat16", "float32", "float16"] = "bfloat16"
    batch: int = Field(default=16, ge=1, le=512)

    @model_validator(mode="before")
    @classmethod
    def _embedded_writes_english(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("model") is None and "languages" not in given:
            return {**given, "languages": ["en"]}
        return given

    @model_validator(mode="after")
    def _can_be_done(self) -> Self:
        if self.model is None and self.languages != ("en",):
            raise ValueError("languages: the embedded model writes English only; name another under model")
        if self.dtype == "float16" and self.device == "cpu":
            raise ValueError('dtype: float16 is for CUDA; on a CPU use "bfloat16" or "float32"')
        return self


class HttpOptions(ModelOptions):
    """Options of the writer that asks an OpenAI-compatible endpoint.

    Parameters
    ----------
    base_url
        Address of the endpoint up to ``/v1``; ``/chat/completions`` is added.
    model
        As the endpoint names it.
    api_key_env
        Name of the environment variable that holds the key.
    insecure
        Whether unencrypted ``http://`` may be used to reach another machine.
    timeout
        Seconds for one request, from its sending to the end of the answer.
    retries
        How often a request that may succeed later is sent again.
    requests_per_minute
        At most; no limit if None.
    concurrency
        Requests under way at a time.
    temperature
        Of the sampling.
    max_tokens
        Of one answer; a model that thinks before it answers needs more.
    """

    base_url: Annotated[str, BeforeValidator(_endpoint)]
    model: str = Field(min_length=1, max_length=200)
    api_key_env: Annotated[str, BeforeValidator(_key_variable)] = KEY_VARIABLE
    insecure: bool = False
    timeout: float = Field(default=30.0, gt=0, le=3600)
    retries: int = Field(default=3, ge=0, le=10)
    requests_per_minute: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    concurrency: int = Field(default=4, ge=1, le=64)
    temperature: float = Field(default=0.8, ge=0, le=2)
    max_tokens: int = Field(default=60, ge=8, le=32768)
    candidates: int = Field(default=4, ge=1, le=32)

    @property
    def local(self) -> bool:
        """Whether the endpoint is on this machine."""
        host = urlsplit(self.base_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")

    @model_validator(mode="after")
    def _is_encrypted(self) -> Self:
        if self.base_url.startswith("http://") and not self.local and not self.insecure:
            raise ValueError(
                "base_url: http:// sends key and texts unencrypted to another machine;"
                " use https://, or insecure = true in a network that you trust"
            )
        return self


Options = TypeVar("Options", bound=ModelOptions)


def read_options(kind: type[Options], options: Mapping[str, Any]) -> Options:
    """Return the options of a writer, or raise `InputError` naming every wrong one."""
    try:
        return kind.model_validate(dict(options))
    except ValidationError as error:
        accepted = ", ".join(sorted(kind.model_fields, key=lambda name: name in ModelOptions.model_fields))
        raise InputError([_finding(detail, accepted) for detail in error.errors()]) from None


def local_options(options: Mapping[str, Any]) -> LocalOptions:
    """Return the options of the local writer, or raise `InputError` naming every wrong one."""
    return read_options(LocalOptions, options)


def http_options(options: Mapping[str, Any]) -> HttpOptions:
    """Return the options of the HTTP writer, or raise `InputError` naming every wrong one."""
    return read_options(HttpOptions, options)


def unknown_options(options: Mapping[str, Any], accepted: tuple[str, ...]) -> list[Finding]:
    """Return a finding for each key that is not accepted."""
    return [_unknown(key, ", ".join(accepted) or "no options") for key in options if key not in accepted]


def _finding(detail: Any, accepted: str) -> Finding:
    if detail["type"] == "extra_forbidden":
        return _unknown(str(detail["loc"][-1]), accepted)
    plain = toml_finding(detail, "campaign.toml", PREFIX)
    message, column, found = plain.message.removeprefix("value error, "), plain.column, plain.found
    if not detail["loc"]:  # a rule about two keys starts with the one to change
        key, message = message.split(": ", 1)
        column, found = f"{PREFIX}.{key}", None
    # What was mistaken for an address or for the name of a variable may hold a secret.
    shown = None if column in (f"{PREFIX}.base_url", f"{PREFIX}.api_key_env") else found
    return Finding(message, "campaign.toml", None, column, shown)


def _unknown(key: str, accepted: str) -> Finding:
    message = "unknown option of this copy writer"
    if re.search(r"key|token|secret|password", key, re.IGNORECASE):
        message += "; a key belongs in the environment, in the variable that api_key_env names"
    return Finding(message, "campaign.toml", None, f"{PREFIX}.{key}", None, accepted)
