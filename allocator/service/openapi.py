"""The description of the service: bodies, answers and problems by model, since routes work on bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from allocator.service.error_documents import MEDIA_TYPE, ProblemDocument
from allocator.service.gate import OPEN

REF = "#/components/schemas/{model}"
COMMON = (401, 421, 500, 503)  # whatever is asked for
BODY = (408, 413, 415, 422)  # wherever there is a body
SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def body(*models: type[BaseModel]) -> dict[str, Any]:
    """Return the description of a body that is one of some models, with their examples."""
    content = {"schema": _one_of(models), "examples": examples(models)}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def answers(
    ok: Mapping[int, tuple[str | type[BaseModel], ...]], problems: Sequence[int] = ()
) -> dict[int | str, dict[str, Any]]:
    """Return the description of answers.

    Parameters
    ----------
    ok
        By status what a right answer is, in words, and the models of which its document is one.
    problems
        Statuses of problem documents, beside those that any request may get.
    """
    found: dict[int | str, dict[str, Any]] = {}
    for status, (text, *rest) in ok.items():
        models = [model for model in rest if not isinstance(model, str)]
        found[status] = {"description": text}
        if models:
            content = {"schema": _one_of(models), "examples": examples(models)}
            found[status]["content"] = {"application/json": content}
    for status in sorted({*problems, *COMMON}):
        problem = {MEDIA_TYPE: {"schema": _one_of([ProblemDocument])}}
        found[status] = {"description": HTTPStatus(status).phrase, "content": problem}
    return found


def examples(models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    """Return the examples that models state, under names of their own."""
    return {
        f"{model.__name__} {i}": {"value": example}
        for model in models
        for i, example in enumerate(_stated(model), start=1)
    }


def _stated(model: type[BaseModel]) -> list[Any]:
    extra = model.model_config.get("json_schema_extra")
    found: Any = extra.get("examples", []) if isinstance(extra, dict) else []
    return list(found)


def describe(app: FastAPI, models: Sequence[type[BaseModel]], *, keys: bool) -> dict[str, Any]:
    """Return the OpenAPI document of an app, made once; with `keys`, callers need one."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes,
            tags=app.openapi_tags,
        )  # fmt: skip
        every: list[type[BaseModel]] = [*models, ProblemDocument]
        _, schemas = models_json_schema([(model, "validation") for model in every], ref_template=REF)
        components = document.setdefault("components", {})
        components["schemas"] = schemas["$defs"]
        for path, operations in document["paths"].items():
            for operation in operations.values():
                _drop_own_422(operation["responses"])
                if keys and path not in OPEN:
                    operation["security"] = [{name: []} for name in SCHEMES]
        if keys:
            components["securitySchemes"] = SCHEMES
        app.openapi_schema = document
    return app.openapi_schema


def _drop_own_422(responses: dict[str, Any]) -> None:
    """Drop what FastAPI adds to routes with parameters: here such a thing is a problem document."""
    if MEDIA_TYPE not in responses.get("422", {}).get("content", {MEDIA_TYPE: None}):
        del responses["422"]


def _one_of(models: Sequence[type[BaseModel]]) -> dict[str, Any]:
    references = [{"$ref": REF.format(model=model.__name__)} for model in models]
    return references[0] if len(references) == 1 else {"anyOf": references}
