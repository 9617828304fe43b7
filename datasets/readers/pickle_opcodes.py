"""The opcodes of a pickle, carried out on values that can do nothing.

A pickle is a program for a stack machine. This machine has no way to call, import or change anything: a global is a
:class:`Name`, a call of one is a :class:`Call` that records the arguments, a dictionary is a list of pairs. The records
become arrays in :mod:`graphkit.datasets.readers.pickle_values`, once the whole file has been read. Python's own
unpickler is not used, nor derived from: what is not written here, a file cannot do.

The opcodes and what they can do here:

- PROTO, FRAME, STOP: nothing, but end the file; the length of a frame is not believed.
- MARK, POP, POP_MARK, MEMOIZE, BINPUT, BINGET ...: move values about; the memo is a dict, so that an index takes no
  memory by its size.
- NONE, NEWTRUE, NEWFALSE, BININT ..., LONG1: one value; of a long integer at most 16 bytes.
- BINFLOAT: one value.
- BINUNICODE ..., BINSTRING ..., BINBYTES ...: as many bytes as the file holds at that place, never those that it
  declares.
- EMPTY_LIST, APPEND(S), EMPTY_TUPLE, TUPLE ...: plain lists and tuples; a list may hold itself, which is refused when
  values are made.
- EMPTY_DICT, SETITEM(S): pairs, in order; nothing is hashed or compared.
- GLOBAL, STACK_GLOBAL: a name of :data:`graphkit.datasets.readers.pickle_values.GLOBALS`; all others are refused.
- REDUCE, NEWOBJ: a record of a name and a tuple of arguments; nothing else can be called.
- BUILD: the state beside a record, once, where the table of names says that it takes one.
- BINPERSID: a record of the identifier, which names a storage of a torch file.

Refused: the opcodes of protocol 0 and 1 alone (text numbers, INST, OBJ, DUP, GET ...), sets, NEWOBJ_EX, extension
codes, LONG4, external buffers. Time and memory are linear in the file: every opcode makes at most :data:`OPCODE_BYTES`
besides what it copies out of the file.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

OPCODE_BYTES = 300  # an empty list or record, its place on the stack and in the memo
MAX_INTEGER = 16  # bytes; torch's old magic number has ten
MAX_NAME = 200  # characters of a module or a global


@dataclass(frozen=True)
class Rule:
    """What a file may do with a global: call it, give the result a state, put items into the result."""

    call: bool = False
    state: bool = False
    items: bool = False


class Name:
    """A global that a file names."""

    __slots__ = ("module", "name", "rule")

    def __init__(self, module: str, name: str, rule: Rule):
        self.module, self.name, self.rule = module, name, rule

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Call:
    """A global with the arguments, the state and the items that a file gives it; ``state`` is None until BUILD."""

    __slots__ = ("arguments", "name", "pairs", "state")

    def __init__(self, name: Name, arguments: tuple):
        self.name, self.arguments, self.state, self.pairs = name, arguments, None, []


class Pairs:
    """A dictionary that nothing has been looked up in yet."""

    __slots__ = ("pairs",)

    def __init__(self):
        self.pairs: list[tuple[Any, Any]] = []


class Reference:
    """A persistent identifier."""

    __slots__ = ("identifier",)

    def __init__(self, identifier: Any):
        self.identifier = identifier


def refuse(text: str) -> pickle.UnpicklingError:
    """The error of whatever a file may not do."""
    return pickle.UnpicklingError(text)


class Machine:
    """Reads one pickle after another from a buffer; ``place`` is where the next one begins.

    rules: what may be done with each global, by (module, name). most: bytes of memory that the opcodes may take.
    """

    def __init__(self, data: bytes | bytearray | memoryview, rules: Mapping[tuple[str, str], Rule], most: int):
        self.data, self.rules, self.most, self.place = memoryview(data), rules, most, 0
        self.names: dict[tuple[str, str], Name] = {}

    def load(self) -> Any:
        """Carry out one pickle and return what is left on its stack: plain values, lists, tuples and the records of
        this module.
        """
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        left = self.most // OPCODE_BYTES
        while True:
            if self.place >= len(self.data):
                raise refuse("truncated: ends without STOP")
            code = self.data[self.place]
            self.place += 1
            if code == STOP:
                return self._pop()
            step = self.STEPS.get(code)
            if step is None:
                raise refuse(
                    f"opcode {bytes([code])!r} at byte {self.place - 1} is refused: no pickle of arrays of protocol 2"
                    " to 5 has it"
                )
            left -= 1
            if left < 0:
                raise refuse("has more opcodes than the memory for reading allows")
            step(self)

    # What the file holds ----------------------------------------------------------------------------------------------

    def _take(self, count: int) -> memoryview:
        held = len(self.data) - self.place
        if not 0 <= count <= held:
            raise refuse(f"truncated: found {held} of {count} bytes")
        self.place += count
        return self.data[self.place - count : self.place]

    def _number(self, form: str) -> int:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _line(self) -> str:
        window = bytes(self.data[self.place : self.place + MAX_NAME])
        end = window.find(b"\n")
        if end < 0:
            raise refuse("a name without an end")
        self.place += end + 1
        return window[:end].decode("utf-8")

    # The stack --------------------------------------------------------------------------------------------------------

    def _pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise refuse("takes a value from an empty stack")
        return self.stack.pop()

    def _top(self) -> Any:
        value = self._pop()
        self.stack.append(value)
        return value

    def _above_mark(self) -> list[Any]:
        if not self.marks:
            raise refuse("a mark is missing")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def _integer(self, form: str) -> None:
        self.stack.append(self._number(form))

    def _long(self) -> None:
        count = self._number("<B")
        if count > MAX_INTEGER:
            raise refuse(f"an integer of {count} bytes, expected at most {MAX_INTEGER}")
        self.stack.append(int.from_bytes(self._take(count), "little", signed=True))

    def _text(self, form: str, encoding: str) -> None:
        # Strings of Python 2 are bytes in latin1; only what needs bytes takes them back.
        count = self._number(form)
        self.stack.append(str(self._take(count), encoding))

    def _bytes(self, form: str) -> None:
        self.stack.append(bytes(self._take(self._number(form))))

    def _tuple(self, count: int) -> None:
        values = [self._pop() for _ in range(count)]
        self.stack.append(tuple(reversed(values)))

    def _put(self, index: int) -> None:
        self.memo[index] = self._top()

    def _get(self, index: int) -> None:
        if index not in self.memo:
            raise refuse(f"nothing was kept under number {index}")
        self.stack.append(self.memo[index])

    # Containers -------------------------------------------------------------------------------------------------------

    def _append(self, values: list[Any]) -> None:
        target = self._top()
        if type(target) is not list:
            raise refuse(f"appends to {_title(target)}, expected a list")
        target.extend(values)

    def _set_items(self, values: list[Any]) -> None:
        target = self._top()
        if not (type(target) is Pairs or (type(target) is Call and target.name.rule.items)):
            raise refuse(f"sets items of {_title(target)}, expected a dictionary")
        if len(values) % 2:
            raise refuse("a key without a value")
        target.pairs.extend(zip(values[::2], values[1::2]))

    # Names and records ------------------------------------------------------------------------------------------------

    def _name(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str or max(len(module), len(name)) > MAX_NAME:
            raise refuse("a global whose name is no text")
        key = (module, name)
        if key not in self.rules:
            raise refuse(f"{module}.{name} is refused: only arrays and sparse matrices are read")
        if key not in self.names:
            self.names[key] = Name(module, name, self.rules[key])
        self.stack.append(self.names[key])

    def _stack_name(self) -> None:
        name, module = self._pop(), self._pop()
        self._name(module, name)

    def _call(self) -> None:
        arguments, name = self._pop(), self._pop()
        if type(name) is not Name or not name.rule.call or type(arguments) is not tuple:
            raise refuse(f"a call of {_title(name)}, which is refused")
        self.stack.append(Call(name, arguments))

    def _build(self) -> None:
        state, target = self._pop(), self._top()
        if type(target) is not Call or not target.name.rule.state:
            raise refuse(f"a state for {_title(target)}, which is refused")
        if target.state is not None or state is None:
            raise refuse(f"a second or empty state for {_title(target)}, which is refused")
        target.state = state

    STEPS: ClassVar[dict] = {
        pickle.PROTO[0]: lambda self: self._take(1),
        pickle.FRAME[0]: lambda self: self._take(8),
        pickle.MARK[0]: lambda self: self.marks.append(len(self.stack)),
        pickle.POP[0]: lambda self: self._pop(),
        pickle.POP_MARK[0]: lambda self: self._above_mark(),
        pickle.NONE[0]: lambda self: self.stack.append(None),
        pickle.NEWTRUE[0]: lambda self: self.stack.append(True),
        pickle.NEWFALSE[0]: lambda self: self.stack.append(False),
        pickle.BININT[0]: lambda self: self._integer("<i"),
        pickle.BININT1[0]: lambda self: self._integer("<B"),
        pickle.BININT2[0]: lambda self: self._integer("<H"),
        pickle.BINFLOAT[0]: lambda self: self._integer(">d"),
        pickle.LONG1[0]: _long,
        pickle.SHORT_BINSTRING[0]: lambda self: self._text("<B", "latin1"),
        pickle.BINSTRING[0]: lambda self: self._text("<i", "latin1"),
        pickle.SHORT_BINUNICODE[0]: lambda self: self._text("<B", "utf-8"),
        pickle.BINUNICODE[0]: lambda self: self._text("<I", "utf-8"),
        pickle.BINUNICODE8[0]: lambda self: self._text("<Q", "utf-8"),
        pickle.SHORT_BINBYTES[0]: lambda self: self._bytes("<B"),
        pickle.BINBYTES[0]: lambda self: self._bytes("<I"),
        pickle.BINBYTES8[0]: lambda self: self._bytes("<Q"),
        pickle.BYTEARRAY8[0]: lambda self: self._bytes("<Q"),
        pickle.EMPTY_TUPLE[0]: lambda self: self.stack.append(()),
        pickle.TUPLE1[0]: lambda self: self._tuple(1),
        pickle.TUPLE2[0]: lambda self: self._tuple(2),
        pickle.TUPLE3[0]: lambda self: self._tuple(3),
        pickle.TUPLE[0]: lambda self: self.stack.append(tuple(self._above_mark())),
        pickle.EMPTY_LIST[0]: lambda self: self.stack.append([]),
        pickle.APPEND[0]: lambda self: self._append([self._pop()]),
        pickle.APPENDS[0]: lambda self: self._append(self._above_mark()),
        pickle.EMPTY_DICT[0]: lambda self: self.stack.append(Pairs()),
        pickle.SETITEM[0]: lambda self: self._set_items([self._pop(), self._pop()][::-1]),
        pickle.SETITEMS[0]: lambda self: self._set_items(self._above_mark()),
        pickle.MEMOIZE[0]: lambda self: self._put(len(self.memo)),
        pickle.BINPUT[0]: lambda self: self._put(self._number("<B")),
        pickle.LONG_BINPUT[0]: lambda self: self._put(self._number("<I")),
        pickle.BINGET[0]: lambda self: self._get(self._number("<B")),
        pickle.LONG_BINGET[0]: lambda self: self._get(self._number("<I")),
        pickle.GLOBAL[0]: lambda self: self._name(self._line(), self._line()),
        pickle.STACK_GLOBAL[0]: _stack_name,
        pickle.REDUCE[0]: _call,
        pickle.NEWOBJ[0]: _call,
        pickle.BUILD[0]: _build,
        pickle.BINPERSID[0]: lambda self: self.stack.append(Reference(self._pop())),
    }


STOP = pickle.STOP[0]


def _title(value: Any) -> str:
    if type(value) is Name:
        return str(value)
    return f"a {value.name}" if type(value) is Call else f"a {type(value).__name__}"
