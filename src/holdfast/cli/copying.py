"""The command that copies all records to another store: ``copy``."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable

import click

from holdfast.cli.errors import Misuse, OneLine, outage
from holdfast.cli.output import count_results, counted, say
from holdfast.cli.target import Target, refuse_missing, url_from, with_target
from holdfast.errors import StoreUnavailable
from holdfast.stores.contract import Closes, Iterates, Pings, Record, Store, iterate
from holdfast.stores.pair import PairStore


@click.command()
@click.argument("urls", metavar="[FROM] TO", nargs=-1, required=True)
@click.option("--move", is_flag=True, help="Move the records, while an application uses both stores as a pair.")
@with_target
def copy(target: Target, *, urls: tuple[str, ...], move: bool, as_json: bool) -> None:
    """Copy all records to the store at TO.

    FROM is a URL; default: the application's store. Stop the application first, or let it use a PairStore of both and
    add --move. A live record at TO is never overwritten. After an interruption, run the same command again.
    """
    if len(urls) > 2 or (move and len(urls) != 2):
        raise Misuse("give FROM and TO" if move else "give one URL, or two: [FROM] TO")
    addresses = tuple(map(url_from, urls))
    names = addresses if len(urls) == 2 or target.url is None else (target.url, *addresses)
    if len(names) == 2 and names[0] == names[1]:
        raise Misuse("FROM and TO are the same store")
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        stores = [target.store_at(url) for url in addresses]
        for store in stores:
            if isinstance(store, Closes):
                stack.callback(store.close)
        source = stores[0] if len(stores) == 2 else target.store
        try:
            refuse_missing(source)
            if isinstance(stores[-1], Pings):
                stores[-1].ping()  # without a record to copy, it would get no other call
            found = (_move if move else _copy)(source, stores[-1])
        except StoreUnavailable as error:
            raise outage(error, names) from error
    copied, present = found["copied"], found["present"]
    done = {"copied": copied, "present": present, "seconds": round(time.monotonic() - start, 3)}
    verb = "Moved" if move else "Copied"
    say(done, f"{verb} {counted(copied, 'record')}; {present:,} were there already.", as_json=as_json)


def _copy(source: Store, target: Store) -> Counter[str]:
    """Copy the records at *source*; refuse it if those at *target* show that one of the stores was in use meanwhile."""

    def carry(key: str, record: Record) -> str:
        if target.create(key, record.data, expires_at=record.expires_at, owner=record.owner) is not None:
            return "copied"
        there = target.load(key)
        if there is None or (there.data, there.owner) != (record.data, record.owner):
            return "different"
        target.touch(key, expires_at=record.expires_at)
        return "present"

    found = _each(source, carry)
    extra = _extra(source, target) if found["present"] else 0
    if found["different"] or extra:
        differ = f"{counted(found['different'], 'record')} at the target differ{'s' * (found['different'] == 1)}"
        raise OneLine(
            f"{differ} from the source, and {extra:,} {'is' if extra == 1 else 'are'} not at the source: an application"
            " used one of the stores meanwhile. Stop it, empty the target and copy again"
        )
    return found


def _move(old: Store, new: Store) -> Counter[str]:
    """Move what is in *old*, while every process of the application uses both stores as a pair."""
    pair = PairStore(new, old)
    return _each(old, lambda key, _: "copied" if pair.migrate(key) else "present")


def _each(source: Store, carry: Callable[[str, Record], str]) -> Counter[str]:
    """Return how often each result of *carry* came: it copies one record of *source*, given the key and the record."""
    pages = (dict(page.items).items() for page in iterate(source))
    return count_results("Copying", lambda item: carry(*item), pages)


def _extra(source: Store, target: Store) -> int:
    """Return the number of records at *target* only, if it can list them: sessions that ended at *source*."""
    pages = iterate(target) if isinstance(target, Iterates) else ()
    return sum(source.load(key) is None for page in pages for key, _ in page.items)
