"""Golden tensors of the graph's ops from torch, forward and backward.

    OMP_NUM_THREADS=1 python Tests/Oracles/ops.py

writes Tests/Goldens/ops/<group>.safetensors and cases.json. A case names the op and its attributes, and which of its inputs
are given ("x", "weight", ...; null where an optional one is left out). Tensors of case C: "C/in.<i>", "C/out.<j>",
"C/dy" (the gradient that arrives at output 0; "C/dy.<j>" at others) and "C/grad.<i>". Inputs are f32 (i32 for ids); torch computes in f64
and the results are rounded once. What an output holds where the op says nothing is not tested: out.<j> may be missing.

Besides the op names of the graph there are compositions, told by a leading "~": ~conv1d and ~conv2d (an unfold and a
product).
"""
import json
import math
import pathlib
import types

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers.models.cohere.modeling_cohere import apply_rotary_pos_emb as rope_neighbours
from transformers.models.gemma2.modeling_gemma2 import eager_attention_forward as capped_attention
from transformers.models.gpt_oss.modeling_gpt_oss import eager_attention_forward as sink_attention
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb as rope_halves
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLRotaryEmbedding
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextRotaryEmbedding

OUT = pathlib.Path(__file__).resolve().parent.parent / "Goldens" / "ops"
GEN = torch.Generator().manual_seed(77)
CASES, GROUPS = [], {}


def rand(*shape, scale=1.0):
    return (torch.randn(shape, generator=GEN) * scale).double()


def ints(low, high, *shape):
    return torch.randint(low, high, shape, generator=GEN, dtype=torch.int32)


def add(group, name, op, inputs, function, keep=None, differentiable=None, losses=(0,), **attributes):
    """Records one case. inputs: tensors or None; function(*inputs) -> tensor or tuple of outputs; losses: outputs that a
    gradient arrives at."""
    leaves = []
    for i, x in enumerate(inputs):
        wanted = x is not None and x.is_floating_point() and (differentiable is None or i in differentiable)
        leaves.append(x.clone().float().double().requires_grad_() if wanted else
                      x if x is None or not x.is_floating_point() else x.float().double())
    outputs = function(*leaves)
    outputs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    tensors, case = GROUPS.setdefault(group, {}), f"{group}/{name}"
    for i, x in enumerate(leaves):
        if x is not None:
            tensors[f"{case}/in.{i}"] = x.detach()
    for j, y in enumerate(outputs):
        if y is not None and (keep is None or j in keep):
            tensors[f"{case}/out.{j}"] = y.detach()
    if outputs[0].requires_grad and differentiable != []:
        upstream = [(j, rand(*outputs[j].shape).float().double()) for j in losses]
        wanted = [(i, x) for i, x in enumerate(leaves) if x is not None and x.requires_grad]
        grads = torch.autograd.grad(
            [outputs[j] for j in losses], [x for _, x in wanted], [dy for _, dy in upstream], allow_unused=True)
        tensors.update({f"{case}/dy" + (f".{j}" if j else ""): dy for j, dy in upstream})
        for (i, x), g in zip(wanted, grads):
            tensors[f"{case}/grad.{i}"] = torch.zeros_like(x) if g is None else g
    CASES.append(dict(case=case, op=op, file=f"{group}.safetensors", inputs=[x is not None for x in inputs],
                      attributes={k: dict(type=type(v).__name__, value=v) for k, v in attributes.items()}))


def elementwise():
    line = torch.cat([torch.linspace(-9, 9, 73), torch.tensor([0.0, -0.0, 20.0, -20.0, 60.0, -60.0, 1e-4, -1e-4])]).double()
    positive = torch.cat([torch.logspace(-6, 4, 40), torch.linspace(0.5, 2, 16)]).double()
    unary = {
        "neg": torch.neg, "exp": torch.exp, "abs": torch.abs, "sign": torch.sign, "floor": torch.floor,
        "square": torch.square, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "log_sigmoid": F.logsigmoid,
        "softplus": lambda x: F.softplus(x, threshold=200), "silu": F.silu, "gelu": F.gelu,
        "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
        "relu": F.relu, "sin": torch.sin, "cos": torch.cos, "erf": torch.erf,
    }
    for name, f in unary.items():
        x = line[line.abs() < 15] if name == "exp" else line
        if name in ("abs", "relu"):
            x = x[x != 0]  # the slope at 0 is a convention
        add("elementwise", name, name, [x], f, differentiable=[] if name in ("sign", "floor") else None)
    for name, f in {"log": torch.log, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt, "reciprocal": torch.reciprocal}.items():
        add("elementwise", name, name, [positive], f)
    add("elementwise", "scale", "scale", [line], lambda x: x * -1.75, factor=-1.75)
    add("elementwise", "add_scalar", "add_scalar", [line], lambda x: x + 0.375, value=0.375)
    shapes = {"same": ((5, 7), (5, 7)), "row": ((5, 7), (7,)), "column": ((5, 7), (5, 1)), "both": ((4, 1, 6), (3, 1)),
              "left": ((6,), (2, 3, 6))}
    for name, f in {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "min": torch.minimum,
                    "max": torch.maximum}.items():
        for label, (a, b) in shapes.items():
            second = rand(*b).abs() + 0.5 if name == "div" else rand(*b)
            add("elementwise", f"{name}-{label}", name, [rand(*a), second], f)
    add("elementwise", "pow", "pow", [rand(4, 5).abs() + 0.3, rand(5)], torch.pow)
    whole = ints(-2, 3, 4, 6).double()
    for name, f in {"less": torch.lt, "equal": torch.eq}.items():
        add("elementwise", name, name, [whole, ints(-2, 3, 6).double()], lambda a, b, f=f: f(a, b).double(), differentiable=[])
    add("elementwise", "where", "where", [(rand(4, 1) > 0).double(), rand(4, 6), rand(6)],
        lambda c, a, b: torch.where(c != 0, a, b), differentiable=[1, 2])


def reductions():
    for name, f in {"sum": torch.sum, "mean": torch.mean, "max": torch.amax}.items():
        for label, axes, keeps in [("last", [-1], False), ("kept", [1], True), ("two", [0, 2], False), ("first", [0], True)]:
            add("reductions", f"{name}-{label}", name, [rand(3, 4, 5)],
                lambda x, f=f, axes=axes, keeps=keeps: f(x, dim=axes, keepdim=keeps), axes=axes, keep_dimensions=keeps)
        add("reductions", f"{name}-all", name, [rand(3, 7)], lambda x, f=f: f(x, dim=(0, 1)), axes=[])
    wide = torch.cat([rand(3, 9, scale=3), torch.tensor([[80.0, -80, 0, 79.5, 1, 2, 3, 4, 5]]).double()])
    add("reductions", "softmax", "softmax", [wide], lambda x: F.softmax(x, -1))
    add("reductions", "softmax-rank3", "softmax", [rand(2, 3, 33)], lambda x: F.softmax(x, -1))
    add("reductions", "log_softmax", "log_softmax", [wide], lambda x: F.log_softmax(x, -1))
    add("reductions", "logsumexp", "logsumexp", [wide], lambda x: torch.logsumexp(x, -1))
    add("reductions", "cumsum", "cumsum", [rand(3, 11)], lambda x: x.cumsum(-1))
    add("reductions", "cumsum-reverse", "cumsum", [rand(3, 11)], lambda x: x.flip(-1).cumsum(-1).flip(-1), reverse=True)

    def best(x, k):
        order = torch.sort(x, dim=-1, descending=True, stable=True)
        return order.values[..., :k], order.indices[..., :k].int()
    add("reductions", "topk", "topk", [rand(5, 17)], lambda x: best(x, 4), k=4)
    add("reductions", "topk-ties", "topk", [ints(0, 4, 4, 12).double()], lambda x: best(x, 5), k=5)
    add("reductions", "argmax", "argmax", [ints(-3, 4, 6, 8).double()], lambda x: best(x, 1)[1][..., 0], differentiable=[])
    owner = torch.tensor([0, 0, 2, 2, 2, 1, -1, 0], dtype=torch.int32)
    kept = owner.long().clamp(min=0)
    add("reductions", "sum_sequences", "sum_sequences", [rand(8), owner],
        lambda x, s: torch.zeros(4).double().index_add(0, kept, x * (s >= 0)), count=4)
    add("reductions", "gather_sequences", "gather_sequences", [rand(4), owner], lambda x, s: x[kept] * (s >= 0))


def norms():
    for width, eps in [(32, 1e-5), (7, 1e-6), (96, 1.0)]:
        x, w, b = rand(5, width, scale=2), 1 + rand(width, scale=0.3), rand(width, scale=0.3)
        x[1] *= 1e-3  # a row where eps counts
        add("norms", f"rms-{width}", "rms_norm", [x, w], lambda x, w: F.rms_norm(x, (width,), w, eps), eps=eps)
        add("norms", f"layer-{width}", "layer_norm", [x, w, b], lambda x, w, b: F.layer_norm(x, (width,), w, b, eps), eps=eps)
    x, w = rand(2, 3, 16), rand(16, scale=0.3)
    add("norms", "rms-offset", "rms_norm", [x, w], lambda x, w: F.rms_norm(x, (16,), 1 + w, 1e-6), eps=1e-6, offset=1.0)
    add("norms", "layer-no-bias", "layer_norm", [x, w, None], lambda x, w, _: F.layer_norm(x, (16,), w, None, 1e-5), eps=1e-5)


def turn(x, positions, frequencies, interleaved, scale=1.0, sections=None):
    if sections:
        axis = torch.repeat_interleave(torch.arange(len(sections)), torch.tensor(sections))
        angle = positions[axis].T.double() * frequencies
    else:
        angle = positions.double()[:, None] * frequencies
    cos, sin = angle.cos() * scale, angle.sin() * scale
    n = frequencies.shape[-1]
    if interleaved:
        cos, sin = cos.repeat_interleave(2, -1), sin.repeat_interleave(2, -1)
    else:
        cos, sin = torch.cat([cos, cos], -1), torch.cat([sin, sin], -1)
    head, rest = x[..., :2 * n], x[..., 2 * n:]
    rotate = rope_neighbours if interleaved else rope_halves
    turned, _ = rotate(head.transpose(0, 1)[None], head.transpose(0, 1)[None], cos[None], sin[None])
    return torch.cat([turned[0].transpose(0, 1), rest], -1)


def ropes():
    positions = torch.tensor([0, 1, 2, 3, 17, 4095, 131071], dtype=torch.int32)
    for label, n, interleaved, scale in [("halves", 8, False, 1.0), ("neighbours", 8, True, 1.0), ("partial", 4, False, 1.0),
                                         ("partial-neighbours", 4, True, 1.0), ("scaled", 8, False, 1.25), ("far", 8, False, 1.0)]:
        frequencies = (10000.0 ** (-torch.arange(n).double() / n)).float().double()
        # "far" needs its angles in more than f32: 131071 rad is known to 0.008 there.
        at = positions if label == "far" else positions.clamp(max=511)
        add("rope", label, "rope", [rand(7, 3, 16), at, frequencies],
            lambda x, p, f: turn(x, p, f, interleaved, scale).double(), differentiable=[0], interleaved=interleaved, scale=scale)
    grid = ints(0, 40, 3, 7)
    frequencies = (1000.0 ** (-torch.arange(8).double() / 8)).float().double()
    add("rope", "sections", "rope", [rand(7, 2, 16), grid, frequencies],
        lambda x, p, f: turn(x, p, f, False, sections=[2, 3, 3]), differentiable=[0], interleaved=False, sections=[2, 3, 3])
    multimodal_ropes()


def multimodal_ropes():
    """What Qwen2-VL and Qwen3-VL make of three axes of positions; transformers' own code must agree on the angles."""
    grid, frequencies = ints(0, 40, 3, 7), (1000.0 ** (-torch.arange(8).double() / 8)).float().double()
    angles = grid[:, None, :, None].double() * frequencies

    def judge(rotary, sections):
        return rotary.recomposition_frequencies(types.SimpleNamespace(mrope_section=sections), angles.clone())[0, :, :8]

    # Pairs in runs.
    rows = grid[[0, 0, 1, 1, 1, 2, 2, 2]].T.double() * frequencies
    assert (judge(Qwen2VLRotaryEmbedding, [2, 3, 3]) - rows).abs().max() < 1e-12
    add("rope", "sections-partial", "rope", [rand(7, 2, 20), grid, frequencies],
        lambda x, p, f: turn(x, p, f, False, sections=[2, 3, 3]), differentiable=[0], interleaved=False, sections=[2, 3, 3])
    add("rope", "sections-neighbours", "rope", [rand(7, 2, 16), grid, frequencies],
        lambda x, p, f: turn(x, p, f, True, sections=[2, 3, 3]), differentiable=[0], interleaved=True, sections=[2, 3, 3])
    # Pairs dealt out in turn: a row of positions for each run of pairs.
    axes = [0, 1, 2, 0, 1, 2, 0, 0]
    assert (judge(Qwen3VLTextRotaryEmbedding, [4, 2, 2]) - grid[axes].T.double() * frequencies).abs().max() < 1e-12
    add("rope", "sections-in-turn", "rope", [rand(7, 2, 16), grid[axes], frequencies],
        lambda x, p, f: turn(x, p, f, False, sections=[1] * 8), differentiable=[0], interleaved=False, sections=[1] * 8)


def ropes_of_each_token():
    positions = torch.tensor([0, 1, 2, 0, 17, 300, 511], dtype=torch.int32)
    for label, n, interleaved in [("each-halves", 8, False), ("each-neighbours", 5, True)]:
        frequencies = torch.rand(7, n, generator=GEN).float().double()
        add("rope", label, "rope", [rand(7, 3, 16), positions, frequencies],
            lambda x, p, f: turn(x, p, f, interleaved).double(), differentiable=[0], interleaved=interleaved)


def attend(q, k, v, qs, ks, sinks, scale, causal=True, window=0, softcap=0.0):
    """Returns the output and log of the sum of the exponentials, segment by segment; checked against transformers."""
    heads, group = q.shape[1], q.shape[1] // k.shape[1]
    out, lse = torch.zeros(*q.shape[:2], v.shape[2]).double(), torch.zeros(q.shape[0], heads).double()
    for s in range(len(qs) - 1):
        a, b = slice(int(qs[s]), int(qs[s + 1])), slice(int(ks[s]), int(ks[s + 1]))
        n, m = a.stop - a.start, b.stop - b.start
        if n == 0:
            continue
        at, key = torch.arange(n)[:, None] + m - n, torch.arange(m)[None]
        seen = torch.ones(n, m, dtype=torch.bool)
        if causal:
            seen &= key <= at
        if window:
            seen &= at - key < window
        mask = torch.zeros(n, m).double().masked_fill(~seen, float("-inf"))
        qq, kk, vv = (t.transpose(0, 1)[None] for t in (q[a], k[b], v[b]))
        scores = qq @ kk.repeat_interleave(group, 1).transpose(2, 3) * scale
        if softcap:
            scores = softcap * torch.tanh(scores / softcap)
        scores = scores + mask
        if sinks is not None:
            scores = torch.cat([scores, sinks[None, :, None, None].expand(1, heads, n, 1)], -1)
        weights = scores.softmax(-1)[..., :m]
        result = (weights @ vv.repeat_interleave(group, 1))[0].transpose(0, 1)
        module = types.SimpleNamespace(num_key_value_groups=group, training=False, head_dim=q.shape[2], sinks=sinks)
        if sinks is not None:
            judge = sink_attention(module, qq, kk, vv, mask, scale)[0][0]
        elif softcap:
            judge = capped_attention(module, qq, kk, vv, mask, scaling=scale, softcap=softcap)[0][0]
        else:
            judge = F.scaled_dot_product_attention(qq, kk, vv, seen, scale=scale, enable_gqa=True)[0].transpose(0, 1)
        assert (judge - result).abs().max() < 1e-6
        out = out.index_put((torch.arange(a.start, a.stop),), result)
        lse = lse.index_put((torch.arange(a.start, a.stop),), scores.logsumexp(-1)[0].T)
    return out, lse


def attentions():
    whole = torch.tensor([0, 11], dtype=torch.int32)
    packed = torch.tensor([0, 1, 6, 13, 20], dtype=torch.int32)
    chunk = torch.tensor([0, 3, 4], dtype=torch.int32)   # new tokens
    cached = torch.tensor([0, 9, 14], dtype=torch.int32)  # all tokens of the same sequences
    table = [  # label, H, Hk, D, Dv, q segments, k segments, sinks, options
        ("mha", 2, 2, 8, 8, whole, whole, False, {}), ("gqa", 6, 2, 8, 8, whole, whole, False, {}),
        ("mqa", 4, 1, 16, 16, whole, whole, False, {}), ("packed", 4, 2, 8, 8, packed, packed, False, {}),
        ("window", 2, 1, 8, 8, packed, packed, False, dict(window=3)),
        ("softcap", 2, 1, 8, 8, packed, packed, False, dict(softcap=2.5)),
        ("window-softcap", 2, 1, 8, 8, whole, whole, False, dict(softcap=4.0, window=4)),
        ("sinks", 4, 2, 8, 8, packed, packed, True, {}), ("sinks-window", 4, 2, 8, 8, packed, packed, True, dict(window=4)),
        ("two-way", 2, 2, 8, 8, packed, packed, False, dict(causal=False)),
        ("cross", 2, 1, 8, 8, chunk, cached, False, dict(causal=False)), ("cached", 4, 2, 8, 8, chunk, cached, False, {}),
        ("cached-window", 4, 2, 8, 8, chunk, cached, False, dict(window=5)),
        ("narrow-values", 2, 2, 12, 6, packed, packed, False, {}),
    ]
    for label, h, hk, d, dv, qs, ks, sinks, options in table:
        scale = 1 / math.sqrt(d)
        add("attention", label, "attention",
            [rand(int(qs[-1]), h, d, scale=1.5), rand(int(ks[-1]), hk, d, scale=1.5), rand(int(ks[-1]), hk, dv), qs, ks,
             rand(h) if sinks else None],
            lambda q, k, v, qs, ks, s: attend(q, k, v, qs, ks, s, scale, **options), scale=scale, **{"causal": True, **options})


def losses():
    labels = torch.tensor([3, 0, -100, 36, 12, -100, 5], dtype=torch.int32)

    def logprobs(hidden, head, labels, bias, scale=1.0, softcap=0.0):
        logits = hidden @ head.T * scale + (0 if bias is None else bias)
        logits = softcap * torch.tanh(logits / softcap) if softcap else logits
        picked = -F.cross_entropy(logits, labels.long(), ignore_index=-100, reduction="none")
        log = logits.log_softmax(-1)
        kept = (labels >= 0).double()
        return picked, logits.logsumexp(-1) * kept, -(log.exp() * log).sum(-1) * kept
    for label, bias, options in [("plain", False, {}), ("bias", True, {}), ("scaled", False, dict(scale=0.25)),
                                 ("softcap", False, dict(softcap=3.0))]:
        add("losses", label, "label_logprobs", [rand(7, 16), rand(37, 16), labels, rand(37) if bias else None],
            lambda h, w, y, b: logprobs(h, w, y, b, **options), losses=(0, 1, 2) if bias or options else (0,), **options)


def products():
    add("products", "linear", "linear", [rand(5, 24), rand(17, 24), None], lambda x, w, _: F.linear(x, w))
    add("products", "linear-bias", "linear", [rand(9, 13), rand(8, 13), rand(8)], F.linear)
    for label, ta, tb in [("nn", False, False), ("tn", True, False), ("nt", False, True), ("tt", True, True)]:
        a, b = rand(*((5, 4) if ta else (4, 5))), rand(*((6, 5) if tb else (5, 6)))
        add("products", f"matmul-{label}", "matmul", [a, b],
            lambda a, b: (a.T if ta else a) @ (b.T if tb else b), transpose_a=ta, transpose_b=tb)
    add("products", "matmul-batches", "matmul", [rand(2, 3, 4, 5), rand(2, 3, 6, 5)], lambda a, b: a @ b.mT, transpose_b=True)
    expert = torch.tensor([2, 0, 2, 1, 0, 2], dtype=torch.int32)
    add("products", "expert_linear", "expert_linear", [rand(6, 10), expert, rand(4, 7, 10)],
        lambda x, e, w: torch.einsum("rk,rnk->rn", x, w[e.long()]))


def rows():
    ids = torch.tensor([4, 0, 4, -1, 7, 2], dtype=torch.int32)
    kept, there = ids.long().clamp(min=0), (ids >= 0).double()[:, None]
    add("rows", "embedding", "embedding", [rand(8, 5), ids], lambda t, i: F.embedding(kept, t) * there)
    add("rows", "scatter_add_rows", "scatter_add_rows", [rand(6, 5), ids],
        lambda x, i: torch.zeros(8, 5).double().index_add(0, kept, x * there), rows=8)
    columns = torch.tensor([[1, 4, 0], [3, 3, 5]], dtype=torch.int32)
    add("rows", "gather_columns", "gather_columns", [rand(2, 6), columns], lambda x, c: x.gather(1, c.long()))
    add("rows", "scatter_columns", "scatter_columns", [rand(2, 3), columns],
        lambda x, c: torch.zeros(2, 6).double().scatter_add(1, c.long(), x), width=6)


def convolutions():
    for label, channels, out, length, kernel, stride, padding, dilation in [
            ("plain", 3, 4, 12, 3, 1, 1, 1), ("whisper", 5, 6, 17, 3, 2, 1, 1), ("dilated", 2, 3, 15, 3, 1, 2, 2)]:
        add("convolutions", f"conv1d-{label}", "~conv1d", [rand(channels, length), rand(out, channels, kernel), rand(out)],
            lambda x, w, b: F.conv1d(x[None], w, b, stride, padding, dilation)[0],
            kernel=[kernel], stride=[stride], padding=[padding], dilation=[dilation])
    for label, channels, out, size, kernel, stride, padding, dilation in [
            ("patches", 3, 5, (12, 8), (4, 4), (4, 4), (0, 0), (1, 1)), ("same", 2, 3, (7, 6), (3, 3), (1, 1), (1, 1), (1, 1)),
            ("uneven", 2, 3, (9, 11), (3, 2), (2, 3), (1, 0), (2, 1))]:
        settings = dict(kernel=list(kernel), stride=list(stride), padding=list(padding), dilation=list(dilation))
        add("convolutions", f"conv2d-{label}", "~conv2d", [rand(channels, *size), rand(out, channels, *kernel), rand(out)],
            lambda x, w, b: F.conv2d(x[None], w, b, stride, padding, dilation)[0], **settings)
        add("convolutions", f"unfold-{label}", "unfold", [rand(channels, *size)],
            lambda x: F.unfold(x[None], kernel, dilation, padding, stride)[0].T, **settings)


def shapes():
    x = rand(3, 4, 5)
    add("shapes", "reshape", "reshape", [x], lambda x: x.reshape(5, -1), shape=[5, -1])
    add("shapes", "transpose", "transpose", [x], lambda x: x.permute(2, 0, 1), permutation=[2, 0, 1])
    add("shapes", "slice", "slice", [x], lambda x: x[:, 1:3], axis=1, start=1, end=3)
    add("shapes", "slice-last", "slice", [x], lambda x: x[..., 2:5], axis=-1, start=2, end=5)
    add("shapes", "slice_gradient", "slice_gradient", [rand(3, 2, 5)], lambda x: F.pad(x, (0, 0, 1, 1)), differentiable=[],
        shape=[3, 4, 5], axis=1, start=1, end=3)
    add("shapes", "concat", "concat", [rand(3, 2), rand(3, 0), rand(3, 4)], lambda *parts: torch.cat(parts, 1), axis=1)
    add("shapes", "broadcast", "broadcast", [rand(4, 1)], lambda x: x.broadcast_to(3, 4, 5), shape=[3, 4, 5])
    add("shapes", "detach", "detach", [x], lambda x: x.detach(), differentiable=[])
    add("shapes", "cast", "cast", [x], lambda x: x * 1)

    def slope(f):
        def of(dy, x):
            at = x.clone().requires_grad_()
            return torch.autograd.grad(f(at), at, dy)[0]
        return of
    for name, f in {"silu": F.silu, "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh")}.items():
        add("shapes", f"{name}_gradient", f"{name}_gradient", [rand(4, 9), rand(4, 9, scale=3)], slope(f), differentiable=[])
    y = F.softmax(rand(3, 7), -1)
    add("shapes", "softmax_gradient", "softmax_gradient", [rand(3, 7), y],
        lambda dy, y: torch._softmax_backward_data(dy, y, -1, torch.float64), differentiable=[])
    for label, size, kernel, stride, padding, dilation in [
            ("uneven", (9, 11), (3, 2), (2, 3), (1, 0), (2, 1)), ("overlap", (6, 5), (3, 3), (1, 1), (1, 1), (1, 1))]:
        count = F.unfold(torch.zeros(1, 2, *size), kernel, dilation, padding, stride).shape[2]
        add("shapes", f"fold-{label}", "fold", [rand(count, 2 * kernel[0] * kernel[1])],
            lambda x: F.fold(x.T[None], size, kernel, dilation, padding, stride)[0], shape=[2, *size], kernel=list(kernel),
            stride=list(stride), padding=list(padding), dilation=list(dilation))


def adapted():
    add("products", "low_rank_linear", "low_rank_linear", [rand(5, 24), rand(17, 24), rand(5, 3), rand(17, 3), rand(17)],
        lambda x, w, low, up, b: F.linear(x, w, b) + F.linear(low, up))
    add("products", "low_rank_linear-backward", "low_rank_linear_backward_input",
        [rand(5, 17), rand(17, 24), rand(5, 3), rand(3, 24)], lambda dy, w, low, down: dy @ w + low @ down)


def main():
    torch.set_num_threads(1)
    for group in (elementwise, reductions, norms, ropes, attentions, losses, products, rows, convolutions, shapes,
                  ropes_of_each_token, adapted):
        group()
    OUT.mkdir(parents=True, exist_ok=True)
    for group, tensors in GROUPS.items():
        kept = {k: (v.float() if v.is_floating_point() else v.to(torch.int32)).clone().contiguous() for k, v in tensors.items()}
        assert all(torch.isfinite(t).all() for t in kept.values()), group
        save_file(kept, OUT / f"{group}.safetensors")
    lines = ",\n".join(json.dumps(c) for c in CASES)
    (OUT / "cases.json").write_text(f"[\n{lines}\n]\n")
    print(len(CASES), "cases", {p.name: p.stat().st_size for p in sorted(OUT.iterdir())})


if __name__ == "__main__":
    main()
