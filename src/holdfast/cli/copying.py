"""The command that copies sessions to another store while the application runs: ``copy``."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from holdfast.cli.base import Misuse, OneLine, Place, json_option, pass_place, url_from
from holdfast.cli.copy_engine import Copy, Tally, is_empty
from holdfast.cli.copy_state import Journal
from holdfast.cli.output import counted, progress, say
from holdfast.errors import ConfigurationError
from holdfast.stores.contract import Closes, Store


@click.command()
@click.argument("urls", metavar="[FROM] TO", nargs=-1, required=True)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("holdfast-copy.state"),
    show_default=True,
    help="The file that notes what was copied. The same command goes on from there.",
)
@click.option("--passes", type=click.IntRange(1), metavar="N", help="Give up after so many passes that found changes.")
@click.option("--pause", type=click.FloatRange(0), default=1.0, show_default=True, help="Seconds between passes.")
@click.option("--workers", type=click.IntRange(1, 32), default=4, show_default=True, help="Threads that write.")
@click.option("--merge", is_flag=True, help="Copy into a store that holds records already.")
@json_option
@pass_place
def copy(
    place: Place,
    *,
    urls: tuple[str, ...],
    state: Path,
    passes: int | None,
    pause: float,
    workers: int,
    merge: bool,
    as_json: bool,
) -> None:
    """Copy all records to the store at TO, while the application goes on using FROM.

    FROM is a URL; default: the store at hand. Passes are repeated until one finds nothing new, changed or gone, and
    then every record is compared. What is deleted at FROM is deleted at TO. Nobody may use TO before this ends.
    """
    with contextlib.ExitStack() as stack:
        source, target, names = _stores(place, urls, stack)
        if not merge and not state.exists() and not is_empty(target):
            raise ConfigurationError(
                f"the target holds records, and {state} is not there to tell that they were copied: empty it, or "
                "add --merge if no application uses it"
            )
        journal = Journal(state, source=names[0], target=names[1])
        stack.callback(journal.close)
        try:
            done = _repeat(source, target, journal, passes=passes, pause=pause, workers=workers, as_json=as_json)
        except sqlite3.Error as error:
            raise ConfigurationError(f"{state} cannot be used to note what was copied: {error}") from error
    text = f"{counted(done['records'], 'record')} at the source and the target, all equal."
    say(done, f"{text}\n{state} can be removed when the application uses the target.", as_json=as_json)


def _stores(place: Place, urls: tuple[str, ...], stack: contextlib.ExitStack) -> tuple[Store, Store, tuple[str, str]]:
    if len(urls) > 2:
        raise Misuse("give one URL, or two: [FROM] TO")
    target_name = url_from(urls[-1])
    source_name = url_from(urls[0]) if len(urls) == 2 else url_from(place.name)
    if source_name == target_name:
        raise Misuse("FROM and TO are the same store")
    stores = []
    for url in urls:
        store = place.store_at(url)
        stores.append(store)
        if isinstance(store, Closes):
            stack.callback(store.close)
    source = stores[0] if len(urls) == 2 else place.store
    return source, stores[-1], (source_name, target_name)


def _repeat(
    source: Store, target: Store, journal: Journal, *, passes: int | None, pause: float, workers: int, as_json: bool
) -> dict[str, Any]:
    start, tallies = time.monotonic(), list[Tally]()
    with progress("Copying") as advance:
        work = Copy(source, target, journal, workers=workers, report=_reporter(advance, tallies))
        while True:
            tallies.append(_told(work.one_pass, "copied", as_json=as_json))
            if tallies[-1].is_quiet:
                compared = _told(work.compare, "compared", as_json=as_json)
                if compared.is_quiet:
                    seconds = round(time.monotonic() - start, 3)
                    return {
                        "records": journal.count(),
                        "seconds": seconds,
                        "passes": [asdict(tally) for tally in tallies],
                    }
            if passes is not None and len(tallies) >= passes:
                raise OneLine(
                    f"the source still changes after pass {tallies[-1].number}: stop the application and run this again"
                )
            time.sleep(pause)


def _reporter(advance: Callable[[str, int, int | None], None], tallies: list[Tally]) -> Callable[[Tally], None]:
    def report(tally: Tally) -> None:
        total = max(tallies[-1].seen, tally.seen) if tallies else None
        advance(f"Pass {tally.number}", tally.seen, total)

    return report


def _told(walk: Callable[[], Tally], what: str, *, as_json: bool) -> Tally:
    start = time.monotonic()
    tally = walk()
    if not as_json:
        did = f"{tally.equal:,} equal" if what == "compared" else f"{tally.copied:,} copied"
        click.echo(
            f"Pass {tally.number}: {tally.seen:,} seen, {did}, {tally.deleted:,} deleted, "
            f"{time.monotonic() - start:.1f} s",
            err=True,
        )
    return tally
