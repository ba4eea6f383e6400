"""Mistakes of the kind that a review looks for, each with the test that must notice it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

import pytest


class Mistake(NamedTuple):
    """One change to the source.

    Attributes:
        what: The mistake in words.
        file: The file, below ``src/holdfast``.
        sound: The text that is replaced. It occurs there once.
        wrong: The text that replaces it.
        test: The test that fails then, below ``tests``.
    """

    what: str
    file: str
    sound: str
    wrong: str
    test: str


def run_tests(root: Path, tests: str, copy: Path) -> None:
    """Run *tests* of the checkout at *root* on the package in *copy*, in a process that does nothing else.

    The process ends with pytest's exit code. The file ``said`` in *copy* has what it wrote.
    """
    with (copy / "said").open("w") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    os.chdir(root)
    for name in [name for name in sys.modules if name.partition(".")[0] == "holdfast"]:
        del sys.modules[name]
    sys.path[:0] = [str(copy), str(root / "tests")]
    without = ("cacheprovider", "randomly", "xdist", "cov", "hypothesispytest")
    servers = "not redis and not memcached and not mongodb and not dynamodb and not mariadb and not postgresql"
    options = ["-x", "-q", *(f"-pno:{plugin}" for plugin in without), "-k", servers]
    code = pytest.main([*options, *(str(root / "tests" / test) for test in tests.split())])
    imported = str(sys.modules["holdfast"].__file__)
    sys.exit(code if imported.startswith(str(copy)) else pytest.ExitCode.INTERNAL_ERROR)


_END, _ROTATE, _OPEN = "sessions/flows/end.py", "sessions/flows/rotate.py", "sessions/flows/open.py"
_FINISH, _RECONCILE, _REVOKE = "sessions/flows/finish.py", "sessions/flows/reconcile.py", "sessions/flows/revoke.py"
_LISTING, _WALK, _COOKIE = "sessions/flows/listing.py", "sessions/flows/walk.py", "sessions/flows/in_cookie.py"
_SEAL, _COOKIES, _DISK = "records/encryption.py", "flask/cookies.py", "stores/shared/disk.py"

FLOWS = [
    Mistake(
        "a session is ended although it has another user by now",
        _END,
        "if found is None or found[1].owner != owner or not still(*found):",
        "if found is None or not still(*found):",
        "core/test_ends_in_flight.py::test_an_end_leaves_what_another_user_has_meanwhile",
    ),
    Mistake(
        "a session that others keep changing is not deleted in the end",
        _END,
        "        yield from delete(key)\n        answer = Ended(key, certain=False)\n",
        "        answer = Ended(key, certain=False)\n",
        "core/test_transitions_win.py",
    ),
    Mistake(
        "the tombstone of an end stays in the store",
        _END,
        "        yield from delete(key)\n    return Ended(key, certain=True)\n",
        "        yield from ()\n    return Ended(key, certain=True)\n",
        "core/test_ends_in_flight.py::test_nothing_is_left_of_a_session_that_was_ended",
    ),
    Mistake(
        "a move in steps that fails leaves its new record",
        _ROTATE,
        "        if current is None or current.data != step.tombstone:\n            yield from delete(step.new)\n",
        "",
        "core/test_ends_in_flight.py::test_a_rotation_in_steps_that_fails_leaves_no_session",
    ),
    Mistake(
        "a rotation whose answer is lost leaves both tokens",
        _ROTATE,
        "                yield from delete(step.new)\n            if old is None:",
        "                yield from ()\n            if old is None:",
        "core/test_rotations_that_fail.py",
    ),
    Mistake(
        "a rotation by deletion goes on although others ended the session",
        _ROTATE,
        "    if not (yield from delete(stored.key)):\n",
        "    if (yield from delete(stored.key)) is None:\n",
        "core/test_rotations_that_fail.py",
    ),
    Mistake(
        "a rotation by deletion leaves no tombstone",
        _ROTATE,
        "    yield from create(stored.key, left, tombstone.until)\n",
        "",
        "core/test_rotations_that_fail.py",
    ),
    Mistake(
        "the end of a session that a login replaced ends the login",
        _ROTATE,
        "None if ends else moved.key",
        "moved.key",
        "core/test_late_logouts.py::test_a_logout_under_a_token_that_another_user_replaced_ends_nothing_of_theirs",
    ),
    Mistake(
        "a tombstone is believed however long it is to last",
        _OPEN,
        "return tombstone.until <= now or (longest is not None and tombstone.until > longest)",
        "return tombstone.until <= now",
        "core/test_forged_control_records.py::test_a_tombstone_for_ever_keeps_no_browser_out",
    ),
    Mistake(
        "a renewed token leads on for ever",
        _OPEN,
        "if body.sealed is None or (is_over and not leads_on(body, now, late=late)):",
        "if body.sealed is None:",
        "flask/test_rotation.py::test_after_the_grace_period_the_old_token_is_unknown",
    ),
    Mistake(
        "a value of any form is looked up",
        _OPEN,
        "    if tokens is None:\n",
        '    tokens = tokens or ("", value, "0")\n    if not value:\n',
        "core/test_rotations_that_fail.py::test_a_value_that_is_no_token_is_not_looked_up",
    ),
    Mistake(
        "a login of an outage is taken for one that was finished",
        _OPEN,
        "is_valid = yield from finish_postponed(context, found.stored)",
        "is_valid = True",
        "flask/test_outages_in_a_login.py::test_the_end_of_all_sessions_between_its_steps",
    ),
    Mistake(
        "a login that was not finished is taken for one that was",
        _OPEN,
        "not (yield from finish_postponed(context, stored))",
        "(yield from ())",
        "core/test_rotations_that_fail.py::test_a_login_that_was_not_finished_is_judged_at_its_next_request",
    ),
    Mistake(
        "a cut-off does not cover the moment that it has",
        _FINISH,
        "cutoff.at >= began(owner, offset)",
        "cutoff.at > began(owner, offset)",
        "core/test_cutoffs_in_flight.py::test_a_cutoff_covers_the_moment_that_it_has",
    ),
    Mistake(
        "a cut-off of any time is believed",
        _FINISH,
        "body is not None and body.at <= context.clock() + offset + SKEW",
        "body is not None",
        "core/test_forged_control_records.py::test_a_cutoff_in_the_future_keeps_no_user_out",
    ),
    Mistake(
        "a handle of another application ends its session",
        _REVOKE,
        '    if session is None:\n        return "absent"\n    remembered = session.meta.get(REMEMBERED)\n',
        "    remembered = None if session is None else session.meta.get(REMEMBERED)\n",
        "core/test_ends_of_others.py::test_a_handle_that_another_application_moved_to_is_absent",
    ),
    Mistake(
        "the namespace of a session is not compared",
        _LISTING,
        "return envelope if envelope.meta.get(metadata.NAMESPACE) == context.keys.namespace_mark else None",
        "return envelope",
        "core/test_ends_of_others.py::test_a_handle_that_another_application_moved_to_is_absent",
    ),
    Mistake(
        "all that no key opens is ended with the rest",
        _WALK,
        "            unopened += progress.first",
        "            unopened += yield from delete(key)",
        "core/test_ends_of_others.py::test_a_session_that_no_key_opens_is_not_ended",
    ),
    Mistake(
        "a trail of tombstones is followed without end",
        _END,
        "while record is not None and len(passed) <= _LONGEST_TRAIL:",
        "while record is not None:",
        "core/test_forged_control_records.py::test_a_trail_of_tombstones_ends",
    ),
    Mistake(
        "a conflict refuses a login where the policy is not to merge",
        _RECONCILE,
        'context.policy.on_conflict == "error" and not state.changes.new_token',
        'context.policy.on_conflict == "error"',
        "core/test_transitions_win.py",
    ),
    Mistake(
        "a save tries for as long as there are tries",
        _RECONCILE,
        "write.reconciled >= policy.attempts or now > write.deadline",
        "write.reconciled >= policy.attempts",
        "core/test_contention.py::test_a_request_gives_up_in_time",
    ),
]

SEALING = [
    Mistake(
        "the code of a control record is not compared",
        _SEAL,
        "if not hmac.compare_digest(body.tag, _control_tag(secret, where, body.control)):",
        "if not body.tag:",
        "core/test_vouched_records.py::test_no_byte_of_a_control_record_can_be_changed",
    ),
    Mistake(
        "a control record without a code is accepted",
        _SEAL,
        "            if self.migrating:\n                return body\n            raise _damaged()",
        "            return body",
        "core/test_vouched_records.py::test_no_byte_of_a_control_record_can_be_changed",
    ),
    Mistake(
        "the new token of a renewal is hidden under the old one only",
        _SEAL,
        "return dataclasses.replace(control, sealed=masked(control.sealed, secret, purpose))",
        "return control",
        "core/test_vouched_records.py",
    ),
    Mistake(
        "the code of a record that can be read is not compared",
        _SEAL,
        "if not hmac.compare_digest(tag, self._tag(body, associated, payload)):",
        "if not tag:",
        "core/test_encryption.py",
    ),
    Mistake(
        "a record that is sealed in another mode is opened",
        _SEAL,
        "if scheme != self._scheme and not (self.migrating and scheme in {None, *_SCHEMES.values()}):",
        "if scheme is None and not self.migrating:",
        "core/test_encryption.py",
    ),
    Mistake(
        "a migration window is as long as it is set",
        "flask/build.py",
        "        until = min(until, clock() + settings.policy.absolute)\n",
        "",
        "flask/test_sealed_sessions.py::test_a_window_ends_with_the_absolute_lifetime",
    ),
    Mistake(
        "a seal key may be a pattern",
        _SEAL,
        "        if weakness is not None:",
        "        if not found:",
        "flask/test_sealed_sessions.py::test_a_seal_key_of_a_pattern_is_refused",
    ),
    Mistake(
        "no owner and the owner without a name are sealed alike",
        _SEAL,
        '*([] if owner is None else [owner.encode(errors="surrogatepass")])',
        '(owner or "").encode()',
        "core/test_forged_control_records.py::test_nobody_and_an_owner_of_no_letters_are_not_alike",
    ),
]

COOKIES = [
    Mistake(
        "a request sends a cookie anew without another look at the revocations",
        _COOKIE,
        "            return dropped(context, state)\n        state.stored",
        "            pass\n        state.stored",
        "core/test_fresh_lookups.py core/test_cutoffs_in_flight.py",
    ),
    Mistake(
        "an end under the token that was renewed does not end the new one",
        _COOKIE,
        "if revocation is not None and revocation.kind is not TombstoneKind.ALIAS:",
        "if revocation is not None and not revocation.kind:",
        "flask/test_client_side_revocations.py flask/test_renewal.py",
    ),
    Mistake(
        "a revocation that another server vouches for is ignored",
        _COOKIE,
        '            return "unknown_key"\n\n    def _looked_up',
        "            return None\n\n    def _looked_up",
        "core/test_vouched_records.py::test_a_revocation_that_another_servers_key_vouches_for_is_not_ignored",
    ),
    Mistake(
        "what is in the place of a revocation prevents a logout",
        _COOKIE,
        "if found is not None or not isinstance((yield from replace(key, data, record.version, until)),",
        "if record or not isinstance((yield from replace(key, data, record.version, until)),",
        "core/test_vouched_records.py::test_a_forged_revocation_ends_no_session_in_the_cookie",
    ),
    Mistake(
        "a revocation is forgotten before the cookie's timeout",
        _COOKIE,
        "return min(context.clock() + idle, stored.envelope.created_at + context.policy.absolute) + RETENTION",
        "return context.clock() + 60_000",
        "flask/test_client_side_revocations.py::test_a_revocation_goes_with_the_last_copy_of_the_cookie",
    ),
    Mistake(
        "a cookie's name is not part of what it is encrypted for",
        "records/cookie.py",
        "keys.namespace.encode(), name.encode())",
        "keys.namespace.encode())",
        "flask/test_client_side.py::test_another_application_s_cookie_is_worth_nothing",
    ),
    Mistake(
        "the beginning of a signature is enough",
        _COOKIES,
        "if hmac.compare_digest(_sign(signer, token).encode(), value.encode()):",
        "if _sign(signer, token).startswith(value):",
        "bad_input/test_cookie_value.py::test_a_damaged_signature_costs_nothing",
    ),
    Mistake(
        "a cookie's name is not part of what is signed",
        _COOKIES,
        'labelled(b"holdfast session token", namespace.encode(), name.encode())',
        'labelled(b"holdfast session token", namespace.encode())',
        "flask/test_signer.py::test_a_signature_is_for_one_namespace_and_one_cookie",
    ),
    Mistake(
        "a cookie is found inside of another one's quotes",
        _COOKIES,
        "_QUOTED.sub('=\"\"', header) if '\"' in header else header",
        "header",
        "bad_input/test_cookie_header.py::test_a_cookie_is_not_read_from_inside_of_another",
    ),
    Mistake(
        "as many cookies are looked up as there are",
        _COOKIES,
        "len(ours) > _MOST",
        "len(ours) > 1000",
        "bad_input/test_cookie_header.py::test_few_values_are_looked_up",
    ),
]

STORES = [
    Mistake(
        "a lock file is opened through a link",
        "stores/shared/locks.py",
        "os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW",
        "os.O_RDWR | os.O_CREAT",
        "stores/test_planted_places.py::test_a_lock_is_not_taken_through_a_link",
    ),
    Mistake(
        "a record's file may be another user's",
        "stores/files.py",
        " or not disk.is_trusted_user(status.st_uid)",
        "",
        "stores/test_planted_places.py::test_a_record_of_another_user_is_none",
    ),
    Mistake(
        "a record is read through a link",
        "stores/files.py",
        "_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK",
        "_READ = os.O_RDONLY | os.O_NONBLOCK",
        "stores/test_planted_places.py::test_a_link_to_a_record_is_none",
    ),
    Mistake(
        "a temporary file that was planted is written to",
        _DISK,
        "    temp.unlink(missing_ok=True)\n    try:\n        descriptor = os.open(temp, ",
        "    try:\n        descriptor = os.open(temp, ~os.O_EXCL & ",
        "stores/test_planted_places.py::test_a_planted_temporary_file_gets_no_data",
    ),
    Mistake(
        "a link of another user is followed to a folder of ours",
        _DISK,
        "owners = {found.st_uid, path.lstat().st_uid}",
        "owners = {found.st_uid}",
        "stores/test_planted_places.py::test_a_link_of_another_user_is_refused",
    ),
    Mistake(
        "a folder like /tmp will do for a store of files",
        _DISK,
        "not (may_be_sticky and found.st_mode & stat.S_ISVTX)",
        "not found.st_mode & stat.S_ISVTX",
        "stores/test_planted_places.py::test_a_folder_like_tmp_is_none_for_a_store_of_files",
    ),
    Mistake(
        "SQLite's file is looked at before the first use only",
        "stores/shared/sqlite_pool.py",
        "            for each in self._files:\n                refuse_planted(each)\n",
        "",
        "stores/test_planted_places.py::test_a_file_that_is_planted_later_is_refused",
    ),
    Mistake(
        "the JSON file is looked at before the first use only",
        "stores/jsonfile.py",
        "                    disk.refuse_planted(self.path, descriptor=file.fileno())\n",
        "",
        "stores/test_planted_places.py::test_a_file_that_is_planted_later_is_refused",
    ),
]
