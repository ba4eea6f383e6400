"""The layout of a value, and the scripts that change it.

Each script is one atomic step on a record, and on an index within reach.

A record is under the prefix and its key's 32 bytes. The value is one string: a format byte, the version (8 bytes), the
expiry (16 digits), the time until which the index is guaranteed to list the record (16 digits), the length of the owner
(6 digits, 0 if there is none), the owner, the data. Padded digits compare as text. An owner is a mark and its bytes:
`x` and those that hex digits stand for, or `t` and the text's. Any other value counts as a record without a version.

An index is a sorted set of keys, under the first bytes of the owner. Invariant: no record outlives its score there. In
a Cluster the index is out of a record's reach; then the index entry is written first, the script on the record gets the
score, and refuses a longer life. Each entry takes a higher score, so that removing an older one does not undo a later
entry.
"""

from __future__ import annotations

import hashlib
import secrets

from holdfast.errors import RecordTooLarge
from holdfast.records.record import Record
from holdfast.stores.shared.wire import MARGIN, owner_bytes, owner_text, raw_of

#: The answers of the scripts, besides a conflict (a list with the value) and an index to leave (score and owner).
GONE, DONE, UNLISTED = 0, 1, 2

# The number of bytes before the owner and the data.
_HEAD = 47
# Redis's limit for one value, less the bytes before the data.
_MAX_BYTES = 512 * 1024 * 1024 - 1024
# The longest length with the six digits that a value has for it.
_LONGEST_OWNER = 999_999

#: The forms of a missing owner and a missing index entry.
NOBODY, NEVER = b"000000", b"0000000000000000"
# The bytes of an owner that name the index, with the mark before them: few users share one, and find each their own.
_INDEXED = 9


class Script:
    """A script, and its name on the server after its first run."""

    def __init__(self, code: bytes, *, shortcut: bytes = b"") -> None:
        self.code = shortcut + _COMMON + code
        self.sha = hashlib.sha1(self.code, usedforsecurity=False).hexdigest()


_COMMON = b"""
local NOBODY, NEVER = '000000', '0000000000000000'
local now = ARGV[1]

local function read(key)
  local head = redis.pcall('GETRANGE', key, 0, 46)
  if head == '' then return nil end
  if type(head) == 'table' and not string.find(head['err'], 'WRONGTYPE', 1, true) then
    redis.call('GETRANGE', key, 0, 46)
  end
  if type(head) ~= 'string' or #head < 47 or not string.find(head, '^1........%d+$') then
    return '', '9', NEVER, NOBODY
  end
  local expires, owner = string.sub(head, 10, 25), string.sub(head, 42, 47)
  if expires <= now then return nil end
  if owner ~= NOBODY then owner = redis.call('GETRANGE', key, 41, 46 + owner) end
  return string.sub(head, 2, 9), expires, string.sub(head, 26, 41), owner
end

local function conflict(key, version)
  if version == '' then return {''} end
  return {redis.call('GET', key)}
end

-- The clock of a host may be ahead: what has not expired by the server's own stays in the index.
local function enter(index, member, through)
  local time = redis.call('TIME')
  local now = math.min(now, time[1] * 1000 + math.floor(time[2] / 1000))
  redis.call('ZREMRANGEBYSCORE', index, '-inf', string.format('%.0f', now - MARGIN))
  local score, known = tonumber(through), redis.call('ZSCORE', index, member)
  if known and tonumber(known) >= score then score = known + 1 end
  redis.call('ZADD', index, string.format('%.0f', score), member)
  local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')[2]
  redis.call('PEXPIRE', index, string.format('%.0f', last - now + MARGIN))
  return string.format('%016.0f', score)
end

local function put(key, head, listed, owner, data, ttl)
  redis.call('SET', key, head .. listed .. owner .. data, 'PX', ttl)
end

local function left(score, owner)
  if owner == NOBODY then return 1 end
  return score .. string.sub(owner, 7)
end
""".replace(b"MARGIN", b"%d" % MARGIN)

#: Keys: record, and its index if that is within reach. Arguments: now, head, owner, data, time to live, the time until
#: which it is to be listed (or is, if the index is out of reach), member. Returns DONE, or GONE if a live record
#: exists.
CREATE = Script(
    b"""
local head, listed = ARGV[2], ARGV[6]
if read(KEYS[1]) then return 0 end
if KEYS[2] then listed = enter(KEYS[2], ARGV[7], listed) end
put(KEYS[1], head, listed, ARGV[3], ARGV[4], ARGV[5])
return 1
"""
)

# The usual save: the same owner, who is listed for long enough. No function is defined for it: that takes longer.
_SAME_OWNER = b"""
local owner = ARGV[3]
local head = redis.pcall('GETRANGE', KEYS[1], 0, 40 + #owner)
if type(head) == 'string' and string.sub(head, 42) == owner and string.sub(head, 2, 9) == ARGV[8]
  and string.sub(head, 10, 25) > ARGV[1] and string.find(head, '^1........%d+', 1) then
  local listed = string.sub(head, 26, 41)
  if owner == '000000' then listed = '0000000000000000' end
  if owner == '000000' or (KEYS[2] and listed >= string.sub(ARGV[2], 10, 25)) then
    redis.call('SET', KEYS[1], ARGV[2] .. listed .. owner .. ARGV[4], 'PX', ARGV[5])
    return 1
  end
end
"""

#: Keys and arguments: those of CREATE, and the expected version. Returns DONE, GONE, a conflict, an index to leave, or
#: UNLISTED if the record would outlive its entry in an index out of reach.
REPLACE = Script(
    b"""
local head, owner, through = ARGV[2], ARGV[3], ARGV[6]
local version, _, score, was = read(KEYS[1])
if not version then return 0 end
if version ~= ARGV[8] then return conflict(KEYS[1], version) end
local listed = NEVER
if owner ~= NOBODY then
  if was == owner then listed = score end
  if not KEYS[2] and listed < through then listed = through end
  if listed < string.sub(head, 10, 25) then
    if not KEYS[2] then return 2 end
    listed = enter(KEYS[2], ARGV[7], through)
  end
end
put(KEYS[1], head, listed, owner, ARGV[4], ARGV[5])
if was == owner then return 1 end
return left(score, was)
""",
    shortcut=_SAME_OWNER,
)

#: Keys: record. Arguments: now, expiry, time to live, the time until which it is listed, and the owner. Returns DONE,
#: GONE, or the owner if the record would outlive its entry in the index.
TOUCH = Script(
    b"""
local expires, listed = ARGV[2], ARGV[4]
local version, until_now, score, owner = read(KEYS[1])
if not version then return 0 end
if version == '' or expires <= until_now then return 1 end
if owner ~= ARGV[5] or listed < score then listed = score end
if owner ~= NOBODY and listed < expires then return owner end
redis.call('SETRANGE', KEYS[1], 9, expires .. listed)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
)

#: Keys: record. Arguments: now. Returns DONE, GONE, or an index to leave.
DELETE = Script(
    b"""
local version, _, score, owner = read(KEYS[1])
redis.call('DEL', KEYS[1])
if not version then return 0 end
return left(score, owner)
"""
)

#: Keys: records. Arguments: now, the prefix of all keys, and of each record its member and the expected version.
#: Returns the members of those that it removed, with their entries in indexes within reach.
DISCARD = Script(
    b"""
local removed = {}
for i, key in ipairs(KEYS) do
  local member = ARGV[1 + 2 * i]
  local version, _, _, owner = read(key)
  if version and version ~= '' and version == ARGV[2 + 2 * i] then
    redis.call('DEL', key)
    if owner ~= NOBODY then redis.call('ZREM', ARGV[2] .. 'owner:' .. string.sub(owner, 7, 15), member) end
    removed[#removed + 1] = member
  end
end
return removed
"""
)

#: Keys: old record, new record, and the new one's index. Arguments: those of CREATE about the new record, the expected
#: version, head, data and time to live of the tombstone, the old member. Returns the same as REPLACE.
MOVE = Script(
    b"""
local owner, listed = ARGV[3], NEVER
local version, _, score, was = read(KEYS[1])
if not version then return 0 end
if version ~= ARGV[8] then return conflict(KEYS[1], version) end
if KEYS[3] then
  listed = enter(KEYS[3], ARGV[7], ARGV[6])
  if was == owner then
    redis.call('ZREM', KEYS[3], ARGV[12])
    was = NOBODY
  end
end
put(KEYS[2], ARGV[2], listed, owner, ARGV[4], ARGV[5])
put(KEYS[1], ARGV[9], NEVER, NOBODY, ARGV[10], ARGV[11])
return left(score, was)
"""
)

#: Keys: index. Arguments: now, member, the time until which it is to be listed. Returns the time until which it is.
ENTER = Script(b"return enter(KEYS[1], ARGV[2], ARGV[3])")

#: Keys: index. Arguments: now, member, the score it was entered with.
LEAVE = Script(
    b"""
local score = redis.call('ZSCORE', KEYS[1], ARGV[2])
if score and tonumber(score) == tonumber(ARGV[3]) then redis.call('ZREM', KEYS[1], ARGV[2]) end
"""
)

#: Keys: index. Arguments: now, the score and the member of the last position, the limit, and if records are within
#: reach, the prefix of their keys. Returns the next position, or an empty value; then members, each with its value if
#: that is within reach. There, entry and record are written at once: an entry without a record is useless, and is
#: removed.
FIND = Script(
    b"""
local function follows(a, b)  -- as bytes: < compares by the server's language
  for i = 1, #a do
    local mine, other = string.byte(a, i), string.byte(b, i) or -1
    if mine ~= other then return mine > other end
  end
  return false
end

local score, after, left, prefix = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local start, at, asked, found = score, 0, 0, {''}
while left > 0 do
  local entries = redis.call('ZRANGEBYSCORE', KEYS[1], start, '+inf', 'WITHSCORES', 'LIMIT', at, left)
  asked = left
  for i = 1, #entries, 2 do
    local member, value = entries[i], nil
    at = at + 1
    if entries[i + 1] ~= score or follows(member, after) then
      score, after = entries[i + 1], member
      if prefix then value = redis.pcall('GET', prefix .. member) end
      if value == false then
        redis.pcall('ZREM', KEYS[1], member)
        at = at - 1
      else
        left = left - 1
        found[#found + 1] = member
        if prefix then found[#found + 1] = type(value) == 'string' and value or '' end
      end
    end
  end
  if #entries < 2 * asked then return found end
end
found[1] = score .. ' ' .. after
return found
"""
)

#: Keys: record. A write without effect; a replica that has it has all earlier writes.
MARK = b"""
local first = redis.call('GETRANGE', KEYS[1], 0, 0)
if first == '' then
  redis.call('SET', KEYS[1], '')
  redis.call('DEL', KEYS[1])
else
  redis.call('SETRANGE', KEYS[1], 0, first)
end
"""


class Seen(bytes):
    """The version of a record that was loaded, with the whole *value* that had it."""

    value: bytes


class Write:
    """The record to write, as arguments of the scripts; `RecordTooLarge` if it exceeds Redis's limit for one value."""

    def __init__(self, data: bytes, expires_at: int, owner: str | None, at: int) -> None:
        if len(data) > _MAX_BYTES:
            raise RecordTooLarge(len(data), _MAX_BYTES)
        left = max(0, expires_at - at)
        self.at = at
        self.data = data
        self.now = digits(at)
        self.version = secrets.token_bytes(8)
        self.expires_at = digits(expires_at)
        self.ttl = left + MARGIN
        self.owner = owner_field(owner)
        self.head = b"1" + self.version + self.expires_at
        # Listed a quarter longer than it lives, so that not every touch and save must write the index.
        self.listed = digits(expires_at + left // 4)
        self.arguments = [self.now, self.head, self.owner, data, self.ttl]

    def over(self, old: bytes) -> bytes | None:
        """Return the value to write over *old*, if that is there; None where it takes a script.

        It does so where another owner is to be listed, or the same one for longer, and where *old* has expired.
        """
        listed = old[25:41]
        if old[9:25] <= self.now or not old.startswith(self.owner, 41):
            return None
        if self.owner == NOBODY:
            listed = NEVER
        elif listed < self.expires_at:
            return None
        return self.value(listed)

    def value(self, listed: bytes) -> bytes:
        """Return the value to write, whose owner's index is guaranteed to list it until *listed*."""
        return b"".join((self.head, listed, self.owner, self.data))


def digits(time: int) -> bytes:
    """Return *time* as the scripts compare it, within the integers that a score, a float, represents exactly."""
    return b"%016d" % min(max(time, 0), 9 * 10**15)


def key_bytes(key: str) -> bytes:
    """Return *key* as it is in a name and in an index: the bytes that its hex digits stand for."""
    raw = raw_of(key)
    return raw if isinstance(raw, bytes) else raw.encode()


def owner_field(owner: str | None) -> bytes:
    """Return *owner* as it is in a value, its length first."""
    if owner is None:
        return NOBODY
    raw = raw_of(owner)
    content = b"x" + raw if isinstance(raw, bytes) else b"t" + owner_bytes(owner)
    if len(content) > _LONGEST_OWNER:
        raise RecordTooLarge(len(content), _LONGEST_OWNER)
    return b"%06d" % len(content) + content


def index_of(owner: bytes) -> bytes:
    """Return what names the index of an owner, given the owner as in a value without its length."""
    return b"owner:" + owner[:_INDEXED]


def record_in(value: bytes, now: int) -> Record | None:
    """Return the record in *value*, or None if it has expired; any other value is an empty record."""
    if len(value) < _HEAD or value[:1] != b"1" or not value[9:_HEAD].isdigit():
        return Record(b"", b"", now + MARGIN)
    expires_at, start = int(value[9:25]), _HEAD + int(value[41:_HEAD])
    if expires_at <= now:
        return None
    return Record(value[start:], value[1:9], expires_at, _owner_in(value[_HEAD:start]))


def _owner_in(content: bytes) -> str | None:
    if not content:
        return None
    return content[1:].hex() if content[:1] == b"x" else owner_text(content[1:])
