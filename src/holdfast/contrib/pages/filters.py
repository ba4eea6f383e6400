"""Template filters for a session's times and device. An application may replace each filter by its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from flask import current_app
from markupsafe import Markup

from holdfast.clock import DAY, HOUR, MINUTE, SECOND
from holdfast.contrib.pages.translation import gettext, ngettext
from holdfast.sessions.flows.listing import SessionInfo
from holdfast.sessions.manager import Manager

#: A last use that is known more precisely than this, in milliseconds, or than a tenth of its age, is shown as one time.
_CLOSE = 10 * MINUTE

_MONTH = 30 * DAY


def when(at: datetime) -> str:
    """Return the age of the aware *at* as text: the pages do not know the viewer's time zone."""
    age = _manager().clock() - round(at.timestamp() * SECOND)
    if age < MINUTE:
        return gettext("just now")
    if age < HOUR:
        return ngettext("%(num)d minute ago", "%(num)d minutes ago", age // MINUTE)
    if age < DAY:
        return ngettext("%(num)d hour ago", "%(num)d hours ago", age // HOUR)
    if age < 2 * _MONTH:
        return ngettext("%(num)d day ago", "%(num)d days ago", age // DAY)
    return ngettext("%(num)d month ago", "%(num)d months ago", age // _MONTH)


def time(at: int) -> Markup:
    """Return a ``<time>`` element for *at*, milliseconds since the epoch, with the text of `when`."""
    moment = datetime.fromtimestamp(at / SECOND, timezone.utc)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        moment.isoformat(timespec="seconds"), moment.strftime("%Y-%m-%d %H:%M UTC"), _when(at)
    )


def used(session: SessionInfo) -> Markup:
    """Return the last use of *session*, as precisely as known: not every use is stored."""
    if session.current:
        return gettext("now")
    manager = _manager()
    now, interval = manager.clock(), manager.context.policy.touch_interval(session.meta)
    earliest = max(session.created_at, session.last_used_at)
    # The last touches before the absolute deadline are omitted: they would not extend the session.
    untouched = session.idle_deadline > session.absolute_deadline - interval
    latest = now if untouched else min(now, earliest + interval)
    if latest - earliest < max(_CLOSE, (now - earliest) // 10) or _when(earliest) == _when(latest):
        return time(earliest)
    if latest == now:
        return gettext("between %(earlier)s and now", earlier=time(earliest))
    return gettext("between %(earlier)s and %(later)s", earlier=time(earliest), later=time(latest))


def device(session: SessionInfo) -> str:
    """Return the device of *session*: ``Firefox on Linux``."""
    known = session.device
    if known is None:
        return gettext("Unknown device")
    if known.browser is None or known.os is None:
        return str(known)
    words = gettext("%(browser)s on %(system)s", browser=known.browser, system=known.os)
    family = f" ({known.family})"
    return words + family if str(known).endswith(family) else words


#: The filters by their names in templates.
FILTERS: dict[str, Callable[..., Any]] = {
    "holdfast_when": when,
    "holdfast_time": time,
    "holdfast_used": used,
    "holdfast_device": device,
}


def _when(at: int) -> str:
    """Return the text for *at*, from the application's own filter if it has one."""
    moment = datetime.fromtimestamp(at / SECOND, timezone.utc)
    return str(current_app.jinja_env.call_filter("holdfast_when", moment))


def _manager() -> Manager:
    manager: Manager = current_app.extensions["holdfast"].manager
    return manager
