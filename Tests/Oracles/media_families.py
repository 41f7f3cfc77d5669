"""Tiny random models of sound and images, run by transformers.

    OMP_NUM_THREADS=1 python Tests/Oracles/media_families.py

writes Tests/Goldens/families/{whisper, whisper-bare, clip}/{config.json, model.safetensors, features.safetensors, expected.safetensors,
gradients.json}. features.safetensors holds two items, "0" and "1": log-mel [bands, frames] or pixels [channels, side, side].

expected.safetensors, for i in {0, 1}: ids.i [n] i32; Whisper's states.i [frames / 2, width] of the encoder, and logits.i [n, vocabulary]
(hidden.i [n, width] of the bare model) of ids.i with item i; CLIP's hidden.i and text.i [projection] of ids.i, image.i [projection] and
patches.i of item i. gradients.json: as family_gradients.py has it, of the mean cross-entropy of Whisper's ids.0, and of the sum of
text.i · image.i over CLIP's two pairs.
"""
import json
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file

import families
import family_gradients

WHISPER = dict(
    architectures=["WhisperForConditionalGeneration"], model_type="whisper", vocab_size=96, num_mel_bins=8, d_model=32,
    encoder_layers=2, encoder_attention_heads=4, encoder_ffn_dim=48, decoder_layers=2, decoder_attention_heads=4,
    decoder_ffn_dim=56, max_source_positions=15, max_target_positions=24, activation_function="gelu", scale_embedding=False,
    bos_token_id=1, eos_token_id=2, pad_token_id=2, decoder_start_token_id=3, suppress_tokens=[], begin_suppress_tokens=[])
CLIP = dict(
    architectures=["CLIPModel"], model_type="clip", projection_dim=20,
    text_config=dict(hidden_size=32, intermediate_size=48, num_attention_heads=4, num_hidden_layers=2, vocab_size=96,
                     max_position_embeddings=20, bos_token_id=1, eos_token_id=95, pad_token_id=95),
    vision_config=dict(hidden_size=24, intermediate_size=40, num_attention_heads=3, num_hidden_layers=2, image_size=12,
                       patch_size=5, num_channels=3, hidden_act="gelu"))


def fill(model, seed):
    """As families.fill, with convolutions that keep the scale of their input; an encoder's sinusoids stay."""
    gen = torch.Generator().manual_seed(seed)
    for name, tensor in sorted(model.named_parameters()):
        noise = torch.randn(tensor.shape, generator=gen)
        if name.endswith("encoder.embed_positions.weight") or tensor.dim() == 0:
            continue
        if tensor.dim() == 1 and "bias" in name:
            value = 0.15 * noise
        elif tensor.dim() == 1 and "class_embedding" not in name:
            value = 1 + 0.25 * noise
        elif "embed_" in name or "position_embedding" in name or "token_embedding" in name or tensor.dim() == 1:
            value = 0.6 * noise
        else:
            value = noise * 1.4 / tensor[0].numel() ** 0.5
        with torch.no_grad():
            tensor.copy_(value)


def whisper(model, ids, features):
    """What to keep, and the loss of the first pair."""
    out, loss = {}, None
    for i, (text, item) in enumerate(zip(ids, features)):
        result = model(input_features=item[None], decoder_input_ids=text[None], use_cache=False)
        out[f"states.{i}"] = result.encoder_last_hidden_state[0]
        if hasattr(result, "logits"):
            out[f"logits.{i}"] = result.logits[0]
            if loss is None:
                loss = torch.nn.functional.cross_entropy(result.logits[0, :-1], text[1:])
        else:
            out[f"hidden.{i}"] = result.last_hidden_state[0]
    return out, loss


def clip(model, ids, features):
    out, loss = {}, 0
    for i, (text, item) in enumerate(zip(ids, features)):
        words, image = model.text_model(input_ids=text[None]), model.vision_model(pixel_values=item[None])
        out[f"hidden.{i}"], out[f"patches.{i}"] = words.last_hidden_state[0], image.last_hidden_state[0]
        out[f"text.{i}"] = model.text_projection(words.pooler_output)[0]
        out[f"image.{i}"] = model.visual_projection(image.pooler_output)[0]
        # The model's own answer, of unit length.
        whole = model(input_ids=text[None], pixel_values=item[None])
        for mine, its in [(out[f"text.{i}"], whole.text_embeds), (out[f"image.{i}"], whole.image_embeds)]:
            assert (mine / mine.norm() - its[0]).abs().max() < 1e-6
        loss = loss + out[f"text.{i}"] @ out[f"image.{i}"]
    return out, loss


def build(name, config, cls, run, shape, seed):
    directory = families.ROOT / name
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    torch.manual_seed(seed)
    model = cls._from_config(transformers.AutoConfig.from_pretrained(directory), attn_implementation="eager").float().eval()
    fill(model, seed)
    gen = torch.Generator().manual_seed(seed + 1)
    ids = [torch.randint(4, 94, (n,), generator=gen) for n in (11, 5)]
    if run is clip:
        ids = [torch.cat([text, torch.tensor([95])]) for text in ids]
    features = [torch.randn(shape, generator=gen) for _ in ids]
    with tempfile.TemporaryDirectory() as scratch:
        model.save_pretrained(scratch)
        weights = load_file(f"{scratch}/model.safetensors")
    save_file({k: v.clone() for k, v in weights.items()}, directory / "model.safetensors", metadata={"format": "pt"})
    save_file({str(i): x for i, x in enumerate(features)}, directory / "features.safetensors")
    out, loss = run(model, ids, features)
    assert all(torch.isfinite(t).all() for t in out.values())
    out.update({f"ids.{i}": text.to(torch.int32) for i, text in enumerate(ids)})
    save_file({k: v.detach().contiguous().clone() for k, v in out.items()}, directory / "expected.safetensors",
              metadata={"seed": str(seed)})
    if loss is None:
        return print(f"{name:16} {len(weights)} tensors")
    loss.backward()
    gradients = {k: torch.zeros_like(p) if p.grad is None else p.grad for k, p in model.named_parameters() if p.requires_grad}
    family_gradients.write(name, loss.item(), {k: g for k, g in gradients.items() if k in weights})


def main():
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    build("whisper", WHISPER, transformers.WhisperForConditionalGeneration, whisper, (8, 30), 41)
    build("whisper-bare", dict(WHISPER, architectures=["WhisperModel"], activation_function="relu", scale_embedding=True, encoder_layers=1, decoder_layers=1),
          transformers.WhisperModel, whisper, (8, 30), 42)
    build("clip", CLIP, transformers.CLIPModel, clip, (3, 12, 12), 43)


if __name__ == "__main__":
    main()
