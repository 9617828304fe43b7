"""Pickled data files read without running what they say.

Graph benchmarks of the last ten years were published as pickles, npz files with pickled objects and torch files. A
pickle is a program; here only the few constructors that arrays and sparse matrices need are known, everything else is
refused, and declared sizes are checked against the size of the file before memory is taken for them.
"""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict, defaultdict
from typing import TYPE_CHECKING, Any, ClassVar

from graphkit.datasets.build import check, reading
from graphkit.errors import DataError
from graphkit.lazy import np

if TYPE_CHECKING:
    import numpy

# Deflate cannot expand more than about 1032 times: a member that claims more lies.
MAX_EXPANSION = 1100


class _Sparse:
    """Takes the state of a pickled scipy CSR matrix; becomes a checked one with :meth:`matrix`."""

    def matrix(self):
        from scipy.sparse import csr_matrix

        state = vars(self)
        shape = tuple(int(side) for side in state.get("_shape", state.get("shape")))
        data, indices, indptr = (np.asarray(state[key]) for key in ("data", "indices", "indptr"))
        if not (data.ndim == indices.ndim == indptr.ndim == 1) or data.dtype.kind not in "biuf":
            raise ValueError("a sparse matrix whose parts are not rows of numbers")
        if len(shape) != 2 or len(indptr) != shape[0] + 1 or min(shape) < 0:
            raise ValueError(f"a sparse matrix of shape {shape} with {len(indptr) - 1} rows")
        matrix = csr_matrix((data, indices, indptr), shape=shape)
        matrix.check_format(full_check=True)
        matrix.sum_duplicates()
        return matrix


def _new_array(subtype, shape, typecode):
    # The declared shape is ignored: __setstate__ gives the true one and checks it against the bytes that are there.
    return np.ndarray.__new__(np.ndarray, (0,), np.int8)


def _from_buffer(data, kind, shape, order, axes=None):
    # How protocol 5 writes an array.
    flat = np.frombuffer(data, dtype=kind)
    array = flat.reshape(shape, order=order) if order != "K" else flat.reshape(shape).transpose(axes)
    return array.copy()


def _dtype(code, align=False, copy=True):
    kind = np.dtype(code)
    if kind.hasobject and kind != np.dtype(object):
        raise pickle.UnpicklingError(f"a structure of objects ({code!r})")
    return np.dtype(code, False, True)


def _scalar(kind, data=b""):
    data = data.encode("latin1") if isinstance(data, str) else data
    return np.frombuffer(data, dtype=kind, count=1)[0]


def _encode(text, encoding="latin1"):
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"text in encoding {encoding!r}")
    return text.encode("latin1")


def _no_bytes():
    return b""  # how protocol 2 writes an empty bytes object; a length would allocate


class _Storage(str):
    """The dtype name of a torch storage class."""


TORCH_STORAGES = {
    "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1",
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "BoolStorage": "?",
}  # fmt: skip


def _tensor(storage, offset, size, stride, requires_grad=False, hooks=None, metadata=None):
    """A torch tensor as a NumPy array."""
    size, stride = tuple(map(int, size)), tuple(map(int, stride))
    if int(offset) < 0 or len(size) != len(stride) or min((*size, *stride), default=0) < 0:
        raise pickle.UnpicklingError(f"a tensor of size {size} and stride {stride}")
    empty = 0 in size
    last = int(offset) + sum((n - 1) * step for n, step in zip(size, stride))
    if not empty and last >= len(storage):
        raise pickle.UnpicklingError(f"a tensor of size {size} in a storage of {len(storage)} values")
    if empty:
        return np.zeros(size, dtype=storage.dtype)
    steps = tuple(step * storage.itemsize for step in stride)
    return np.lib.stride_tricks.as_strided(storage[int(offset) :], size, steps).copy()


def _allowed(module: str, name: str) -> Any:
    """Return what a global of a pickle stands for; raises UnpicklingError for all but the known ones."""
    module = module.replace("numpy._core", "numpy.core")
    if module == "numpy" and name == "ndarray":
        return np.ndarray
    if module == "torch" and name in TORCH_STORAGES:
        return _Storage(TORCH_STORAGES[name])
    known = {
        ("numpy", "dtype"): _dtype,
        ("numpy.core.multiarray", "_reconstruct"): _new_array,
        ("numpy.core.multiarray", "scalar"): _scalar,
        ("numpy.core.numeric", "_frombuffer"): _from_buffer,
        ("scipy.sparse.csr", "csr_matrix"): _Sparse,
        ("scipy.sparse._csr", "csr_matrix"): _Sparse,
        ("collections", "defaultdict"): defaultdict,
        ("collections", "OrderedDict"): OrderedDict,
        ("builtins", "bytes"): _no_bytes,
        ("__builtin__", "bytes"): _no_bytes,
        ("builtins", "list"): list,
        ("__builtin__", "list"): list,
        ("_codecs", "encode"): _encode,
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    }
    if (module, name) not in known:
        raise pickle.UnpicklingError(f"{module}.{name} is refused: only arrays and sparse matrices are read")
    return known[module, name]


# The Python form of the unpickler keeps its memo in a dict; the C form takes an array as long as the largest index
# that the file names, so that one flipped bit asks for 64 GB.
class _Unpickler(pickle._Unpickler):
    dispatch: ClassVar[dict] = dict(pickle._Unpickler.dispatch)

    def __init__(self, file, storages=None):
        super().__init__(file, encoding="latin1")
        self.storages = storages

    def find_class(self, module, name):
        return _allowed(module, name)

    def load_bytearray8(self):
        # The library's own takes memory of the declared length before it reads.
        (size,) = struct.unpack("<Q", self.read(8))
        data = self.read(size)
        if len(data) != size:
            raise pickle.UnpicklingError(f"truncated: found {len(data)} of {size} bytes")
        self.append(bytearray(data))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8

    def persistent_load(self, pid):
        if self.storages is None or not isinstance(pid, tuple) or pid[0] != "storage":
            raise pickle.UnpicklingError(f"an external reference {pid!r}")
        return self.storages(str(pid[2]), pid[1])


def _finish(value: Any) -> Any:
    """Replace the stand-ins of sparse matrices, also inside containers."""
    if isinstance(value, _Sparse):
        return value.matrix()
    if isinstance(value, dict):
        return {key: _finish(item) for key, item in value.items()}
    if type(value) in (list, tuple) and any(isinstance(item, (_Sparse, dict)) for item in value):
        return type(value)(_finish(item) for item in value)
    return value


def load_pickle(path: str | os.PathLike) -> Any:
    """Read a pickle of arrays, CSR matrices and plain containers; raises :class:`DataError` for anything else."""
    with reading(path, "a pickle"), open(path, "rb") as file:
        # In memory, so that a length the file declares is cut off at the file's end and not allocated first.
        return _finish(_Unpickler(io.BytesIO(file.read())).load())


def load_npy(path: str | os.PathLike) -> Any:
    """Read a .npy file, pickled objects through the restricted unpickler."""
    with reading(path, "a NumPy array"), open(path, "rb") as file:
        return _member(file, os.path.getsize(path), path)


def load_npz(path: str | os.PathLike) -> dict[str, Any]:
    """Read all members of a .npz file; a 0-d object member becomes the object it holds."""
    with reading(path, "a NumPy archive"):
        check(zipfile.is_zipfile(path), path, "no zip archive", "an .npz file")
        with zipfile.ZipFile(path) as archive:
            out = {}
            for item in archive.infolist():
                if item.file_size > MAX_EXPANSION * item.compress_size + 1024:
                    raise DataError(f"{path}: member {item.filename} claims {item.file_size} bytes, more than its data")
                if item.filename.endswith(".npy"):
                    with archive.open(item) as file:
                        out[item.filename[:-4]] = _member(file, item.file_size, f"{path}, member {item.filename}")
            return out


def _member(file, size: int, place: str | os.PathLike) -> numpy.ndarray | Any:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"{place}: found NumPy format {version}, expected 1.0 or 2.0")
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, fortran, dtype = readers[version](file)
    if dtype.hasobject:
        value = _finish(_Unpickler(io.BytesIO(file.read(size))).load())
        single = isinstance(value, np.ndarray) and value.dtype == object and value.shape == ()
        return _finish(value.item()) if single else value
    count = 1
    for side in shape:
        count *= int(side)
    wanted = count * dtype.itemsize
    if min(shape, default=0) < 0 or wanted > size:
        raise DataError(f"{place}: the header declares {wanted} bytes, but there are at most {size}")
    data = file.read(wanted)
    if len(data) != wanted:
        raise DataError(f"{place}: truncated: found {len(data)} of {wanted} bytes")
    array = np.frombuffer(data, dtype=dtype, count=count)
    return array.reshape(shape, order="F" if fortran else "C").copy()


def load_torch(path: str | os.PathLike) -> Any:
    """Read a torch file, old form or zip, of NumPy arrays and tensors (given as arrays); no code of the file is run."""
    with reading(path, "a torch file"):
        if zipfile.is_zipfile(path):
            return _load_torch_zip(path)
        with open(path, "rb") as file:
            stream = io.BytesIO(file.read())
        for _ in range(3):  # magic number, protocol, system info
            _Unpickler(stream).load()
        return _finish(_Unpickler(stream, storages=None).load())


def _load_torch_zip(path) -> Any:
    with zipfile.ZipFile(path) as archive:
        names = {name.partition("/")[2]: name for name in archive.namelist()}
        for item in archive.infolist():
            if item.file_size > MAX_EXPANSION * item.compress_size + 1024:
                raise DataError(f"{path}: member {item.filename} claims {item.file_size} bytes, more than its data")

        def storage(key: str, kind: str):
            return np.frombuffer(archive.read(names[f"data/{key}"]), dtype=np.dtype(str(kind)))

        if "data.pkl" not in names:
            raise DataError(f"{path}: found no data.pkl inside, expected a torch file")
        return _finish(_Unpickler(io.BytesIO(archive.read(names["data.pkl"])), storages=storage).load())
