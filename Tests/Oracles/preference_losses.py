"""Values and gradients of the alignment losses on fixed log-probabilities.

    OMP_NUM_THREADS=1 python Tests/Oracles/preference_losses.py

writes Tests/Goldens/losses/preference.json. Every loss is written here from its formula in float64; where trl 1.16 has the
loss, trl's own trainer code is run on the same numbers and must agree ("judge": "trl"); the rest say "formula".

inputs: per pair, summed log-probabilities of the answers under policy and reference, their lengths in tokens, and for the
unpaired losses a label and the log-probabilities of a mismatched answer. Each case has its settings, the loss of every row,
the loss of the batch (their mean unless the case says otherwise) and the gradient of the batch loss by policy log-probability.
"""
import collections
import json
import math
import pathlib
import types

import torch
import torch.nn.functional as F
from trl.experimental.cpo.cpo_trainer import CPOTrainer
from trl.experimental.orpo.orpo_trainer import ORPOTrainer
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.kto_trainer import KTOTrainer

OUT = pathlib.Path(__file__).resolve().parent.parent / "Goldens" / "losses" / "preference.json"
D = torch.float64
INPUTS = dict(
    policy_chosen=[-12.5, -40.25, -7.125, -88.0, -3.5, -21.0],
    policy_rejected=[-15.0, -33.5, -9.75, -60.5, -3.25, -95.0],
    ref_chosen=[-13.75, -38.0, -7.5, -97.25, -3.375, -30.5],
    ref_rejected=[-17.25, -35.75, -9.0, -61.0, -3.625, -35.0],
    chosen_length=[9, 24, 5, 40, 3, 11],
    rejected_length=[10, 20, 6, 31, 3, 32],
    # unpaired: a row is the policy_chosen entry when desirable, else the policy_rejected one
    desirable=[True, False, True, True, False, False],
    policy_mismatched=[-30.0, -55.5, -18.0, -120.0, -11.0, -70.0],
    ref_mismatched=[-31.5, -54.0, -19.25, -123.5, -10.5, -71.0],
    rewards_chosen=[1.25, -0.5, 0.0, 3.5, -2.0, 0.75],
    rewards_rejected=[0.5, 0.25, 0.0, -4.0, -2.5, 8.0],
    margins=[0.0, 0.5, 1.0, 0.25, 0.0, 2.0],
)
T = {k: torch.tensor(v, dtype=None if k == "desirable" else D) for k, v in INPUTS.items()}
logsig, sig = F.logsigmoid, torch.sigmoid


def dpo_rows(kind, c, r, o):
    """Loss of every pair. c, r: policy log-probabilities; o: settings."""
    b, ls = o["beta"], o["label_smoothing"]
    hc, hr = c - T["ref_chosen"], r - T["ref_rejected"]
    score = {
        "reverse_kl": lambda h: h,
        "forward_kl": lambda h: 1 - torch.exp(-h),
        "js_divergence": lambda h: math.log(2) + logsig(h),
        "alpha_divergence": lambda h: (torch.exp((o["f_alpha"] - 1) * h) - 1) / (o["f_alpha"] - 1),
    }[o["f_divergence"]]
    x = b * (score(hc) - score(hr))
    nc, nr = T["chosen_length"], T["rejected_length"]
    smooth = lambda y: -(1 - ls) * logsig(y) - ls * logsig(-y)
    if kind == "sigmoid":
        return smooth(x)
    if kind == "robust":
        return (-(1 - ls) * logsig(x) + ls * logsig(-x)) / (1 - 2 * ls)
    if kind == "exo_pair":
        e = max(ls, 1e-3)
        return sig(x) * (logsig(x) - math.log(1 - e)) + sig(-x) * (logsig(-x) - math.log(e))
    if kind == "hinge":
        return torch.relu(1 - x)
    if kind == "ipo":
        return (hc / nc - hr / nr - 1 / (2 * b)) ** 2
    if kind == "bco_pair":
        return -logsig(b * hc - o["delta"]) - logsig(-(b * hr - o["delta"]))
    if kind == "sppo_hard":
        return (hc - 0.5 / b) ** 2 + (hr + 0.5 / b) ** 2
    if kind == "nca_pair":
        return -logsig(b * hc) - 0.5 * logsig(-b * hc) - 0.5 * logsig(-b * hr)
    if kind == "aot":
        return smooth(b * ((c - r).sort().values - (T["ref_chosen"] - T["ref_rejected"]).sort().values))
    if kind == "aot_unpaired":
        return smooth(b * (hc.sort().values - hr.sort().values))
    if kind == "apo_zero":
        return 1 - sig(b * hc) + sig(b * hr)
    if kind == "apo_down":
        return sig(b * hc) + 1 - sig(b * (hc - hr))
    if kind == "discopop":
        m = sig(x / o["discopop_tau"])
        return -logsig(x) * (1 - m) + torch.exp(-x) * m
    if kind == "sigmoid_norm":
        return -logsig(b * (hc / nc - hr / nr))
    raise KeyError(kind)


class Anything:
    """Stands where trl's trainer keeps its accelerator and metrics."""
    device = "cpu"

    def gather(self, x):
        return x

    gather_for_metrics = gather


def fake_output(summed, lengths):
    """Per-token log-probabilities [rows, width] that add up to the given sums over the given lengths."""
    width = int(lengths.max())
    mask = (torch.arange(width)[None] < lengths[:, None]).to(summed.dtype)
    per_token = summed[:, None] / lengths[:, None].to(summed.dtype) * mask
    zeros = torch.zeros_like(per_token)
    return types.SimpleNamespace(log_probs=per_token, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool(),
                                 log_sum_sq_probs=zeros, aux_loss=None), mask


def trl_dpo(kind, c, r, o):
    lengths = torch.cat([T["chosen_length"], T["rejected_length"]]).long()
    output, mask = fake_output(torch.cat([c, r]), lengths)
    mask = torch.cat([torch.zeros(len(mask), 1), mask], 1).long()
    trainer = types.SimpleNamespace(
        model=types.SimpleNamespace(training=True), accelerator=Anything(), aux_loss_enabled=False, ld_alpha=None,
        precompute_ref_logps=True, f_divergence_type=o["f_divergence"], f_alpha_divergence_coef=o.get("f_alpha", 0.5),
        loss_types=[kind], loss_weights=[1.0], beta=o["beta"],
        label_smoothing=max(o["label_smoothing"], 1e-3) if kind == "exo_pair" else o["label_smoothing"],
        args=types.SimpleNamespace(discopop_tau=o.get("discopop_tau")), use_weighting=False, _total_train_tokens=0,
        _tp_size=1, _metrics=collections.defaultdict(lambda: collections.defaultdict(list)))
    inputs = dict(input_ids=torch.ones_like(mask), attention_mask=torch.ones_like(mask), completion_mask=mask,
                  ref_chosen_logps=T["ref_chosen"].to(c.dtype), ref_rejected_logps=T["ref_rejected"].to(c.dtype))
    return DPOTrainer._compute_loss(trainer, lambda **_: output, inputs, False)


def leaves(dtype=D, *names):
    return [T[n].to(dtype).clone().requires_grad_() for n in names]


def case(name, kind, options, rows, names, judge=None, extra=None):
    """One entry: runs the formula, its gradient and, if there is one, the judge."""
    variables = leaves(D, *names)
    per_row = rows(*variables)
    loss = per_row.mean()
    grads = torch.autograd.grad(loss, variables, allow_unused=True)
    entry = dict(method=name, loss_type=kind, **options, rows=per_row.tolist(), loss=loss.item(),
                 gradients={n: torch.zeros_like(v).tolist() if g is None else g.tolist() for n, v, g in zip(names, variables, grads)},
                 judge="formula")
    if judge:
        given = leaves(torch.float32 if options.get("f_divergence") == "alpha_divergence" else D, *names)
        its = judge(*given)
        theirs = torch.autograd.grad(its, given, allow_unused=True)
        tolerance = 1e-4 if given[0].dtype == torch.float32 else 1e-6  # trl keeps some constants in f32
        assert abs(its.item() - loss.item()) < tolerance * (1 + abs(loss.item())), (name, kind, its.item(), loss.item())
        for a, b in zip(theirs, grads):
            if a is not None and b is not None:
                assert (a - b).abs().max() < tolerance * (1 + b.abs().max()), (name, kind, a, b)
        entry["judge"] = "trl"
    entry.update(extra or {})
    return entry


def dpo_cases():
    pair = ["policy_chosen", "policy_rejected"]
    plain = dict(beta=0.1, label_smoothing=0.0, f_divergence="reverse_kl")
    settings = [
        *[(k, {}) for k in ("sigmoid", "hinge", "ipo", "nca_pair", "sppo_hard", "aot", "aot_unpaired", "apo_zero",
                            "apo_down", "sigmoid_norm", "exo_pair")],
        ("sigmoid", dict(beta=0.5)), ("sigmoid", dict(label_smoothing=0.1)), ("robust", dict(label_smoothing=0.1)),
        ("exo_pair", dict(label_smoothing=0.05)), ("aot", dict(label_smoothing=0.1)),
        ("bco_pair", dict(delta=0.0)), ("bco_pair", dict(delta=0.375)), ("discopop", dict(discopop_tau=0.05)),
        ("sigmoid", dict(f_divergence="js_divergence")),
        ("sigmoid", dict(f_divergence="alpha_divergence", f_alpha=0.5)),
        ("sigmoid", dict(f_divergence="forward_kl")),
    ]
    for kind, more in settings:
        o = {**plain, **more}
        # trl 1.16 neither smooths plain sigmoid nor keeps the running mean of bco_pair.
        judged = not (kind == "sigmoid" and o["label_smoothing"]) and not o.get("delta")
        yield case("dpo", kind, o, lambda c, r: dpo_rows(kind, c, r, o), pair,
                   (lambda c, r: trl_dpo(kind, c, r, o)) if judged else None)


def cpo_cases():
    for kind, o in [("sigmoid", dict(beta=0.1)), ("hinge", dict(beta=0.1)), ("ipo", dict(beta=0.1)),
                    ("simpo", dict(beta=2.0, simpo_gamma=1.0)), ("simpo", dict(beta=2.0, simpo_gamma=0.5)),
                    ("sigmoid", dict(beta=0.1, label_smoothing=0.2))]:
        ls = o.get("label_smoothing", 0.0)
        mean = kind in ("simpo", "ipo")  # these take token means
        gamma = o.get("simpo_gamma", 0.0)

        def scaled(c, r):
            return (c / T["chosen_length"], r / T["rejected_length"]) if mean else (c, r)

        def rows(c, r):
            c, r = scaled(c, r)
            x = o["beta"] * (c - r) - gamma
            if kind == "hinge":
                return torch.relu(1 - x)
            if kind == "ipo":
                return (c - r - 1 / (2 * o["beta"])) ** 2
            return -(1 - ls) * logsig(x) - ls * logsig(-x)

        stub = types.SimpleNamespace(alpha=0.0, beta=o["beta"], loss_type=kind, simpo_gamma=gamma, label_smoothing=ls,
                                     accelerator=Anything())
        yield case("cpo", kind, {"label_smoothing": ls, **o}, rows, ["policy_chosen", "policy_rejected"],
                   lambda c, r: CPOTrainer.cpo_loss(stub, *scaled(c, r))[0].mean(),
                   dict(note="the likelihood term cpo_alpha * NLL(chosen) is added by the trainer and not counted here"))


def orpo_case():
    beta = 0.1

    def log_odds(p):
        return p - torch.log1p(-torch.exp(p))

    def rows(c, r):
        c, r = c / T["chosen_length"], r / T["rejected_length"]
        return -c - beta * logsig(log_odds(c) - log_odds(r))

    def judge(c, r):
        stub = types.SimpleNamespace(beta=beta, accelerator=Anything())
        c, r = c / T["chosen_length"], r / T["rejected_length"]
        return (-c).mean() - ORPOTrainer.odds_ratio_loss(stub, c, r)[0].mean()

    return case("orpo", "orpo", dict(beta=beta), rows, ["policy_chosen", "policy_rejected"], judge,
                dict(note="likelihood term is the mean over rows of the chosen answer's mean token NLL; "
                          "a trainer that counts the prompt or weighs by tokens adds another"))


def kto_cases():
    good = T["desirable"]
    ref = torch.where(good, T["ref_chosen"], T["ref_rejected"])

    for kind, o in [("kto", dict(beta=0.1, desirable_weight=1.0, undesirable_weight=1.0)),
                    ("kto", dict(beta=0.1, desirable_weight=1.5, undesirable_weight=0.75)),
                    ("apo_zero_unpaired", dict(beta=0.1, desirable_weight=1.0, undesirable_weight=1.0))]:
        z = (T["policy_mismatched"] - T["ref_mismatched"]).mean().clamp(min=0).item() if kind == "kto" else 0.0

        def rows(c, r):
            h = torch.where(good, c, r) - ref
            win = o["desirable_weight"] * (1 - sig(o["beta"] * (h - z)))
            lose = o["undesirable_weight"] * (1 - sig(o["beta"] * (z - h)))
            return torch.where(good, win, lose)

        yield case("kto", kind, o, rows, ["policy_chosen", "policy_rejected"],
                   lambda c, r: trl_kto(kind, torch.where(good, c, r), ref, o), dict(kl=z))


def trl_kto(kind, policy, ref, o):
    lengths = torch.where(T["desirable"], T["chosen_length"], T["rejected_length"]).long()
    output, mask = fake_output(policy, lengths)
    mask = torch.cat([torch.zeros(len(mask), 1), mask], 1).long()
    trainer = types.SimpleNamespace(
        model=types.SimpleNamespace(training=True), accelerator=Anything(), aux_loss_enabled=False,
        _compute_kl_logps=lambda *_: T["policy_mismatched"], precompute_ref_logps=True, calculate_KL=kind == "kto",
        loss_type=kind, beta=o["beta"], desirable_weight=o["desirable_weight"],
        undesirable_weight=o["undesirable_weight"], _total_train_tokens=0, _tp_size=1,
        _metrics=collections.defaultdict(lambda: collections.defaultdict(list)))
    inputs = dict(input_ids=torch.ones_like(mask), attention_mask=torch.ones_like(mask), completion_mask=mask,
                  label=T["desirable"], ref_logps=ref, ref_KL_logps=T["ref_mismatched"])
    return KTOTrainer._compute_loss(trainer, lambda **_: output, inputs, False)


def reward_cases():
    names = ["rewards_chosen", "rewards_rejected"]
    yield case("rm", "bradley_terry", {}, lambda c, r: -logsig(c - r), names)
    yield case("rm", "margin", {}, lambda c, r: -logsig(c - r - T["margins"]), names)
    yield case("rm", "centred", dict(center_rewards_coefficient=0.01),
               lambda c, r: -logsig(c - r) + 0.01 * (c + r) ** 2, names)


if __name__ == "__main__":
    torch.set_num_threads(1)
    cases = [*dpo_cases(), *cpo_cases(), orpo_case(), *kto_cases(), *reward_cases()]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(dict(inputs=INPUTS, cases=cases), indent=1) + "\n")
    for c in cases:
        print(f"{c['method']:5} {c['loss_type']:18} {c['loss']:10.6f} {c['judge']}")
