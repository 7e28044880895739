"""The ledger's tables, and the statements on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from allocator.online.records import State
from allocator.service.database import metadata

ledgers = sa.Table(
    "ledgers",
    metadata,
    sa.Column("plan_id", sa.String, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False, comment="random, another after each change"),
    sa.Column("pacing", sa.Text, comment="JSON"),
)
counters = sa.Table(
    "counters",
    metadata,
    sa.Column("plan_id", sa.ForeignKey(ledgers.c.plan_id), primary_key=True),
    sa.Column("label", sa.String, primary_key=True, comment="of a limit's row"),
    sa.Column("held", sa.BigInteger, nullable=False, comment="millionths"),
    sa.Column("expected", sa.BigInteger, nullable=False, comment="millionths"),
    sqlite_with_rowid=False,
)
reservations = sa.Table(
    "reservations",
    metadata,
    sa.Column("plan_id", sa.ForeignKey(ledgers.c.plan_id), primary_key=True),
    sa.Column("request_id", sa.String, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("coupon_id", sa.String),
    sa.Column("user_digest", sa.String),
    sa.Column("expected", sa.Text, nullable=False, comment="JSON: label to millionths"),
    sa.Column("held", sa.Text, nullable=False, comment="JSON: label to millionths"),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("decided_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
    sa.Column("groups", sa.Text, nullable=False, comment="JSON: column to label"),
    sa.Column("measures", sa.Text, nullable=False, comment="JSON: measure to quantity"),
    sqlite_with_rowid=False,
)


def _word(state: State) -> sa.ColumnElement[str]:
    """Return a state as a literal: a query with a parameter in its place cannot use a partial index."""
    return sa.literal_column(f"'{state.value}'", sa.String)


KEY = (reservations.c.request_id, reservations.c.position)
_is_held = reservations.c.state == _word(State.HELD)
_counts = reservations.c.state.in_([_word(State.HELD), _word(State.USED)])
sa.Index(
    "reservations_by_user",
    reservations.c.plan_id,
    reservations.c.user_digest,
    reservations.c.state,  # with it the index holds all that is asked, which decides SQLite to use it
    sqlite_where=_counts,
    postgresql_where=_counts,
)
sa.Index(
    "reservations_by_expiry",
    reservations.c.plan_id,
    reservations.c.expires_at,
    *KEY,  # in the order that is asked for: the oldest are found without sorting the others
    sqlite_where=_is_held,
    postgresql_where=_is_held,
)

PLAN: sa.BindParameter[str] = sa.bindparam("plan")
MOST: sa.BindParameter[int] = sa.bindparam("most")

READ_LEDGER = (
    sa.select(ledgers.c.revision, ledgers.c.pacing).where(ledgers.c.plan_id == PLAN).with_for_update()
)
READ_COUNTERS = sa.select(counters.c.label, counters.c.held, counters.c.expected).where(
    counters.c.plan_id == PLAN
)
EXPIRED = (
    sa.select(reservations)
    .where(reservations.c.plan_id == PLAN, reservations.c.expires_at <= sa.bindparam("now"), _is_held)
    .order_by(reservations.c.expires_at, *KEY)
    .limit(MOST)
)
ADD = sa.insert(reservations)
CHANGE = sa.update(reservations).where(
    reservations.c.plan_id == PLAN,
    reservations.c.request_id == sa.bindparam("request"),
    reservations.c.position == sa.bindparam("place"),
    reservations.c.state == sa.bindparam("was"),
)
WRITE_LEDGER = sa.update(ledgers).where(ledgers.c.plan_id == PLAN)
DELETE_SOME = sa.delete(reservations).where(
    reservations.c.plan_id == PLAN,
    sa.tuple_(*KEY).in_(sa.select(*KEY).where(reservations.c.plan_id == PLAN).limit(MOST)),
)
DELETE_COUNTERS = sa.delete(counters).where(counters.c.plan_id == PLAN)
DELETE_LEDGER = sa.delete(ledgers).where(ledgers.c.plan_id == PLAN)


_OF_PLAN = reservations.c.plan_id == PLAN
_COUPONS = sa.func.count().label("coupons")


def _any_of(column: sa.Column[Any]) -> sa.ColumnElement[bool]:
    return column.in_(sa.bindparam("ids", expanding=True))


def _for_each_id(
    columns: Sequence[Any], of: sa.Column[Any], *where: sa.ColumnElement[bool]
) -> sa.Select[Any]:
    """Look ids up one by one, by index: for a list, PostgreSQL's planner may scan the whole plan instead."""
    ids = sa.func.unnest(sa.bindparam("ids", type_=postgresql.ARRAY(sa.Text)))
    wanted = ids.table_valued("wanted").render_derived()
    of_one = sa.select(*columns).where(_OF_PLAN, of == wanted.c.wanted, *where).offset(sa.literal_column("0"))
    found = of_one.lateral()
    return sa.select(wanted.c.wanted, found).select_from(wanted.join(found, sa.true()))


OF_REQUESTS = {
    "sqlite": sa.select(reservations).where(_OF_PLAN, _any_of(reservations.c.request_id)),
    "postgresql": _for_each_id(list(reservations.c), reservations.c.request_id),
}
OF_USERS = {
    "sqlite": sa.select(reservations.c.user_digest.label("wanted"), _COUPONS)
    .where(_OF_PLAN, _any_of(reservations.c.user_digest), _counts)
    .group_by(reservations.c.user_digest),
    "postgresql": _for_each_id([_COUPONS], reservations.c.user_digest, _counts),
}

_INSERT: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def _write_counters(dialect: str) -> sa.Insert:
    insert = _INSERT[dialect](counters)
    changed = {"held": insert.excluded.held, "expected": insert.excluded.expected}
    written: sa.Insert = insert.on_conflict_do_update(index_elements=list(counters.primary_key), set_=changed)
    return written


NEW_LEDGER = {name: insert(ledgers).on_conflict_do_nothing() for name, insert in _INSERT.items()}
WRITE_COUNTERS = {name: _write_counters(name) for name in _INSERT}
