"""The internal names of Holdfast that tests replace: for planted bugs, above all.

Each is listed once, under a name that says what it does. When one is renamed or moved, this file follows and the tests
stay as they are. Its module is imported when a test uses it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import pytest


class Seam:
    """One part of Holdfast that a test can replace.

    Attributes:
        places: Where it is found, such as ``holdfast.flask.cookies:Cookies.read``: one place, unless several modules
            import it by name.
    """

    def __init__(self, *places: str) -> None:
        self.places = places

    @property
    def sound(self) -> Any:
        """The part itself."""
        module, path = self.places[0].split(":")
        return reduce(getattr, path.split("."), importlib.import_module(module))

    def plant(self, patch: pytest.MonkeyPatch, wrong: object) -> None:
        """Replace the part by *wrong* until *patch* is undone."""
        for place in self.places:
            module, path = place.split(":")
            *owners, name = path.split(".")
            patch.setattr(reduce(getattr, owners, importlib.import_module(module)), name, wrong)

    def plant_item(self, patch: pytest.MonkeyPatch, key: object, wrong: object) -> None:
        """Put *wrong* under *key* of the part, which is a table, until *patch* is undone."""
        patch.setitem(self.sound, key, wrong)


class _Rerouted:
    """A store with another function in the place of one of its methods."""

    def __init__(self, store: object, method: str, wrong: Callable[..., Any]) -> None:
        self._store, self._method, self._wrong = store, method, wrong

    def __getattr__(self, name: str) -> Any:
        return partial(self._wrong, self._store) if name == self._method else getattr(self._store, name)


def plant_store_call(patch: pytest.MonkeyPatch, method: str, wrong: Callable[..., Any]) -> None:
    """Let the flows call ``wrong(store, ...)``, with the arguments of *method*, and not that method of the store."""
    run = STORE_CALL.sound
    STORE_CALL.plant(patch, lambda call, store: run(call, _Rerouted(store, method, wrong)))


# --- tokens and keys --------------------------------------------------------------------------------------------------

KEY_OF_TOKEN = Seam("holdfast.records.tokens:Keys.key_of")
OWNER_OF_USER = Seam("holdfast.records.tokens:Keys.owner_of")
NAMESPACE_OF_KEYS = Seam("holdfast.records.tokens:Keys.__init__")
TOKEN_LABEL = Seam("holdfast.records.tokens:labelled")
TOKEN_RANDOMNESS = Seam("holdfast.records.tokens:secrets")
TOKEN = Seam("holdfast.records.tokens:new_token")
COMMIT_NAMES_ANOTHER = Seam("holdfast.sessions.flows.commit:_names_another")
NEW_TOKEN = Seam("holdfast.sessions.flows.commit:new_token")
IS_USER_ID = Seam("holdfast.records.tokens:is_user_id")
IS_TOKEN = Seam("holdfast.sessions.flows.open:is_token", "holdfast.sessions.flows.in_store:has_form")

# --- encryption -------------------------------------------------------------------------------------------------------

AES_GCM_INIT = Seam("holdfast.records.encryption:AesGcm.__init__")
AES_GCM_ENCRYPT = Seam("holdfast.records.encryption:AesGcm.encrypt")
AES_GCM_DECRYPT = Seam("holdfast.records.encryption:AesGcm.decrypt")
AES_GCM_RANDOMNESS = Seam("holdfast.records.encryption:os")
KEYRING_KEY_WITH_ID = Seam("holdfast.records.encryption:Keyring.__getitem__")
SEALER_INIT = Seam("holdfast.records.encryption:Sealer.__init__")
SEALER_SEAL = Seam("holdfast.records.encryption:Sealer.seal")
SEALER_OPEN = Seam("holdfast.records.encryption:Sealer.open")
SEALER_OPEN_METADATA = Seam("holdfast.records.encryption:Sealer.open_metadata")
SEALER_READS_UNSEALED = Seam("holdfast.records.encryption:Sealer.migrating")
SEALER_METADATA_TAG = Seam("holdfast.records.encryption:Sealer._tag")
SEALED_WITH = Seam("holdfast.records.encryption:_associated")
RECORD_ENCODING = Seam("holdfast.records.envelope:encode", "holdfast.records.encryption:encode")
SEALED_SUCCESSOR = Seam("holdfast.sessions.flows.rotate:seal_successor")

# --- payloads ---------------------------------------------------------------------------------------------------------

PAYLOAD_ENCODER = Seam("holdfast.records.codec.encoder:Encoder.encode_session")
VALUE_ENCODER = Seam("holdfast.records.codec.encoder:Encoder.encode")
PAYLOAD_DECODER = Seam("holdfast.records.codec.formats:Codec.loads")
MSGPACK_PARSER = Seam("holdfast.records.codec.formats:MsgpackCodec._parse")
REGISTERED_BY_TYPE = Seam("holdfast.records.codec.registry:_by_type")
REGISTERED_BY_NAME = Seam("holdfast.records.codec.registry:_by_name")
JSON_FORM = Seam("holdfast.records.codec.registry:json_form")

# --- timeouts ---------------------------------------------------------------------------------------------------------

POLICY_CHECKS = Seam("holdfast.sessions.policy:Policy.__post_init__")
POLICY_VERDICT = Seam("holdfast.sessions.policy:Policy.verdict")
POLICY_EXPIRES_AT = Seam("holdfast.sessions.policy:Policy.expires_at")
POLICY_IDLE_DEADLINE = Seam("holdfast.sessions.policy:Policy.idle_deadline")
POLICY_RENEWAL_DUE = Seam("holdfast.sessions.policy:Policy.renewal_due")
POLICY_CLOCK_SKEW = Seam("holdfast.sessions.policy:SKEW")

# --- flows ------------------------------------------------------------------------------------------------------------

REVISED_SESSION = Seam("holdfast.sessions.flows.commit:revised", "holdfast.sessions.flows.rotate:revised")
SEALED_SESSION = Seam("holdfast.sessions.flows.commit:sealed", "holdfast.sessions.flows.rotate:sealed")
SET_ASIDE_BAD_RECORD = Seam("holdfast.sessions.flows.open:_set_aside")
DECODE_RECORD = Seam("holdfast.records.envelope:decode", "holdfast.records.encryption:decode")
SAVE = Seam("holdfast.sessions.flows.in_store:save")
DISCARD_ALL = Seam("holdfast.sessions.flows.revoke:discard_all")
END_SESSION = Seam("holdfast.sessions.flows.end:end_session", "holdfast.sessions.flows.revoke:end_session")
END_PRESENTED = Seam("holdfast.sessions.flows.in_store:end_presented")
END_WITHOUT_ROOM = Seam("holdfast.sessions.flows.end:_delete_instead")
END_OF_WHAT_CANNOT_BE_STORED = Seam("holdfast.sessions.flows.commit:_end_instead")
FOLLOW_ON_END = Seam("holdfast.sessions.flows.end:follow", "holdfast.sessions.flows.revoke:follow")
FOLLOW_ON_WALK = Seam("holdfast.sessions.flows.walk:follow")
WRITE_CUT_OFF = Seam("holdfast.sessions.flows.revoke:write_cutoff")
KEY_TO_KEEP = Seam("holdfast.sessions.flows.revoke:_follow_kept")
WRITE_CUT_OFF_OF_COOKIES = Seam("holdfast.sessions.flows.in_cookie:write_cutoff")
SHARED_CLOCK = Seam("holdfast.sessions.flows.finish:offset_of", "holdfast.sessions.flows.revoke:offset_of")
CUT_OFF_AFTER_LOGIN = Seam("holdfast.sessions.flows.finish:ended_meanwhile")
MERGE = Seam("holdfast.sessions.flows.reconcile:merge")
REAPPLY = Seam("holdfast.sessions.state:Changes.reapplied")
POP_STORED = Seam("holdfast.sessions.flows.pop:_pop")
ROTATE_PLAN = Seam("holdfast.sessions.flows.rotate:_plan")
ROTATE_FINISH_LOGIN = Seam("holdfast.sessions.flows.rotate:finish_login")
ROTATE_POSTPONE = Seam("holdfast.sessions.flows.rotate:postpone")
WRITE_IS_APPLIED = Seam("holdfast.sessions.flows.reconcile:Write.is_applied")
ROTATE_RECONCILE = Seam("holdfast.sessions.flows.rotate:reconcile")
ROTATE_TAKE_OVER = Seam("holdfast.sessions.flows.rotate:_take_over")
ROTATE_REPLACED_MEANWHILE = Seam("holdfast.sessions.flows.rotate:_replaced_meanwhile")
RECONCILE_RESOLVE = Seam("holdfast.sessions.flows.reconcile:resolve")
LOGIN_BEGINS_ANEW = Seam("holdfast.sessions.state:SessionState.begins_anew")
ROTATE_MOVE = Seam("holdfast.sessions.flows.rotate:_move")
ROTATE_IN_STEPS = Seam("holdfast.sessions.flows.rotate:_move_in_steps")
ROTATE_MOVED = Seam("holdfast.sessions.flows.rotate:_moved")
ROTATE_TOMBSTONE = Seam("holdfast.sessions.flows.rotate:Tombstone")
LIMIT_WAITS = Seam("holdfast.sessions.flows.limit:_WAITS")
LIMIT_OTHERS = Seam("holdfast.sessions.flows.limit:_others")
LIMIT_CHECK_ROOM = Seam("holdfast.sessions.flows.commit:check_room")
LIMIT_MAKE_ROOM = Seam("holdfast.sessions.flows.finish:make_room")
EVENTS_EMIT = Seam("holdfast.events:Events.emit")
EVENTS_NOTIFY = Seam("holdfast.events:notify")
ENDED_RECEIVERS = Seam("holdfast.events:ended.receivers_for")
GONE_RECEIVERS = Seam("holdfast.events:gone.receivers_for")
SUPERSEDED_RECEIVERS = Seam("holdfast.events:superseded.receivers_for")

# --- store calls ------------------------------------------------------------------------------------------------------

#: Carries out the store calls of a flow. See `plant_store_call`.
STORE_CALL = Seam("holdfast.sessions.ops:Call.run")
FRESH_LOAD = Seam("holdfast.sessions.ops:_FreshLoad.run")

# --- the manager ------------------------------------------------------------------------------------------------------

MANAGER_INIT = Seam("holdfast.sessions.manager:Manager.__init__")
MANAGER_OPEN = Seam("holdfast.sessions.requests:Requests.open")
MANAGER_COMMIT = Seam("holdfast.sessions.requests:Requests.commit")
MANAGER_POP_STORED = Seam("holdfast.sessions.manager:Manager.pop_stored")
MANAGER_OF = Seam("holdfast.sessions.manager:Manager.of")
MANAGER_REVOKE_SOME = Seam("holdfast.sessions.manager:Manager.revoke_some")
MANAGER_REVOKE = Seam("holdfast.sessions.manager:Manager.revoke")
MANAGER_REVOKE_ALL = Seam("holdfast.sessions.manager:Manager.revoke_all")
MANAGER_REVOKE_EVERYONE = Seam("holdfast.sessions.manager:Manager.revoke_everyone")
MANAGER_PURGE = Seam("holdfast.sessions.manager:Manager.purge")
MANAGER_PURGES_EVERY = Seam("holdfast.sessions.flows.commit:PURGE_EVERY")
LIST_SESSIONS = Seam("holdfast.sessions.manager:list_of")
REVOKE_ALL = Seam("holdfast.sessions.manager:revoke_all")

# --- the mapping ------------------------------------------------------------------------------------------------------

SESSION_SET_ITEM = Seam("holdfast.sessions.server_session:ServerSession.__setitem__")
SESSION_REBIND = Seam("holdfast.sessions.server_session:ServerSession._rebind")
CONTEXT_OWNER_NAMED = Seam("holdfast.sessions.flows.context:Context.owner_named")
SESSION_OPEN = Seam("holdfast.sessions.server_session:ServerSession._open")
SESSION_CLEAR = Seam("holdfast.sessions.server_session:ServerSession.clear")
SESSION_FRESH_FOR = Seam("holdfast.sessions.server_session:ServerSession.fresh_for")
SESSION_FRESH_ONCE = Seam("holdfast.sessions.server_session:ServerSession.fresh_once")
SESSION_IS_EMPTY = Seam("holdfast.sessions.state:SessionState.is_empty")
SESSION_FORGET_OPERATOR = Seam("holdfast.sessions.state:SessionState.forget_operator")
SESSION_OWNER = Seam("holdfast.sessions.state:SessionState.owner")
SESSION_POP_ONCE = Seam("holdfast.sessions.server_session:ServerSession.pop_once")
WARNING_OF_LATE_CHANGE = Seam(
    "holdfast.sessions.mapping:warn_of_late_change", "holdfast.flask.interface:warn_of_late_change"
)

# --- Flask's session --------------------------------------------------------------------------------------------------

FLASK_SESSION_READS = tuple(
    Seam(f"holdfast.flask.session:FlaskSession.{name}")
    for name in ("__getitem__", "get", "__setitem__", "clear", "rotate")
)

# --- sessions in the cookie -------------------------------------------------------------------------------------------

COOKIE_SESSION_TOMBSTONE = Seam("holdfast.sessions.flows.in_cookie:InCookie._revoke")
COOKIE_SESSION_ISSUE = Seam("holdfast.sessions.flows.in_cookie:InCookie._sealed")
COOKIE_SESSION_REVOKED = Seam("holdfast.sessions.flows.in_cookie:InCookie._revoked")
SEALED_COOKIE_INIT = Seam("holdfast.records.cookie:SealedCookie.__init__")
SEALED_COOKIE_UNSEAL = Seam("holdfast.records.cookie:SealedCookie.unseal")
SEALED_COOKIE_LARGEST = Seam("holdfast.records.cookie:MAX_BYTES")
SEALED_COOKIE_BASE64 = Seam("holdfast.records.cookie:_raw")
SEALED_COOKIE_LABEL = Seam("holdfast.records.cookie:labelled")

# --- the cookie -------------------------------------------------------------------------------------------------------

COOKIE_READ = Seam("holdfast.flask.cookies:Cookies.read")
COOKIE_SEND = Seam("holdfast.flask.cookies:Cookies.send")
COOKIE_DELETE = Seam("holdfast.flask.cookies:Cookies.delete")
COOKIE_ATTRIBUTES = Seam("holdfast.flask.cookies:_attributes")
COOKIE_SIGNERS = Seam("holdfast.flask.cookies:Cookies._signers")
COOKIE_CHECK = Seam("holdfast.flask.cookies:Cookies.check")
COOKIE_UNSIGN = Seam("holdfast.flask.cookies:Cookies._unsign")
COOKIE_SIGN = Seam("holdfast.flask.cookies:_sign")
COOKIE_SIGNATURE_COMPARISON = Seam("holdfast.flask.cookies:hmac")
COOKIE_VALUES = Seam("holdfast.flask.cookies:_values")
BEARER_PATTERN = Seam("holdfast.flask.bearer:_BEARER")
COOKIE_MOST_VALUES = Seam("holdfast.flask.cookies:_MOST")
COOKIE_LARGEST_VALUE = Seam("holdfast.flask.cookies:LARGEST")
COOKIE_LONGEST_LIFE = Seam("holdfast.flask.cookies:_LONGEST")

# --- the response -----------------------------------------------------------------------------------------------------

KEEP_PRIVATE = Seam("holdfast.flask.interface:keep_private")
VARY_BY_COOKIE = Seam("holdfast.flask.interface:vary_by")
FORBID_STORING = Seam("holdfast.flask.interface:forbid_storing")
CLEAR_SITE_DATA = Seam("holdfast.flask.interface:clear_site_data")
MAY_STILL_READ = Seam("holdfast.flask.interface:_may_still_read")
ARRIVED_SECURE = Seam("holdfast.flask.interface:Request.is_secure")
CHANGED_DEVICE = Seam("holdfast.flask.interface:_changed_device")
DEVICE_METADATA = Seam("holdfast.flask.interface:device_metadata")
LOGIN_METADATA = Seam("holdfast.flask.interface:_login_metadata")
KEEPS_LOGOUT = Seam("holdfast.sessions.state:SessionState.keep_only_a_logout")
INTERFACE_LOAD = Seam("holdfast.flask.interface:HoldfastInterface._load")
INTERFACE_END = Seam("holdfast.flask.interface:HoldfastInterface._end")
INTERFACE_LIFETIME = Seam("holdfast.flask.interface:HoldfastInterface._lifetime")
INTERFACE_OPEN_SESSION = Seam("holdfast.flask.interface:HoldfastInterface.open_session")
INTERFACE_SAVE_SESSION = Seam("holdfast.flask.interface:HoldfastInterface.save_session")
EXTENSION_BEFORE_LOOKUP = Seam("holdfast.flask.extension:Session.before_lookup")
SESSIONS_END = Seam("holdfast.flask.extension:ends")
EXTENSION_REVOKE = Seam("holdfast.flask.extension:Session.revoke")
ANSWERS_NOT_FRESH = Seam("holdfast.flask.answers:_NotFresh.description")

# --- settings ---------------------------------------------------------------------------------------------------------

SETTING_READ = Seam("holdfast.flask.settings.setting:Setting.read")
SETTINGS_OF_PROFILE = Seam("holdfast.flask.settings.profiles:filled_in")
PROFILE_NAMED = Seam("holdfast.flask.settings.profiles:profile_named")
KNOWS_PARTITIONED = Seam("holdfast.flask.settings.cookie_rules:KNOWS_PARTITIONED")
COOKIE_RULES_CONTRADICTIONS = Seam("holdfast.flask.settings.cookie_rules:contradictions")
LONGEST_LIFE_WITHOUT_WARNING = Seam("holdfast.flask.settings.loading:LONGEST_COOKIE")
WEAKNESS_OF_KEY = Seam("holdfast.records.weak_keys:weakness_of")
REFUSE_SERVED_FOLDER = Seam("holdfast.flask.build:_check_place")
BUILD_LOGGER = Seam("holdfast.flask.build:_logger")
WARNING_OF_COOKIE_SESSIONS = Seam("holdfast.flask.build:_logger.warning")

# --- contrib ----------------------------------------------------------------------------------------------------------

DOCTOR_LIFETIME_IN_WORDS = Seam("holdfast.contrib.doctor.lifetimes:in_words")
DOCTOR_LIFETIME_UNLESS = Seam("holdfast.contrib.doctor.lifetimes:unless")
DEVICES_PAGE_END = Seam("holdfast.contrib.devices_page.views:_Page._end")

# --- stores -----------------------------------------------------------------------------------------------------------

RECORD_DECODERS = Seam("holdfast.records.envelope:_DECODERS")
STORE_BACKENDS = Seam("holdfast.stores.registry:_BACKENDS")
POOL_CURSOR = Seam("holdfast.stores.shared.sqlite_pool:Cursor")
POOL_MAKE_FILE = Seam("holdfast.stores.shared.sqlite_pool:make_private_file")
FILES_PATH = Seam("holdfast.stores.files:FileStore._path")
FILES_READ_FLAGS = Seam("holdfast.stores.files:_READ")
FILES_READ = Seam("holdfast.stores.files:_read")
FILES_DECODE = Seam("holdfast.stores.files:_decode")
FILES_NAMES = Seam("holdfast.stores.files:_names")
FILES_LOCKED = Seam("holdfast.stores.files:locked")
JSON_FILE_LOCKED = Seam("holdfast.stores.jsonfile:locked")
FILES_FAULTS = Seam("holdfast.stores.shared.disk:faults_of")
FILES_MAKE_FOLDER = Seam("holdfast.stores.shared.disk:make_folder")
WRITE_FILE = Seam("holdfast.stores.shared.disk:write_file")
MEMCACHED_WRITE = Seam("holdfast.stores.memcached:MemcachedStore._write")
MEMCACHED_UNREAD = Seam("holdfast.stores.memcached.clients:_Unread")
MEMCACHED_READING_BYTES = Seam("holdfast.stores.memcached.clients:_reading_bytes")
MEMCACHED_READS_BYTES = Seam("holdfast.stores.memcached.clients:_reads_bytes")
MONGODB_RECORD = Seam("holdfast.stores.mongodb.store:_record")
MONGODB_RUN = Seam("holdfast.stores.mongodb:MongoDBStore._run")
IMPORT_WORKERS = Seam("holdfast.cli.output:_WORKERS")
MANAGER_TAKE_OVER = Seam("holdfast.sessions.manager:Manager.take_over")
FIRST_TOKEN_BELOW = Seam("holdfast.sessions.flows.context:_FIRST_TOKEN_BELOW")
LONGEST_IDLE_CONNECTION = Seam("holdfast.stores.shared.clients:LONGEST_IDLE")
NEAR_CACHE_FORGET = Seam("holdfast.stores.nearcache:NearCache._forget")
PAIR_DELETE = Seam("holdfast.stores.pair:PairStore.delete")
PAIR_REPLACE = Seam("holdfast.stores.pair:PairStore.replace")
REDIS_CREATE = Seam("holdfast.stores.redis:RedisClusterStore.create")
REDIS_IS_AN_ANSWER = Seam("holdfast.stores.redis.direct:_is_an_answer")
REDIS_LOAD = Seam("holdfast.stores.redis:RedisClusterStore.load")
REDIS_NAME = Seam("holdfast.stores.redis:RedisClusterStore._name")
REDIS_RECORD = Seam("holdfast.stores.redis.scripts:record_in")
REDIS_RUN = Seam("holdfast.stores.redis:RedisClusterStore._run")
REDIS_WRONG_TYPE = Seam("holdfast.stores.redis.store:_is_of_another_type")
REDIS_WRITE_SCRIPT = Seam("holdfast.stores.redis.scripts:Write.__init__")
REDIS_WRITE_SCRIPTS = (
    Seam("holdfast.stores.redis.scripts:CREATE"),
    Seam("holdfast.stores.redis.scripts:REPLACE"),
    Seam("holdfast.stores.redis.scripts:MOVE"),
)
SQL_PREPARED_STATEMENT = Seam("holdfast.stores.sql.connections:Prepared.run")
SQL_RUN = Seam("holdfast.stores.sql.database:Database._run")
SQL_STATEMENT_TIMEOUT = Seam("holdfast.stores.sql.engines:_STATEMENT")
SQL_RECORD = Seam("holdfast.stores.sql.store:_record")
SQL_LOAD = Seam("holdfast.stores.sql:SQLStore.load")
SQL_REPLACE = Seam("holdfast.stores.sql:SQLStore.replace")
SQLITE_LOAD = Seam("holdfast.stores.sqlite:SQLiteStore.load")
SQLITE_REPLACE = Seam("holdfast.stores.sqlite:SQLiteStore.replace")
SQLITE_RECORD = Seam("holdfast.stores.sqlite:_record")
SQLITE_KEY = Seam("holdfast.stores.sqlite:raw_of")

# --- source files, as paths below src/holdfast ------------------------------------------------------------------------

SOURCE_OF_TOKENS = "records/tokens.py"
SOURCE_OF_TAGS = "records/encryption.py"
SOURCE_OF_TYPE_CODECS = "records/codec/type_codecs.py"
SOURCE_OF_PICKLES = "imports/pickled.py"
SOURCE_OF_RETRIES = "sessions/flows/reconcile.py"
SOURCE_OF_SIGNATURES = "flask/cookies.py"
SOURCE_OF_FILE_STORE = "stores/files.py"
