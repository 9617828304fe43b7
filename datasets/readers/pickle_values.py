"""What the records of a pickle stand for: every global that a file may name, and what it can and cannot do.

Each global with what it takes -> what it makes, and cannot make:

- ``numpy.ndarray``: nothing, it is the first argument of the next one -> no call, no state.
- ``numpy.core.multiarray._reconstruct``: (ndarray, shape, type), which are of no effect; state: version, shape, type,
  order, content -> an array of numbers or fixed text from exactly the bytes that its shape and type need, copied; an
  array of objects from a list of as many items, never from bytes.
- ``numpy.core.multiarray.scalar``: (type, bytes) -> one number; no object.
- ``numpy.core.numeric._frombuffer``: (bytes, type, shape, order) -> as the array of numbers.
- ``numpy.dtype``: (code, align, copy), a code of :data:`CODES`; state: byte order, and nothing where a structure,
  sub-array or metadata would stand -> a type of numbers, fixed text or objects; no structure, sub-array, void,
  metadata; no size or flag.
- ``scipy.sparse.(_)csr.csr_matrix``: (), state: a dictionary -> a checked CSR matrix of numbers; only shape and the
  three arrays are looked at.
- ``collections.defaultdict``, ``OrderedDict``: (), (list,), or (pairs,); items -> a plain dictionary without a factory.
- ``builtins.list``: nothing, it is the factory of a defaultdict -> no call.
- ``builtins.bytes``: () -> b""; no size.
- ``_codecs.encode``: (text, "latin1") -> the bytes of a text.
- ``torch._utils._rebuild_tensor_v2``: (storage, offset, size, stride, ...) -> an array of at most as many values as the
  storage holds, inside of it, copied; so no stride of 0 that repeats.
- ``torch.storage._load_from_bytes``: (bytes,) of an old torch file of one storage -> a storage.
- ``torch.LongStorage`` ...: nothing, they name the type of a storage -> no call.
- ``torch_geometric.data.data.Data``: (), state: a dictionary -> a plain dictionary.

What is made stays in proportion to the file. Arrays, texts and copies count against :data:`UNFOLDING` times its size,
and so does the result as a tree, in which something held twice counts twice: what walks through it later meets no more.
Containers are at most :data:`DEPTH` deep and never hold themselves. Keys of dictionaries are numbers, text, or a tuple
of them, few of them with equal hashes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from graphkit.datasets.readers.pickle_opcodes import Call, Machine, Name, Pairs, Reference, Rule, refuse
from graphkit.io import budget

CODES = re.compile(r"[<>|=]?(\?|b1|[iu][1248]|f[248]|O8?|S\d{1,7}|U\d{1,7})")
OBJECTS = "O"
DEPTH = 60
UNFOLDING, ALLOWANCE = 100, 1 << 20  # times the file's size, and bytes that any file may take
ITEM = 16  # bytes that a reference to a small value counts
MAX_SIDES = 8
EMPTY_SIDE = 1 << 20  # the longest side of an array with nothing in it
LONGEST = 1 << 40
EQUAL_HASHES = 100

_ARRAYS, _SCALARS, _BUFFERS = (
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy.core.numeric._frombuffer",
)
_STORAGES = {
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BoolStorage": "?",
}
_KNOWN = {
    "numpy.ndarray": Rule(),
    "numpy.dtype": Rule(call=True, state=True),
    _ARRAYS: Rule(call=True, state=True),
    _SCALARS: Rule(call=True),
    _BUFFERS: Rule(call=True),
    "scipy.sparse.csr.csr_matrix": Rule(call=True, state=True),
    "scipy.sparse._csr.csr_matrix": Rule(call=True, state=True),
    "collections.defaultdict": Rule(call=True, items=True),
    "collections.OrderedDict": Rule(call=True, items=True),
    "builtins.list": Rule(),
    "builtins.bytes": Rule(call=True),
    "_codecs.encode": Rule(call=True),
    "torch._utils._rebuild_tensor_v2": Rule(call=True),
    "torch.storage._load_from_bytes": Rule(call=True),
    "torch_geometric.data.data.Data": Rule(call=True, state=True),
    **{f"torch.{name}": Rule() for name in _STORAGES},
}
_OLD_MODULES = {
    "__builtin__": "builtins",
    "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric",
}


def _globals() -> dict[tuple[str, str], Rule]:
    """The rules by (module, name), with the other names of the modules."""
    found = {(known.rpartition(".")[0], known.rpartition(".")[2]): rule for known, rule in _KNOWN.items()}
    others = {
        (other, name): rule
        for other, module in _OLD_MODULES.items()
        for (own, name), rule in found.items()
        if own == module
    }
    return {**found, **others}


GLOBALS = _globals()


class Maker:
    """Makes the values that the records of a file stand for.

    most: bytes that all of it may take, made or held. place: the file, for messages. storage: gives the storage of a
    torch file by key and type.
    """

    def __init__(self, most: int, place: object, storage: Callable[[str, str], np.ndarray] | None = None):
        self.most, self.left, self.place, self.storage = most, most, place, storage
        self.made: dict[int, tuple[Any, int]] = {}
        self.open: set[int] = set()
        self.makers = {
            _ARRAYS: self._array,
            _SCALARS: self._scalar,
            _BUFFERS: self._buffer,
            "numpy.dtype": lambda call: _type(call),
            "scipy.sparse.csr.csr_matrix": self._matrix,
            "scipy.sparse._csr.csr_matrix": self._matrix,
            "collections.defaultdict": self._dictionary,
            "collections.OrderedDict": self._dictionary,
            "builtins.bytes": self._no_bytes,
            "_codecs.encode": self._encoded,
            "torch._utils._rebuild_tensor_v2": self._tensor,
            "torch.storage._load_from_bytes": self._stored,
            "torch_geometric.data.data.Data": self._data,
        }

    def value(self, value: Any) -> Any:
        """The value that a record stands for."""
        return self._made(value)[0]

    def _made(self, value: Any) -> tuple[Any, int]:
        """(value, bytes that it holds as a tree)."""
        kind = type(value)
        if kind in (int, float, bool, type(None)):
            return value, ITEM
        if kind in (str, bytes):
            return value, ITEM + len(value)
        key = id(value)
        if key in self.made:
            return self.made[key]
        if key in self.open:
            raise refuse("a container that holds itself")
        if len(self.open) >= DEPTH:
            raise refuse(f"containers more than {DEPTH} deep")
        self.open.add(key)
        made = self._new(value, kind)
        self.open.discard(key)
        if made[1] > self.most:
            raise refuse(f"unfolds to more than {UNFOLDING} times the file")
        self.made[key] = made
        return made

    def _new(self, value: Any, kind: type) -> tuple[Any, int]:
        if kind in (list, tuple):
            parts = [self._made(item) for item in value]
            return kind(part for part, _ in parts), ITEM + sum(held for _, held in parts)
        if kind is Pairs:
            return self._pairs(value.pairs)
        if kind is not Call:
            raise refuse(f"{value if kind is Name else 'an external reference'}, which is no value")
        module = _OLD_MODULES.get(value.name.module, value.name.module)
        made = self.makers[f"{module}.{value.name.name}"](value)
        if type(made) is tuple:
            return made
        return made, ITEM + getattr(made, "nbytes", len(made) if type(made) is bytes else 0)

    def _take(self, count: int) -> None:
        """Count bytes that are about to be made."""
        if count > self.left:
            raise refuse(f"takes more memory than {UNFOLDING} times the file")
        self.left -= count
        budget.take(count, self.place)

    # Dictionaries -----------------------------------------------------------------------------------------------------

    def _pairs(self, pairs: list) -> tuple[dict, int]:
        keys = [self._made(key) for key, _ in pairs]
        values = [self._made(item) for _, item in pairs]
        for key, _ in keys:
            _check_key(key)
        # Keys made to have equal hashes would take time with the square of their number.
        if len(keys) - len({hash(key) for key, _ in keys}) > EQUAL_HASHES:
            raise refuse("a dictionary with many equal keys")
        held = ITEM + sum(size for _, size in keys) + sum(size for _, size in values)
        return {key: item for (key, _), (item, _) in zip(keys, values)}, held

    def _dictionary(self, call: Call) -> tuple[dict, int]:
        arguments, pairs = call.arguments, list(call.pairs)
        if (
            len(arguments) == 1
            and type(arguments[0]) is list
            and all(type(p) in (list, tuple) and len(p) == 2 for p in arguments[0])
        ):
            pairs = [*map(tuple, arguments[0]), *pairs]
        elif arguments and not (len(arguments) == 1 and type(arguments[0]) is Name and arguments[0].name == "list"):
            raise refuse(f"{call.name} of something else than pairs or list")
        return self._pairs(pairs)

    def _data(self, call: Call) -> tuple[dict, int]:
        if call.arguments or type(call.state) is not Pairs:
            raise refuse(f"{call.name} without its dictionary")
        return self._pairs(call.state.pairs)

    # Bytes and arrays -------------------------------------------------------------------------------------------------

    def _no_bytes(self, call: Call) -> bytes:
        if call.arguments:
            raise refuse("bytes of something")
        return b""  # how protocol 2 writes an empty bytes object; a length would take memory

    def _encoded(self, call: Call) -> bytes:
        if [type(argument) for argument in call.arguments] != [str, str] or call.arguments[1] not in (
            "latin1",
            "latin-1",
        ):
            raise refuse("a text that is encoded as something else than latin1")
        self._take(len(call.arguments[0]))
        return call.arguments[0].encode("latin1")

    def _raw(self, content: Any) -> bytes:
        """The bytes that a record holds as such, as text of Python 2, or as text that is to be encoded."""
        if type(content) is Call and content.name.name in ("encode", "bytes"):
            content = self.value(content)
        if type(content) is str:
            self._take(len(content))
            content = content.encode("latin1")
        if type(content) is not bytes:
            raise refuse(f"a {type(content).__name__} as the content of an array, expected bytes")
        return content

    def _array(self, call: Call) -> Any:
        state = call.state
        if type(state) is not tuple or len(state) not in (4, 5) or (len(state) == 5 and state[0] != 1):
            raise refuse("an array without a shape, a type and a content")
        shape, kind, fortran, content = state[-4:]
        if type(kind) is not Call or kind.name.name != "dtype":
            raise refuse("an array whose type is none")
        dtype = _type(kind)
        if dtype == OBJECTS:
            return self._objects(_shape(shape), content, "F" if fortran else "C")
        return self._numbers(dtype, _shape(shape), self._raw(content), "F" if fortran else "C")

    def _objects(self, shape: tuple[int, ...], content: Any, order: str) -> tuple[Any, int]:
        count = _product(shape)
        if type(content) is not list or len(content) != count:
            raise refuse(f"an array of objects of shape {shape}, expected a list of {count} items")
        parts = [self._made(item) for item in content]
        self._take(8 * count)
        flat = np.empty(count, dtype=object)
        for place, (part, _) in enumerate(parts):
            flat[place] = part
        return flat.reshape(shape, order=order), ITEM + sum(held for _, held in parts)

    def _numbers(self, dtype: np.dtype, shape: tuple[int, ...], content: bytes, order: str) -> np.ndarray:
        needed = _product(shape) * dtype.itemsize
        if needed != len(content) or dtype.itemsize == 0:
            raise refuse(f"an array of shape {shape} and type {dtype} from {len(content)} bytes, expected {needed}")
        self._take(needed)
        native = np.frombuffer(content, dtype).astype(
            dtype.newbyteorder("=")
        )  # astype copies: the result may be written to
        return native.reshape(shape, order=order)

    def _buffer(self, call: Call) -> np.ndarray:
        if (
            len(call.arguments) not in (4, 5)
            or type(call.arguments[1]) is not Call
            or call.arguments[1].name.name != "dtype"
        ):
            raise refuse("an array without bytes, a type, a shape and an order")
        content, kind, shape, order, *axes = call.arguments
        dtype = _type(kind)
        if dtype == OBJECTS or order not in ("C", "F", "K"):
            raise refuse(f"a buffer of type {dtype} and order {order!r}")
        if order != "K":
            return self._numbers(dtype, _shape(shape), self._raw(content), order)
        sides = _shape(shape)
        if len(axes) != 1 or type(axes[0]) is not tuple or sorted(map(_whole, axes[0])) != list(range(len(sides))):
            raise refuse("a buffer whose axes are no order of its sides")
        return np.ascontiguousarray(self._numbers(dtype, sides, self._raw(content), "C").transpose(axes[0]))

    def _scalar(self, call: Call) -> Any:
        if len(call.arguments) != 2 or type(call.arguments[0]) is not Call or call.arguments[0].name.name != "dtype":
            raise refuse("a number without a type and bytes")
        dtype, content = _type(call.arguments[0]), self._raw(call.arguments[1])
        if dtype == OBJECTS or dtype.kind in "US":
            raise refuse(f"a scalar of type {dtype}, expected a number")
        return self._numbers(dtype, (), content, "C")[()]

    def _matrix(self, call: Call) -> Any:
        if call.arguments or type(call.state) is not Pairs:
            raise refuse(f"{call.name} without its dictionary")
        state = {key: item for key, item in call.state.pairs if type(key) is str}
        missing = [key for key in ("data", "indices", "indptr") if type(state.get(key)) is not Call]
        shape = state.get("_shape", state.get("shape"))
        if missing or shape is None:
            raise refuse(f"a sparse matrix without {missing[0] if missing else 'a shape'}")
        data, indices, pointers = (self.value(state[key]) for key in ("data", "indices", "indptr"))
        made = _csr(data, indices, pointers, _sides(self.value(shape)))
        return made, ITEM + made.data.nbytes + made.indices.nbytes + made.indptr.nbytes

    # torch ------------------------------------------------------------------------------------------------------------

    def _storage(self, source: Any) -> np.ndarray:
        if type(source) is Call and source.name.name == "_load_from_bytes":
            return self.value(source)
        identifier = source.identifier if type(source) is Reference else None
        if self.storage is None or type(identifier) is not tuple or len(identifier) < 3 or identifier[0] != "storage":
            raise refuse("a tensor without a storage in this file")
        return self.storage(str(identifier[2]), _storage_type(identifier[1]))

    def _stored(self, call: Call) -> np.ndarray:
        if len(call.arguments) != 1:
            raise refuse("a storage without bytes")
        content = self._raw(call.arguments[0])
        self._take(len(content))
        return _old_storage(content)

    def _tensor(self, call: Call) -> np.ndarray:
        """A torch tensor as a NumPy array."""
        if not 4 <= len(call.arguments) <= 7:
            raise refuse("a tensor without a storage, an offset, a size and a stride")
        source, offset, size, stride = call.arguments[:4]
        storage, size, stride, offset = self._storage(source), _shape(size), _sides(stride), _whole(offset)
        count = _product(size)
        if len(size) != len(stride) or offset < 0 or count > len(storage):
            raise refuse(f"a tensor of size {size} and stride {stride} in a storage of {len(storage)} values")
        self._take(count * storage.itemsize)
        if count == 0:
            return np.empty(size, dtype=storage.dtype)
        if offset + sum((side - 1) * step for side, step in zip(size, stride)) >= len(storage):
            raise refuse(f"a tensor of size {size} and stride {stride} in a storage of {len(storage)} values")
        steps = tuple(step * storage.itemsize if side > 1 else 0 for side, step in zip(size, stride))
        return np.lib.stride_tricks.as_strided(storage[offset:], size, steps).copy()


def _check_key(key: Any, inside: bool = False) -> None:
    if type(key) is tuple and not inside:
        for part in key:
            _check_key(part, inside=True)
    elif not (key is None or type(key) in (str, bytes, int, float, bool) or isinstance(key, np.number)):
        raise refuse(f"a {type(key).__name__} as the key of a dictionary")


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise refuse(f"{value!r} where a whole number is expected")
    return value


def _sides(value: Any) -> tuple[int, ...]:
    """A tuple of at most :data:`MAX_SIDES` numbers, each in 0..2^40."""
    sides = (value,) if type(value) is int else value
    if type(sides) is not tuple or len(sides) > MAX_SIDES or any(not 0 <= _whole(side) <= LONGEST for side in sides):
        raise refuse(f"{str(sides)[:60]}, expected a tuple of sizes")
    return sides


def _shape(value: Any) -> tuple[int, ...]:
    """The shape of an array; one of nothing has no long side, for what is made to its measure later."""
    sides = _sides(value)
    if 0 in sides and max(sides) > EMPTY_SIDE:
        raise refuse(f"an array of nothing of shape {sides}")
    return sides


def _product(sides: tuple[int, ...]) -> int:
    count = 1
    for side in sides:
        count *= side
    return count


def _type(call: Call) -> np.dtype | str:
    """The dtype of a record, or :data:`OBJECTS`; its state may set the byte order alone."""
    code = call.arguments[0] if call.arguments and len(call.arguments) <= 3 else None
    if type(code) is not str or CODES.fullmatch(code) is None:
        raise refuse(f"the array type {code!r}, expected numbers, text or objects")
    if "O" in code:
        return OBJECTS
    dtype = np.dtype(code)
    if call.state is None:
        return dtype
    state = call.state
    if type(state) is not tuple or len(state) != 8 or state[0] != 3 or any(part is not None for part in state[2:5]):
        raise refuse(f"a state of the array type {code!r} that is more than a byte order")
    if (
        state[1] not in ("<", ">", "|", "=")
        or any(type(part) is not int for part in state[5:])
        or state[5] not in (-1, dtype.itemsize)
    ):
        raise refuse(f"a state of the array type {code!r} that is more than a byte order")
    return dtype if state[1] == "|" else dtype.newbyteorder(state[1])


def _csr(data, indices, pointers, shape: tuple[int, ...]):
    parts = (data, indices, pointers)
    if any(not isinstance(part, np.ndarray) or part.ndim != 1 for part in parts):
        raise refuse("a sparse matrix whose parts are not rows of numbers")
    if data.dtype.kind not in "biuf" or indices.dtype.kind not in "iu" or pointers.dtype.kind not in "iu":
        raise refuse("a sparse matrix whose parts are not rows of numbers")
    if len(shape) != 2 or len(pointers) != shape[0] + 1 or len(data) != len(indices):
        raise refuse(
            f"a sparse matrix of shape {shape} with {len(pointers) - 1} rows and {len(indices)} places for {len(data)}"
            " values"
        )
    indices, pointers = indices.astype(np.int64), pointers.astype(np.int64)
    rising = pointers[0] == 0 and pointers[-1] == len(data) and (np.diff(pointers) >= 0).all()
    if not rising or (len(indices) and not 0 <= indices.min() <= indices.max() < shape[1]):
        raise refuse(f"a sparse matrix of shape {shape} with places outside of it")
    matrix = csr_matrix((data, indices, pointers), shape=shape)
    matrix.sum_duplicates()
    return matrix


def _storage_type(kind: Any) -> str:
    if type(kind) is not Name or kind.name not in _STORAGES:
        raise refuse("a storage of an unknown type")
    return _STORAGES[kind.name]


def _old_storage(content: bytes) -> np.ndarray:
    """The one storage of a torch file of the old form: magic number, protocol, system, the storage, the keys, then its
    values.
    """
    machine = Machine(content, GLOBALS, budget.current().left)
    *_, source, keys = [machine.load() for _ in range(5)]
    identifier = source.identifier if type(source) is Reference else None
    if type(identifier) is not tuple or len(identifier) < 3 or identifier[0] != "storage" or keys != [identifier[2]]:
        raise refuse("an old torch file that holds no storage")
    dtype = np.dtype(_storage_type(identifier[1]))
    count, held = int.from_bytes(content[machine.place : machine.place + 8], "little"), len(content) - machine.place - 8
    if held < 0 or count * dtype.itemsize != held:
        raise refuse(f"a storage of {count} values in {max(held, 0)} bytes")
    return np.frombuffer(content, dtype, offset=machine.place + 8)
