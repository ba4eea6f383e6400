"""Payloads that are refused, in one table for each format."""

from __future__ import annotations

import pickle  # noqa: TID251  # an attacker's data


def ext(code: int, data: bytes) -> bytes:
    """Return an extension in its longest spelling."""
    return b"\xc9" + len(data).to_bytes(4, "big") + code.to_bytes(1, "big", signed=True) + data


def tight(code: int, data: bytes) -> bytes:
    """Return the shortest spelling of an extension, which is the one that is written."""
    sizes = {1: 0xD4, 2: 0xD5, 4: 0xD6, 8: 0xD7, 16: 0xD8}
    head = bytes([sizes[len(data)]]) if len(data) in sizes else b"\xc7" + bytes([len(data)])
    return head + code.to_bytes(1, "big", signed=True) + data


def nested_ext(depth: int) -> bytes:
    """Return so many extensions in each other."""
    data = b"\x90"
    for _ in range(depth):
        data = b"\x91" + ext(1, data)
    return b"\x81\xa1a" + ext(1, data)


A = b"\x81\xa1a"

MANY = b"\xff\xff\xff\xff"

#: They claim to be large, or are deep.
MSGPACK_BOMBS = {
    **{f"a head that says {head:#x} and four times 0xff": bytes([head]) + MANY for head in (0xDD, 0xDF, 0xC6, 0xDB)},
    "an extension's head of 2^32-1": b"\xc9" + MANY + b"\x01",
    "array of 2^32-1": b"\xdd" + MANY + b"\xc0" * 10,
    "map of 2^32-1": b"\xdf" + MANY + b"\xa1a\xc0",
    "bytes of 2^32-1": b"\xc6" + MANY + b"a",
    "text of 2^32-1": b"\xdb" + MANY + b"a",
    "extension of 2^32-1": b"\xc9" + MANY + b"\x01a",
    "array of 2^32-1 in a map": A + b"\xdd" + MANY,
    "arrays of 2^27, nested": A + b"\xdd\x08\x00\x00\x00" * 100,
    "maps of 2^20, nested": b"\xdf\x00\x10\x00\x00\xa1a" * 900,
    "array of 2^32-1 in an extension": A + ext(1, b"\xdd" + MANY),
    "200,000 arrays": b"\x91" * 200_000,
    "200,000 arrays in a map": A + b"\x91" * 200_000,
    "100,000 maps": A * 100_000,
    "1,000 levels of extensions": nested_ext(1_000),
    "200,000 arrays in a map, closed": A + b"\x91" * 200_000 + b"\x01",
    "200,000 maps, closed": A * 200_000 + b"\x01",
    "extensions in extensions": A + b"\xc7\x03\x01" * 50_000,
}
MSGPACK = {
    **MSGPACK_BOMBS,
    "nothing": b"",
    "129 levels": A + b"\x91" * 127 + b"\x90",
    "129 levels of extensions": nested_ext(128),
    "an extension of a type of its own": A + tight(100, b"x"),
    "an extension of type 0": A + tight(0, b"x"),
    "a timestamp": A + b"\xd6\xff\x00\x00\x00\x00",
    "a timestamp out of range": A + b"\xc7\x0c\xff" + MANY + b"\x7f" + b"\xff" * 7,
    "a reserved byte": A + b"\xc1",
    "bytes after the end": A + b"\x01\x00",
    "a session after the end": A + b"\x01" + A + b"\x01",
    "a key twice": b"\x82\xa1a\x01\xa1a\x02",
    "a number for a key": b"\x81\x01\x02",
    "bytes for a key": b"\x81\xc4\x01a\x02",
    "an array for a key": b"\x81\x90\x01",
    "a map for a key": b"\x81\x80\x01",
    "an array": b"\x91\x01",
    "None": b"\xc0",
    "text": b"\xa1a",
    "a long spelling of a number": A + b"\xcd\x00\x01",
    "a long spelling of text": A + b"\xd9\x01a",
    "a long spelling of an array": A + b"\xdc\x00\x01\x01",
    "a short float": A + b"\xca\x3f\x80\x00\x00",
    "text that is not UTF-8": A + b"\xa1\xff",
    "half of a surrogate pair": A + b"\xa3\xed\xa0\x80",
    "a pickle": pickle.dumps({"a": 1}),
    "zeros": bytes(100),
    "ones": b"\xff" * 100,
    "HTML": b"<!doctype html><title>502</title>",
    "gzip": b"\x1f\x8b\x08\x00" + bytes(20),
    "a tuple of text": A + tight(1, b"\xa2ab"),
    "a tuple of a map": A + tight(1, A + b"\x01"),
    "a tuple and more": A + tight(1, b"\x90\x90"),
    "an empty tuple without its array": A + tight(1, b""),
    "a set out of order": A + tight(2, b"\x92\x02\x01"),
    "a set with an item twice": A + tight(2, b"\x92\x01\x01"),
    "a set of lists": A + tight(2, b"\x91\x90"),
    "a dict with text for keys": A + tight(4, b"\x91\x92\xa1b\x01"),
    "a dict with a key twice": A + tight(4, b"\x92\x92\x01\x01\x92\x01\x02"),
    "a dict of threes": A + tight(4, b"\x91\x93\x01\x02\x03"),
    "a dict with a list for a key": A + tight(4, b"\x91\x92\x90\x01"),
    "an int that is small": A + tight(5, b"0x10"),
    "an int in capitals": A + tight(5, b"0xFFFFFFFFFFFFFFFFFF"),
    "an int that is none": A + tight(5, b"0xg"),
    "a float": A + tight(6, b"inf"),
    "bytes": A + tight(7, b"AP8="),
    "markup that is not UTF-8": A + tight(8, b"\xff"),
    "a UUID in capitals": A + tight(9, b"00000000-0000-0000-0000-0000000000FF"),
    "a UUID that is none": A + tight(9, b"x"),
    "a decimal that is none": A + tight(10, b"x"),
    "a signaling NaN in a set": A + tight(2, b"\x91" + tight(10, b"sNaN")),
    "an empty datetime": A + tight(11, b""),
    "month 13": A + tight(11, b"2026-13-01T00:00:00"),
    "year 10,000": A + tight(11, b"10000-01-01T00:00:00"),
    "a datetime without seconds": A + tight(11, b"2026-01-01T00:00"),
    "a zone that is a path": A + tight(11, b"2026-01-01T00:00:00+00:00[../../etc/passwd]"),
    "a zone from the root": A + tight(11, b"2026-01-01T00:00:00+00:00[/etc/passwd]"),
    "a zone without an offset": A + tight(11, b"2026-01-01T00:00:00[Europe/Berlin]"),
    "a zone without an end": A + tight(11, b"2026-01-01T00:00:00+00:00[UTC"),
    "two zones": A + tight(11, b"2026-01-01T00:00:00+00:00[UTC][UTC]"),
    "a name without an offset": A + tight(11, b"2026-01-01T00:00:00(CET)"),
    "two folds": A + tight(11, b"2026-01-01T00:00:00~~"),
    "a date with a time": A + tight(12, b"2026-01-01T00:00:00"),
    "hour 25": A + tight(13, b"25:00:00"),
    "a timedelta of text": A + tight(14, b"\xa3abc"),
    "a timedelta of two": A + tight(14, b"\x92\x01\x02"),
    "a timedelta out of range": A + tight(14, b"\x93\xcf\x7f" + b"\xff" * 7 + b"\x00\x00"),
    "a timedelta in other units": A + tight(14, b"\x93\x00\xce\x00\x01\x51\x80\x00"),
    "an extension of another type": A + tight(99, b"\x00"),
    "a time out of range": A + b"\xc7\x0c\xff" + b"\xff" * 12,
    "an array of a number for a key": b"\x81\x91\x01\x01",
    "an array of three": b"\x93\x01\x02\x03",
    "a reserved byte alone": b"\xc1",
    "a key without a value": A,
}

#: They are deep, or long to compute.
_JSON_BOMBS = {
    "200,000 arrays": "[" * 200_000,
    "200,000 arrays in an object": '{"a":' + "[" * 200_000 + "]" * 200_000 + "}",
    "100,000 objects": '{"a":' * 100_000,
    "900 arrays": '{"a":' + "[" * 900 + "]" * 900 + "}",
    "4,301 digits": '{"a":' + "1" * 4301 + "}",
    "200,000 arrays, closed": "[" * 200_000 + "]" * 200_000,
    "200,000 objects, closed": '{"a":' * 200_000 + "1" + "}" * 200_000,
    "5,000 digits": '{"a":' + "9" * 5000 + "}",
    "a large exponent": '{"a":1e999999999}',
}
_JSON: dict[str, str | bytes] = {
    **_JSON_BOMBS,
    "nothing": "",
    "129 levels": '{"a":' + "[" * 128 + "]" * 128 + "}",
    "129 levels of tags": '{"a":' + '{"$tuple":[' * 128 + "]}" * 128 + "}",
    "a number over 64 bits": '{"a":18446744073709551616}',
    "NaN": '{"a":NaN}',
    "Infinity": '{"a":-Infinity}',
    "1e999": '{"a":1e999}',
    "a long spelling of a float": '{"a":1.50}',
    "minus nothing": '{"a":-0}',
    "half of a surrogate pair": '{"a":"\\ud800"}',
    "an escape that is not needed": '{"a":"\\u00e9"}',
    "not UTF-8": b'{"a":"\xff"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a byte-order mark": '\ufeff{"a":1}',
    "a key twice": '{"a":1,"a":2}',
    "spaces": '{"a": 1}',
    "a line's end": '{"a":1}\n',
    "something after the end": '{"a":1}{"a":1}',
    "an array": "[1]",
    "null": "null",
    "text": '"a"',
    "cut short": '{"a":[1,',
    "a pickle": pickle.dumps({"a": 1}, protocol=0),
    "zeros": bytes(100),
    "HTML": "<!doctype html>",
    "an unknown tag": '{"a":{"$new":1}}',
    "a tag without a name": '{"a":{"$":1}}',
    "a session that is a tuple": '{"$tuple":[]}',
    "a tuple of text": '{"a":{"$tuple":"ab"}}',
    "a tuple of an object": '{"a":{"$tuple":{"b":1}}}',
    "a tuple of a number": '{"a":{"$tuple":1}}',
    "a set out of order": '{"a":{"$set":[2,1]}}',
    "a set with an item twice": '{"a":{"$set":[1,1]}}',
    "a set of lists": '{"a":{"$set":[[]]}}',
    "a dict that needs no tag": '{"a":{"$dict":[["b",1],["c",2]]}}',
    "a dict with a key twice": '{"a":{"$dict":[[1,1],[1,2]]}}',
    "a dict of text": '{"a":{"$dict":["ab"]}}',
    "a dict with a list for a key": '{"a":{"$dict":[[[],1]]}}',
    "an int that is small": '{"a":{"$int":"0x10"}}',
    "an int that is a number": '{"a":{"$int":1}}',
    "a float that is a number": '{"a":{"$float":"1.5"}}',
    "bytes that are not base64": '{"a":{"$bytes":"?"}}',
    "bytes that are a number": '{"a":{"$bytes":1}}',
    "markup of null": '{"a":{"$markup":null}}',
    "a decimal that is a number": '{"a":{"$decimal":1}}',
    "a decimal that is a list": '{"a":{"$decimal":[0,[1],2]}}',
    "a UUID that is a list": '{"a":{"$uuid":[]}}',
    "a datetime that is a number": '{"a":{"$datetime":1}}',
    "a timedelta out of range": '{"a":{"$timedelta":[1000000000,0,0]}}',
    "a timedelta of floats": '{"a":{"$timedelta":[0.5,0,0]}}',
    "a number": "1",
    "an empty array": "[]",
    "two objects": '{"a":1} {"b":2}',
    "an object cut short": '{"a":1',
}

JSON_BOMBS = {name: text.encode() for name, text in _JSON_BOMBS.items()}
JSON = {name: text.encode() if isinstance(text, str) else text for name, text in _JSON.items()}
