"""DLPack both ways, with NumPy as the other library: memory, versions, copies and refusals."""

import ctypes

import numpy as np
import pytest

import gradarray as ga

CPU = (1, 0)


class Legacy:
    """A consumer and producer of DLPack before version 1: it knows `stream` only."""

    def __init__(self, x):
        self.x = x

    def __dlpack__(self, stream=None):
        return self.x.__dlpack__(stream=stream)

    def __dlpack_device__(self):
        return self.x.__dlpack_device__()


def name_of(capsule) -> bytes:
    get = ctypes.pythonapi.PyCapsule_GetName
    get.restype, get.argtypes = ctypes.c_char_p, [ctypes.py_object]
    return get(capsule)


DTYPES = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (2, 3, 4)])
def test_there_and_back(dtype, shape):
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    x = ga.from_dlpack(values)
    assert isinstance(x, ga.GradArray) and x.dtype == values.dtype and x.shape == shape
    assert x.tolist() == values.tolist()
    back = np.from_dlpack(x)
    assert back.dtype == values.dtype
    np.testing.assert_array_equal(back, values)
    assert ga.from_dlpack(x).tolist() == values.tolist()


def test_strides_are_kept():
    values = np.arange(24.0).reshape(4, 6)[::2, ::-1]
    np.testing.assert_array_equal(ga.from_dlpack(values).numpy(), values)
    x = ga.array(np.arange(6.0).reshape(2, 3)).T
    np.testing.assert_array_equal(np.from_dlpack(x), x.numpy())


# Memory -------------------------------------------------------------------------------------------


def test_what_is_lent_is_read_only():
    x = ga.array([1.0, 2.0])
    lent = np.from_dlpack(x)
    assert np.shares_memory(lent, x.numpy()) and not lent.flags.writeable
    assert name_of(x.__dlpack__(max_version=(1, 0))) == b"dltensor_versioned"


def test_an_old_consumer_which_would_write_gets_a_copy():
    x = ga.array([1.0, 2.0])
    assert name_of(x.__dlpack__()) == b"dltensor"
    got = np.from_dlpack(Legacy(x))
    assert got.tolist() == [1.0, 2.0] and not np.shares_memory(got, x.numpy())
    with pytest.raises(BufferError, match=r"read-only, which a consumer of DLPack below version 1"):
        x.__dlpack__(copy=False)


def test_a_copy_on_request():
    x = ga.array([1.0, 2.0])
    got = np.from_dlpack(x, copy=True)
    assert not np.shares_memory(got, x.numpy())
    got[0] = 9
    assert x.tolist() == [1.0, 2.0]
    assert np.shares_memory(np.from_dlpack(x, copy=False), x.numpy())


def test_what_comes_in_is_copied_unless_told_otherwise():
    values = np.array([1.0, 2.0])
    for x in (ga.from_dlpack(values), ga.from_dlpack(values, copy=True, device="cpu")):
        assert not np.shares_memory(x.numpy(), values)
    shared = ga.from_dlpack(values, copy=False)
    assert np.shares_memory(shared.numpy(), values)
    values[0] = 5.0
    assert shared.tolist() == [5.0, 2.0] and x.tolist() == [1.0, 2.0]


def test_shared_memory_is_never_written():
    values = np.array([1.0, 2.0])
    x = ga.from_dlpack(values, copy=False)
    x += 1
    x[0] = 7.0
    x.sort()
    assert values.tolist() == [1.0, 2.0]
    w = ga.from_dlpack(values, copy=False).requires_grad_()
    (w * w).sum().backward()
    ga.optim.SGD([w], lr=0.5).step()
    assert w.tolist() == [0.0, 0.0] and values.tolist() == [1.0, 2.0]


def test_a_read_only_array_and_an_old_producer_come_in():
    values = np.array([1.0, 2.0])
    assert ga.from_dlpack(Legacy(values)).tolist() == [1.0, 2.0]
    values.flags.writeable = False
    assert ga.from_dlpack(values).tolist() == ga.from_dlpack(values, copy=False).tolist()


# Refusals -----------------------------------------------------------------------------------------


def test_a_gradient_does_not_cross():
    x = ga.array([1.0], requires_grad=True)
    for y in (x, x * 2):
        with pytest.raises(BufferError, match=r"requires a gradient.*\.detach\(\)"):
            np.from_dlpack(y)
        with pytest.raises(BufferError, match=r"requires a gradient"):
            ga.from_dlpack(y)
        assert np.from_dlpack(y.detach()).tolist() == y.tolist()
    with pytest.raises(BufferError, match="inside vmap"):
        ga.vmap(lambda row: np.from_dlpack(row))(ga.ones((2, 3)))


def test_devices_streams_and_what_has_no_dlpack():
    x = ga.array([1.0])
    assert x.__dlpack_device__() == CPU
    assert name_of(x.__dlpack__(dl_device=CPU, max_version=(1, 2))) == b"dltensor_versioned"
    with pytest.raises(BufferError, match=r"cannot give to device \(2, 0\)"):
        x.__dlpack__(dl_device=(2, 0))
    with pytest.raises(BufferError, match="no streams"):
        x.__dlpack__(stream=1)
    with pytest.raises(TypeError, match=r"from_dlpack: a list has no __dlpack__.*ga\.array"):
        ga.from_dlpack([1.0])
