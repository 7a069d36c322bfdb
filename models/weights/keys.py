"""Published names of weights → the names used here.

A style is a function from one state dict to another; ``STYLES`` lists them. What a style does not know, it
leaves as it is. To read another library's files, write one function and add it to the list.
"""

import re
from collections.abc import Callable

import torch
from torch import Tensor

State = dict[str, Tensor]
Names = tuple[tuple[str, str], ...]  # pattern of a module's whole name → its name here


def _rename(key: str, modules: Names) -> str:
    module, dot, leaf = key.rpartition(".")
    return _module(module, modules) + dot + leaf


def _module(name: str, modules: Names) -> str:
    for pattern, module in modules:
        if match := re.fullmatch(pattern, name):
            return match.expand(module)
    return name


def as_published(state: State) -> State:
    """PySlowFast and TSM: their names are the ones used here."""
    return state


# Caffe2

_SUFFIXES = {"w": "weight", "b": "bias", "s": "weight", "rm": "running_mean", "riv": "running_var"}
_BLOBS = (  # name without "t_" and suffix → module; @ is the pathway
    (r"conv1", r"s1.pathway@_stem.conv"),
    (r"res_conv1_bn", r"s1.pathway@_stem.bn"),
    (r"res(\d)_(\d+)_branch1(_bn)?", r"s\1.pathway@_res\2.branch1\3"),
    (r"res(\d)_(\d+)_branch2([abc](?:_bn)?)", r"s\1.pathway@_res\2.branch2.\3"),
    (r"nonlocal_conv(\d)_(\d+)_(theta|phi|g|out)", r"s\1.pathway@_nonlocal\2.conv_\3"),
    (r"nonlocal_conv(\d)_(\d+)_bn", r"s\1.pathway@_nonlocal\2.bn"),
    (r"pool1_subsample", r"s1_fuse.conv_f2s"),
    (r"pool1_subsample_bn", r"s1_fuse.bn"),
    (r"res(\d)_\d+_branch2c_bn_subsample", r"s\1_fuse.conv_f2s"),
    (r"res(\d)_\d+_branch2c_bn_subsample_bn", r"s\1_fuse.bn"),
    (r"pred", r"head.projection"),
)


def caffe2_key(blob: str) -> str | None:
    """The key of a Caffe2 blob; ``None`` for what only training needs; an unknown name is unchanged.

    Example:
        >>> caffe2_key("t_res4_5_branch2c_bn_riv")
        's4.pathway1_res5.branch2.c_bn.running_var'
    """
    if blob in ("lr", "model_iter") or blob.endswith("momentum"):
        return None
    pathway = "1" if blob.startswith("t_") else "0"
    name, _, suffix = blob.removeprefix("t_").rpartition("_")
    module = _module(name, _BLOBS)
    if module == name or suffix not in _SUFFIXES:
        return blob
    return f"{module.replace('@', pathway)}.{_SUFFIXES[suffix]}"


def caffe2(state: State) -> State:
    """The Caffe2 zoo of PySlowFast."""
    return {key: value for blob, value in state.items() if (key := caffe2_key(blob))}


# PyTorchVideo

_BLOCKS = (  # <stage>.<pathway>.<module there> → module; the sixth stage is the head
    (r"1\.(\d)\.conv", r"s1.pathway\1_stem.conv"),
    # The two convolutions in the stem of X3D are named the wrong way round there: "conv_t" is the spatial one.
    (r"1\.(\d)\.conv\.conv_t", r"s1.pathway\1_stem.conv_xy"),
    (r"1\.(\d)\.conv\.conv_xy", r"s1.pathway\1_stem.conv"),
    (r"1\.(\d)\.norm", r"s1.pathway\1_stem.bn"),
    (r"(\d)\.(\d)\.res_blocks\.(\d+)\.branch1_conv", r"s\1.pathway\2_res\3.branch1"),
    (r"(\d)\.(\d)\.res_blocks\.(\d+)\.branch1_norm", r"s\1.pathway\2_res\3.branch1_bn"),
    (r"(\d)\.(\d)\.res_blocks\.(\d+)\.branch2\.conv_([abc])", r"s\1.pathway\2_res\3.branch2.\4"),
    (r"(\d)\.(\d)\.res_blocks\.(\d+)\.branch2\.norm_([abc])(?:\.0)?", r"s\1.pathway\2_res\3.branch2.\4_bn"),
    (r"(\d)\.(\d)\.res_blocks\.(\d+)\.branch2\.norm_b\.1\.block\.0", r"s\1.pathway\2_res\3.branch2.se.fc1"),
    (r"(\d)\.(\d)\.res_blocks\.(\d+)\.branch2\.norm_b\.1\.block\.2", r"s\1.pathway\2_res\3.branch2.se.fc2"),
    (r"(\d)\.0\.multipathway_fusion\.conv_fast_to_slow", r"s\1_fuse.conv_f2s"),
    (r"(\d)\.0\.multipathway_fusion\.norm", r"s\1_fuse.bn"),
    (r"6\.0\.pool\.pre_conv", r"head.conv_5"),
    (r"6\.0\.pool\.pre_norm", r"head.conv_5_bn"),
    (r"6\.0\.pool\.post_conv", r"head.lin_5"),
    (r"6\.0\.proj|detection_head\.proj", r"head.projection"),
)
_BLOCK = re.compile(r"blocks\.(\d+)\.(?:multipathway_blocks\.(\d)\.)?(.*)")


def pytorchvideo(state: State) -> State:
    """The ResNets, SlowFast, X3D and detectors of PyTorchVideo.

    Its blocks are numbered, pools among them: the first five that have weights are the stages, the sixth the head.
    """
    blocks = {key: match for key in state if (match := _BLOCK.fullmatch(key))}
    numbers = sorted({int(match[1]) for match in blocks.values()})
    named = {}
    for key, value in state.items():
        if match := blocks.get(key):
            key = f"{numbers.index(int(match[1])) + 1}.{match[2] or 0}.{match[3]}"
        named[_rename(key, _BLOCKS)] = value
    return _with_projection_norms(named)


def _with_projection_norms(state: State) -> State:
    """PyTorchVideo's X3D has no norm after a projection that keeps the width; the identity replaces it."""
    for key, weight in list(state.items()):
        if key.endswith(".branch1.weight") and len(weight) == weight.shape[1] and _norm(key, "weight") not in state:
            ones, zeros = torch.ones(len(weight)), torch.zeros(len(weight))
            identity = {"weight": ones, "bias": zeros, "running_mean": zeros, "running_var": ones - 1e-5}  # 1e-5: ε
            state |= {_norm(key, name): value for name, value in identity.items()}
    return state


def _norm(projection: str, name: str) -> str:
    return projection.replace(".branch1.weight", f".branch1_bn.{name}")


_MVIT = (
    (r"patch_embed\.patch_model", r"patch_embed.proj"),
    (r"norm_embed", r"norm"),
    (r"head\.proj", r"head.projection"),
)


def pytorchvideo_mvit(state: State) -> State:
    """PyTorchVideo's MViT, which keeps query, key and value apart; here they are one layer."""
    named: State = {}
    for key, value in state.items():
        key = key.removeprefix("cls_positional_encoding.")
        match = re.fullmatch(r"(.*\.attn\.)([qkv])(\.\w+)", key)
        if match is None:
            named[_rename(key, _MVIT)] = value
        elif match[2] == "q":
            parts = (state.get(f"{match[1]}{part}{match[3]}") for part in "qkv")
            named[f"{match[1]}qkv{match[3]}"] = torch.cat([part for part in parts if part is not None])
    return named


STYLES: tuple[Callable[[State], State], ...] = (as_published, caffe2, pytorchvideo, pytorchvideo_mvit)
