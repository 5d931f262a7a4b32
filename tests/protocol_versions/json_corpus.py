"""Texts that are JSON, texts that are none, and texts that readers differ on, by the rule of RFC 8259 that decides.

Written for this project, along the grammar: each production with what stands just beside it. `EITHER` are texts that
the grammar takes and of which the RFC leaves it to the reader what becomes; what is decided here stands beside each.
"""

from __future__ import annotations

from typing import Final

NUMBERS: Final = (
    "0", "-0", "1", "-1", "10", "-10", "123456789012345678", "9007199254740993", "0.0", "-0.0", "0.1", "1.0", "1.50",
    "0e0", "0E0", "0e+1", "0E-1", "1e1", "1E1", "1e+1", "1e-1", "1.5e10", "-1.5E-10", "1e308", "-1e308", "5e-324",
    "1e-400", "2.2250738585072014e-308", "1.7976931348623157e308", "123.456e-7", "18446744073709551615",
)  # fmt: skip
NO_NUMBERS: Final = (
    "+1", "+0", "01", "-01", "00", "-00", "0.", ".0", "-.5", "1.", "1.e1", ".e1", "1e", "1e+", "1e-", "1E", "e1",
    "E+1", "-", "--1", "-+1", "+-1", "1+1", "1-1", "1 1", "1_000", "1,000", "0x10", "0b1", "0o7", "1f", "1d", "1L",
    "1n", "1.2.3", "1e1.5", "1e1e1", "- 1", "1 .5", "1. 5", "1e 5", "NaN", "nan", "-NaN", "Infinity", "-Infinity",
    "inf", "Inf", "\uff11", "\u0661", "\u00bd", "1\u00e9", "0.\u0661", "\u22121", "1'000",
)  # fmt: skip
STRINGS: Final = (
    '""', '" "', '"a"', '"\\""', '"\\\\"', '"\\/"', '"/"', '"\\b\\f\\n\\r\\t"', '"\\u0000"', '"\\u001f"', '"\\u0020"',
    '"\\u00e9"', '"\\u00E9"', '"\\uFFFF"', '"\\ufffe"', '"\\uFDD0"', '"\\ud834\\udd1e"', '"\\uD834\\uDD1E"',
    '"\\udbff\\udfff"', '"\\u2028\\u2029"', '"\u2028"', '"\u2029"', '"\u0085"', '"\u00a0"', '"\x7f"', '"\u0080"',
    '"\ufeff"', '"\ufffd"', '"\ufffe"', '"\uffff"', '"\U0001f600"', '"\U0010ffff"', '"\U0001fffe"', '"\u202e"',
    '"\u200b"', '"\ue000"', '"e\u0301"', '"\\\\u0061"', '"\\\\\\""', '"[{,:}]"', '"//"', '"/* */"', '"null"',
    '"\\u005Cn"', '"\'"',
)  # fmt: skip
NO_STRINGS: Final = (
    '"', '"a', 'a"', '"\\"', '"\\', "'a'", "`a`", "\u201ca\u201d", '"""', '"a" "b"', '"\\a"', '"\\0"', '"\\e"',
    '"\\v"', '"\\x41"', '"\\\'"', '"\\ "', '"\\\n"', '"\\U0041"', '"\\u"', '"\\u0"', '"\\u00"', '"\\u004"',
    '"\\u004g"', '"\\u 041"', '"\\u{41}"', '"\\u+041"', '"\\u-041"', '"\\u00e\u0661"', '"\x00"', '"\x01"', '"\x1f"',
    '"\t"', '"\n"', '"\r"', '"\r\n"',
)  # fmt: skip
ARRAYS: Final = (
    "[]", "[ ]", "[1]", "[1,2]", "[ 1 , 2 ]", "[\t1\r\n,\n2 ]", "[[]]", "[[],[[]]]", "[null,true,false]", '[""]',
    "[{}]", "[1,1,1]",
)  # fmt: skip
NO_ARRAYS: Final = (
    "[", "]", "[1", "1]", "[1,", "[1,]", "[,1]", "[,]", "[1,,2]", "[,,]", "[1 2]", "[1;2]", "[1:2]", "[}", "{]",
    "[[]", "[]]", "[][]", "[1,2}", '["a":1]', "[...]", "(1)", "[1]1", "[*]",
)  # fmt: skip
OBJECTS: Final = (
    "{}", "{ }", '{"a":1}', '{ "a" : 1 }', '{"":1}', '{"a":{}}', '{"a":[]}', '{"a":1,"b":2}', '{"a":1,"A":2}',
    '{"a":null}', '{"\\u0061\\u0062":1}', '{"a b":1}', '{"__proto__":{"x":1}}', '{"constructor":1}', '{"1":1}',
    '{"\u00e9":1,"e\u0301":2}', '{"a":"a"}', '{"a\\\\":1}', '{"\\"":1}', '{"\\/":1}',
)  # fmt: skip
NO_OBJECTS: Final = (
    "{", "}", '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', '{,"a":1}', "{,}", '{"a"}', '{"a",1}', '{"a":}',
    "{:1}", "{a:1}", "{'a':1}", "{1:1}", "{null:1}", "{true:1}", '{["a"]:1}', '{"a"::1}', '{"a":1 "b":2}',
    '{"a":1;"b":2}', '{"a"=1}', '{"a":1:2}', '{"a":1,,"b":2}', "{{}}", "{[]}", '{"a":1}}', '{"a":1}{}', '{"a" "b"}',
    '{"a":a}', '{"\x01":1}', '{"a":1]', '{"a",}', '{"a":1,"b"}', "{...}", '{"a":1#\n}',
)  # fmt: skip
LITERALS: Final = ("null", "true", "false", " null ", "\ttrue\r\n")
NO_LITERALS: Final = (
    "", " ", "\t\r\n", "nul", "nulll", "Null", "NULL", "True", "TRUE", "False", "tru", "truefalse", "true,",
    "true false", "undefined", "None", "nil", "n", "yes", "t\u200brue", "\\u006eull", "a", "$", "@", "#", "!", "&",
    "\x00", "\x0bnull", "\x0cnull", "\u00a0null", "\u2028null", "\u3000null", "\ufeffnull", "null\x00", "null\x1a",
    "// x\nnull", "null // x", "/* x */null", "null/* x */", "null # x", "<!-- -->null", "null;", ")]}'\nnull",
    "\u200bnull", "null\u00a0",
)  # fmt: skip

TAKEN: Final = (*NUMBERS, *STRINGS, *ARRAYS, *OBJECTS, *LITERALS)
REFUSED: Final = (*NO_NUMBERS, *NO_STRINGS, *NO_ARRAYS, *NO_OBJECTS, *NO_LITERALS)

ENCODINGS: Final = (
    b'"\x80"', b'"\xbf"', b'"\xc0\x80"', b'"\xc0\xaf"', b'"\xc1\xbf"', b'"\xc3"', b'"\xc3("', b'"\xe0\x80\x80"',
    b'"\xe0\x9f\xbf"', b'"\xe2\x82"', b'"\xe2(\xa1"', b'"\xed\xa0\x80"', b'"\xed\xaf\xbf"', b'"\xed\xbf\xbf"',
    b'"\xed\xa1\x8c\xed\xbe\xb4"', b'"\xf0\x80\x80\x80"', b'"\xf0\x8f\xbf\xbf"', b'"\xf0\x9f\x98"',
    b'"\xf4\x90\x80\x80"', b'"\xf5\x80\x80\x80"', b'"\xf8\x88\x80\x80\x80"', b'"\xfc\x84\x80\x80\x80\x80"', b'"\xfe"',
    b'"\xff"', b"[\xff]", b"\xff", b'{"\xff":1}', b'"a\xe9b"', b"\xef\xbb\xbf1", b"\xef\xbb1",
    b"\xfe\xff\x00\"\x00a\x00\"", b"\xff\xfe\"\x00", b"\x00\x001", b"1\x00", b'"\\ud834\xed\xb4\x9e"',
)  # fmt: skip
"""Bytes that are no UTF-8, or begin with a mark of it (section 8.1)."""

EITHER: Final = (
    ('{"a":1,"a":2}', False, "names that are not unique (section 4): readers take the first, the last or both"),
    ('{"a":1,"\\u0061":1}', False, "the same, written in two ways"),
    ('{"":1,"":1}', False, "the same, with an empty name"),
    ('[{"a":{"b":1,"b":1}}]', False, "the same, further inside"),
    ("[" * 64 + "]" * 64, True, "nesting (section 9): 64 levels"),
    ("[" * 65 + "]" * 65, False, "nesting beyond that"),
    ("1" * 64, True, "the length of a number (section 9): 64 characters"),
    ("1" * 65, False, "a number beyond that"),
    ("0." + "1" * 63, False, "a fraction beyond that"),
    ("1e400", False, "a number no double holds (section 6): readers make infinity of it"),
    ("-1e999", False, "the same, negative"),
    ("1e-400", True, "a number too small for a double: it is zero to everybody"),
    ('"' + "k" * 4_096 + '"', True, "a long string (section 9)"),
    ('{"' + "k" * 4_096 + '":1}', True, "a long name"),
    ('{"' + "k" * 4_097 + '":1}', False, "a name beyond 4,096 characters"),
    *(
        (text, False, "half a surrogate pair (section 8.2): no text that can be written again")
        for text in (
            '"\\ud800"',
            '"\\udbff"',
            '"\\udc00"',
            '"\\udfff"',
            '"\\ud800\\u0041"',
            '"\\udc00\\ud800"',
            '"\\ud800\\ud800"',
            '"\\ud834\\\\dd1e"',
            '"\\ud834 \\udd1e"',
            '"\\ud834x"',
            '"\\ud834\\n"',
            '"\\uD800\\uE000"',
            '{"\\ud800":1}',
        )
    ),
)
"""Text, whether it is taken here, and why readers differ on it."""
