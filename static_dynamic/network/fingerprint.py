"""Fingerprints: digests of everything in a model that decides its activations, so that a store fits one model only."""

import hashlib
import inspect
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from operator import itemgetter
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn

from static_dynamic.common.registry import is_outside
from static_dynamic.media.inputs import tensors_of

INTERNAL = {*vars(nn.Module()), "spec", "checkpoint"}
"""Attributes that do not affect activations: the bookkeeping of torch, and the notes of the zoo about a model."""
PLAIN = (int, float, complex, str, bytes, tuple, types.NoneType)
"""Kinds of constants of a module that count where a function uses them."""
DEEPEST = 6
"""Depth to which a fingerprint follows attributes of attributes."""


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of every parameter and buffer, including their names.

    Buffers that checkpoints leave out count, and so do the weights of quantised modules, which are not parameters.
    """
    digest = hashlib.sha256()
    tensors = {**_kept(model), **dict(model.named_parameters()), **dict(model.named_buffers())}
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def _kept(model: nn.Module) -> dict[str, torch.Tensor]:
    """Tensors of a checkpoint that are neither parameters nor buffers."""
    own = {name for name, _ in (*model.named_parameters(remove_duplicate=False), *model.named_buffers())}
    own |= {name for name, _ in model.named_buffers(remove_duplicate=False)}
    kept = {name: value for name, value in model.state_dict().items() if name not in own}
    return {
        f"{name}.{place}": tensor for name, value in kept.items() for place, tensor in enumerate(tensors_of([value]))
    }


def structure_digest(model: nn.Module) -> str:
    """SHA-256 of a model apart from its weights: the classes of its modules, their attributes, their code.

    Code is that of the classes outside of torch (functions elsewhere that a forward pass calls are not followed);
    attributes are numbers, texts, tensors, functions, and collections of these.
    """
    digest = hashlib.sha256()
    sources: dict[type, str] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        kind = type(module)
        if kind not in sources:
            sources[kind] = "".join(map(_code, _own_classes(kind)))
        attributes = {**_attributes(module), **_BEFORE.get(module, {})}
        digest.update(
            repr((path, _name(kind), sources[kind], sorted(filter(itemgetter(1), attributes.items())))).encode()
        )
    return digest.hexdigest()


def code_digest(thing: Any) -> str:
    """Digest of the code of a function, a class or an object: the first 16 digits of a SHA-256.

    A function includes the functions of its module that it calls and the plain constants that it uses. A class includes
    its base classes outside of this package, an object its attributes. Imports from other modules are not followed.
    """
    return hashlib.sha256("".join(_followed(thing, set())).encode()).hexdigest()[:16]


def _followed(thing: Any, seen: set[int]) -> Iterator[str]:
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if not isinstance(thing, types.FunctionType):
        kind = thing if isinstance(thing, type) else type(thing)
        yield from map(_code, filter(is_outside, _own_classes(kind)))
        yield from _lines(thing, 0)
        return
    yield from _lines(thing, 0)
    for name in sorted(_names(thing.__code__) & thing.__globals__.keys()):
        value = thing.__globals__[name]
        if isinstance(value, types.FunctionType) and value.__module__ == thing.__module__:
            yield from _followed(value, seen)
        elif isinstance(value, PLAIN):
            yield f"{name}={value!r}"


def _names(code: types.CodeType) -> set[str]:
    """The names that a function looks up, including those of nested functions."""
    inner = (part for part in code.co_consts if isinstance(part, types.CodeType))
    return set(code.co_names).union(*map(_names, inner))


_BEFORE: WeakKeyDictionary[nn.Module, dict[str, str]] = WeakKeyDictionary()
"""The attributes before forward passes changed them; attributes that did not exist are left out."""


@contextmanager
def forwards_of(model: nn.Module) -> Iterator[None]:
    """Run forward passes in this block: attributes that they change (counters, caches) are not part of the structure.

    Otherwise a model could not resume its own store after it has run.
    """
    before = {module: _attributes(module) for module in model.modules()}
    try:
        yield
    finally:
        for module, attributes in before.items():
            after = _attributes(module)
            changed = {name for name in {**attributes, **after} if attributes.get(name) != after.get(name)}
            noted = _BEFORE.setdefault(module, {})
            noted.update({name: attributes.get(name, "") for name in changed - noted.keys()})


def _attributes(module: nn.Module) -> dict[str, str]:
    """Every attribute of a module that may decide activations, as text."""
    return {name: "".join(_lines(value, 0)) for name, value in vars(module).items() if name not in INTERNAL}


def _own_classes(kind: type) -> Iterator[type]:
    """A class and those that it inherits from, without those of torch and of Python."""
    return (
        base for base in kind.__mro__ if base.__module__.partition(".")[0] not in ("torch", "builtins", "typing", "abc")
    )


def _code(kind: type) -> str:
    """The source of a class or, if it is missing, the bytecode of its methods."""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return "".join(_compiled(part.__code__) for part in vars(kind).values() if hasattr(part, "__code__"))


def _compiled(code: types.CodeType) -> str:
    constants = (_compiled(each) if isinstance(each, types.CodeType) else _constant(each) for each in code.co_consts)
    return f"{code.co_code.hex()}{code.co_names}{''.join(constants)}"


def _constant(value: object) -> str:
    """A constant as text; a set is sorted, since its order differs between processes."""
    return f"{{{','.join(sorted(map(repr, value)))}}}" if isinstance(value, frozenset) else repr(value)


def _lines(value: Any, depth: int) -> Iterator[str]:
    """A value as text that is the same in every process."""
    if isinstance(value, torch.Tensor | np.ndarray):
        data = _bytes(value) if isinstance(value, torch.Tensor) else np.ascontiguousarray(value).tobytes()
        yield f"{value.dtype}{tuple(value.shape)}{hashlib.sha256(data).hexdigest()}"
    elif isinstance(value, types.FunctionType | types.MethodType):
        function = getattr(value, "__func__", value)
        closed = [cell.cell_contents for cell in function.__closure__ or () if cell.cell_contents is not function]
        yield f"{_name(value)}{_compiled(function.__code__)}"
        yield from _lines([function.__defaults__, closed], depth + 1)
        if named := getattr(function, "__kwdefaults__", None):
            yield from _lines(named, depth + 1)
    elif isinstance(value, partial):
        yield from _lines([value.func, value.args, value.keywords], depth)
    elif isinstance(value, type | types.BuiltinFunctionType):
        yield _name(value)
    elif isinstance(value, Mapping) and depth < DEEPEST:
        for key in sorted(value, key=repr):
            yield f"{key!r}:"
            yield from _lines(value[key], depth + 1)
    elif isinstance(value, list | tuple | set | frozenset) and depth < DEEPEST:
        parts = ["".join(_lines(part, depth + 1)) for part in value]
        yield f"[{','.join(sorted(parts) if isinstance(value, set | frozenset) else parts)}]"
    elif hasattr(value, "__dict__") and depth < DEEPEST:
        yield _name(type(value))
        yield from _lines({name: part for name, part in vars(value).items() if not name.startswith("_")}, depth + 1)
    else:
        # The text of an object, or of a list with a function in it, may contain an address, which is not reproducible.
        yield _name(type(value)) if " at 0x" in (text := repr(value)) else text


def _name(thing: Any) -> str:
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', thing)}"


def _bytes(tensor: torch.Tensor) -> Any:
    """The bytes of a tensor; empty for a meta tensor."""
    if tensor.device.type == "meta":
        return b""
    plain = tensor.detach().cpu()
    plain = plain.to_dense() if plain.layout != torch.strided else plain
    plain = plain.int_repr() if plain.is_quantized else plain
    return plain.contiguous().reshape(-1).view(torch.uint8).numpy().data
