"""Threads, devices, versions and memory of the machine a run happens on."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import platform
import sys
from importlib import metadata

from graphkit._version import __version__
from graphkit.core.errors import UsageError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # names of glibc's mallopt
KEPT = 32 * 2**20  # bytes, the most that glibc takes for its threshold
PACKAGES = ("torch", "dgl", "numpy", "scipy", "numba", "scikit-learn", "ogb")


# A user's own number of threads, before set_threads writes the variable for the libraries that are still to be loaded.
USERS_THREADS = os.environ.get("OMP_NUM_THREADS")


def set_threads(threads: int | None) -> int:
    """Limit torch, DGL, BLAS and numba to a number of threads; None means :func:`default_threads`.

    Also tells the allocator to keep what it has, see :func:`keep_memory`, and torch, where it is loaded, to add in a
    fixed order, see :func:`fixed_order`.
    Raises :class:`UsageError` for more threads than this process has cores.
    """
    if threads is not None and threads > available_cores():
        cores = available_cores()
        raise UsageError(
            f"--threads is {threads}, expected at most {cores}, the number of cores that this process may use"
        )
    keep_memory()
    count = threads or default_threads()
    # OpenMP and BLAS read these once, when their library is loaded; torch and numba can also be told later. numba reads
    # its own again at every compilation, and refuses another value once its threads run.
    variables = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    for variable in variables[:-1] if "numba" in sys.modules else variables:
        os.environ[variable] = str(count)
    unlike = USERS_THREADS or count != available_cores() or "threadpoolctl" in sys.modules
    if "numpy" in sys.modules and unlike:  # its BLAS has read the variables already, and may have other threads
        import threadpoolctl

        threadpoolctl.threadpool_limits(count, user_api="blas")
    if (
        "numba" in sys.modules
    ):  # first: it begins its threads here, and sets OpenMP's number for torch and DGL too while it does
        numba = sys.modules["numba"]
        numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
    if "torch" in sys.modules:  # else it reads the variable when it is loaded; a query on a stored graph never needs it
        sys.modules["torch"].set_num_threads(count)
        fixed_order()
    if "dgl" in sys.modules:
        sys.modules["dgl"].utils.set_num_threads(count)
    return count


def default_threads() -> int:
    """The user's OMP_NUM_THREADS, at most the cores that this process may use, or all of these.

    Of a list, which OpenMP reads as one number for each level of nesting, the first counts.
    """
    cores, word = available_cores(), (USERS_THREADS or "").partition(",")[0].strip()
    if not word:
        return cores
    if not word.isdecimal() or int(word) == 0:
        raise UsageError(f"OMP_NUM_THREADS is {USERS_THREADS!r}, expected a number of threads from 1")
    if int(word) > cores:
        text = "OMP_NUM_THREADS is %s, but this process may use %s: %s threads are used"
        logging.getLogger("graphkit").warning(text, word, f"{cores} core{'' if cores == 1 else 's'}", cores)
    return min(int(word), cores)


def fixed_order() -> None:
    """Have torch add in an order that does not depend on which thread comes first.

    The gradient of ``x[index]`` adds the rows of equal index. Without this several threads do so at once, each sum in
    another order at every run, so that the last digits of a training differ, and from some epoch on its figures.
    """
    import torch.utils.deterministic

    # "warn": CUDA has operations without such an order, which are better done in any order than refused. The same as
    # use_deterministic_algorithms(True, warn_only=True), which also imports torch's compiler, two seconds that nothing
    # here needs.
    torch.set_deterministic_debug_mode("warn")
    # True would write every new tensor twice, for programs that read what nobody wrote. A module with a property.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def seed_dgl(seed: int) -> None:
    """Seed the generators that DGL samples with, one for each of its threads.

    DGL adds to the seed a number that a thread gets when it first draws, so that of several threads, which begin
    together, each run would number others first, and draw other neighbours. Here they begin one after the other.
    """
    import dgl

    threads = dgl.utils.get_num_threads()
    for count in range(1, threads + 1):
        dgl.utils.set_num_threads(count)
        dgl.seed(seed)


def keep_memory() -> None:
    """Ask the C library and torch not to hand memory back to the system between tensors, and for large pages.

    A training step allocates and frees the same sizes again and again. By default every large tensor is a new mapping,
    which the kernel fills with zeros page by page: that took most of the time of element-wise operations. Blocks of up
    to 32 MiB are now kept (glibc alone); larger ones get pages of 2 MiB where the kernel grants them (torch reads the
    variable at its first allocation). Values that the user has set in the environment stand.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        mallopt = ctypes.CDLL(None).mallopt
        wanted = {
            "MALLOC_MMAP_THRESHOLD_": (M_MMAP_THRESHOLD, KEPT),
            "MALLOC_TRIM_THRESHOLD_": (M_TRIM_THRESHOLD, 2**30),
        }
        for variable, (parameter, value) in wanted.items():
            if variable not in os.environ:
                mallopt(parameter, value)


def available_cores() -> int:
    """Number of cores this process may run on, which a container can make smaller than the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_device(device: str | None) -> str:
    """Return a device that exists: the named one, or CUDA where there is one, or the CPU."""
    import torch

    # DGL's CPU build has no CUDA kernels even where torch sees a card.
    if device is None:
        return "cuda" if torch.cuda.is_available() and _dgl_has_cuda() else "cpu"
    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
        raise UsageError(f"--device is {device!r}, expected cpu, cuda or cuda:N")
    if kind == "cuda":
        cards = torch.cuda.device_count()
        if int(number or 0) >= cards:
            raise UsageError(f"--device is {device!r}, but torch sees {cards} CUDA device{'' if cards == 1 else 's'}")
        if not _dgl_has_cuda():
            raise UsageError(f"--device is {device!r}, but the installed DGL is a CPU build")
    return device


def _dgl_has_cuda() -> bool:
    import dgl

    try:
        dgl.graph(([], [])).to("cuda")
    except Exception:  # DGLError has no stable home across versions; any failure means no CUDA kernels
        return False
    return True


def versions() -> dict[str, str]:
    """Versions of graphkit, Python and the numerical packages."""
    found = {"graphkit": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "missing"
    return found


def describe() -> str:
    """The processor and the cores of this machine that this process may use."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as stream:
        model = next((line.partition(":")[2].strip() for line in stream if line.startswith("model name")), model)
    cores = available_cores()
    return f"{model or 'unknown processor'}, {cores} core{'' if cores == 1 else 's'}"


def peak_rss_mb() -> float:
    """Highest resident memory of this process so far, in MiB.

    Linux's ``ru_maxrss`` also holds what the parent had in memory when it started this process, so that a command from
    a large notebook would report the notebook; the peak in ``/proc`` is the process's own.
    """
    with (
        contextlib.suppress(OSError, StopIteration),
        open("/proc/self/status", encoding="ascii", errors="replace") as stream,
    ):
        return next(int(line.split()[1]) / 1024 for line in stream if line.startswith("VmHWM:"))
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)
