"""The hardware of a run: devices, replicas, threads, precision, compilation."""

from pathlib import Path
from typing import Literal

import keras
import tensorflow as tf

from kd_bench.checks import PositiveInt, Threads
from kd_bench.errors import ConfigError
from kd_bench.training.devices import claim, gpu_names

_BFLOAT16_CAPABILITY = (8, 0)
_FLOAT16_CAPABILITY = (7, 0)
_CPUINFO = Path("/proc/cpuinfo")
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


def strategy(
    *,
    device: Literal["auto", "cpu", "gpu"],
    replicas: PositiveInt | None,
    threads: Threads | None,
    jobs_per_gpu: PositiveInt = 1,
) -> tf.distribute.Strategy:
    """Returns the strategy under which the variables of a run are created. Waits until enough GPUs are free.

    Args:
        device: `auto` uses the GPUs if there are any.
        replicas: how many devices share the global batch; None uses all GPUs, or one CPU.
        threads: CPU threads within one operation, and for parallel operations; None lets TensorFlow choose.
        jobs_per_gpu: how many runs may share a GPU.

    Raises:
        ConfigError: there are too few GPUs, or TensorFlow was started with other devices in this process.
    """
    gpus = [] if device == "cpu" else tf.config.list_physical_devices("GPU")
    count = replicas or max(len(gpus), 1)
    if len(gpus) < count and (gpus or device == "gpu"):
        raise ConfigError(f"hardware.replicas={count}: TensorFlow sees {len(gpus)} GPUs here; try hardware=cpu.")
    if gpus:
        _prepare_gpus([gpus[index] for index in claim(gpu_names(len(gpus)), count, jobs_per_gpu)])
        names = [f"GPU:{number}" for number in range(count)]
    else:
        _prepare_cpu(count, threads)
        names = [f"CPU:{number}" for number in range(count)]
    return tf.distribute.get_strategy() if count == 1 else _mirrored(names)


def _mirrored(names: list[str]) -> tf.distribute.Strategy:
    operations = None if names[0].startswith("GPU") else tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(names, cross_device_ops=operations)


def _prepare_gpus(gpus: list[tf.config.PhysicalDevice]) -> None:
    tf.config.set_visible_devices(gpus, "GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)


def _prepare_cpu(count: int, threads: int | None) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_visible_devices([], "GPU")
        if count > 1:
            logical = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
            tf.config.set_logical_device_configuration(cpu, logical)
        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        # Devices are fixed after their first use by TensorFlow. That is fine if they are the requested ones.
        available = len(tf.config.list_logical_devices("CPU"))
        if available < count:
            raise ConfigError(
                f"hardware.replicas={count}: this process runs with {available} CPU devices; "
                "start runs on other hardware with a separate command."
            ) from None


def resolve_precision(precision: str) -> str:
    """Returns the dtype policy; for `auto`, the fastest one that the GPU supports, or the CPU if there is no GPU."""
    if precision != "auto":
        return precision
    gpus = tf.config.get_visible_devices("GPU")
    if not gpus:
        return "mixed_bfloat16" if _cpu_has_bfloat16() else "float32"
    capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
    if capability >= _BFLOAT16_CAPABILITY:
        return "mixed_bfloat16"
    return "mixed_float16" if capability >= _FLOAT16_CAPABILITY else "float32"


def _cpu_has_bfloat16() -> bool:
    """Returns whether the CPU has bfloat16 multiplication; False if the system does not say so."""
    if not _CPUINFO.exists():
        return False
    flags = (line.partition(":")[2].split() for line in _CPUINFO.read_text().splitlines() if line.startswith("flags"))
    return not _BFLOAT16_FLAGS.isdisjoint(next(flags, []))


def resolve_jit(jit_compile: bool | str, strategy: tf.distribute.Strategy, supports_xla: bool) -> bool:
    """Returns whether XLA compiles the step; `auto` compiles on one GPU, if the method `supports_xla`.

    On a CPU, small networks are up to three times slower with XLA. Keras cannot compile the step on several replicas.
    """
    compiled = (
        supports_xla and bool(tf.config.get_visible_devices("GPU")) if jit_compile == "auto" else bool(jit_compile)
    )
    return compiled and strategy.num_replicas_in_sync == 1


def prepare_process(precision: str, deterministic: bool, seed: int) -> str:
    """Clears the Keras state of an earlier run in this process, and sets precision, determinism and Keras's seed.

    Returns:
        The resolved precision.
    """
    keras.backend.clear_session()
    resolved = resolve_precision(precision)
    keras.config.set_dtype_policy(resolved)
    keras.utils.set_random_seed(seed)
    # Use full float32: by default, recent GPUs compute matrix products with a mantissa of ten bits, also in losses.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    return resolved
