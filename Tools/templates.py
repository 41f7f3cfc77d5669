"""Writes Resources/templates.json: the chat formats that are known by name, as Jinja texts.

    python Tools/templates.py

A format is a handful of texts around what is said; the table below has them, taken from the models' own documentation
and tokenizer files. Most become Jinja by one scheme; the few that do more than surround texts are written out.

Fields of a format: `bos` and `system` come before the first turn (`system` is the texts before and after the system
message), `user` surrounds a question, `head` begins an answer, `end` ends the last answer, `sep` an answer that others
follow. EOS stands for the tokenizer's own end token, BOS for its beginning, AUTO for a beginning that stands only
where the tokenizer adds one by itself.
"""
import json
import pathlib

BOS, EOS, AUTO, TODAY = "\ue000", "\ue001", "\ue002", "\ue003"
HELPFUL = "You are a helpful assistant."
VARIABLES = {BOS: "bos_token", EOS: "eos_token", AUTO: "auto_bos | default('', true)",
             TODAY: "strftime_now('%d %b %Y')"}


def literal(text):
    """A Jinja expression for a text with BOS, EOS and AUTO in it."""
    parts, plain = [], ""

    def flush():
        if plain:
            parts.append("'" + plain.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'")

    for character in text:
        if character in VARIABLES:
            flush()
            plain = ""
            expression = VARIABLES[character]
            parts.append("(" + expression + ")" if "|" in expression else expression)
        else:
            plain += character
    flush()
    return " + ".join(parts) or "''"


def put(text):
    return "{{- " + literal(text) + " -}}" if text else ""


HEAD = """{%- set turns = messages -%}
{%- set system = default_system | default('', true) -%}
{%- if messages and messages[0].role == 'system' -%}
{%- set system = messages[0].content -%}
{%- set turns = messages[1:] -%}
{%- endif -%}
"""
LAST_USER = """{%- set ns = namespace(last=-1) -%}
{%- for m in turns -%}{%- if m.role == 'user' -%}{%- set ns.last = loop.index0 -%}{%- endif -%}{%- endfor -%}
"""
HERMES = ("\n\n# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with "
          "function signatures within <tools></tools> XML tags:\n<tools>",
          "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "
          "<tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": "
          "<args-json-object>}\n</tool_call>")
TOOL_CALLS = ("{%- set calls -%}{%- for call in m.tool_calls or [] -%}\n{{- ('\\n' if text or not loop.first else '') + "
              "'<tool_call>\\n{\"name\": ' + call.function.name | tojson + ', \"arguments\": ' + "
              "(call.function.arguments if call.function.arguments is string else call.function.arguments | tojson) + "
              "'}\\n</tool_call>' -}}\n{%- endfor -%}{%- endset -%}\n{%- set text = text + calls -%}\n")


def scheme(bos="", system=("", ""), user=("", ""), head="", end=EOS, sep=None, thinking=None, hermes=False,
           system_always=False, rounds=None):
    sep = end if sep is None else sep
    out = HEAD
    if thinking is not None:
        out += LAST_USER
    if hermes:
        out += ("{%- if tools -%}\n{%- set signatures -%}\n{%- for tool in tools -%}{{- '\\n' + tool | tojson -}}{%- endfor -%}\n"
                "{%- endset -%}\n{%- set system = system + " + literal(HERMES[0]) + " + signatures + " + literal(HERMES[1])
                + " -%}\n{%- endif -%}\n")
    else:
        out += "{%- if tools -%}{{- raise_exception('this chat format has no place for tools') -}}{%- endif -%}\n"
    out += put(bos) + "\n" if bos else ""
    surrounded = put(system[0]) + "{{- system -}}" + put(system[1])
    out += surrounded + "\n" if system_always else "{%- if system -%}" + surrounded + "{%- endif -%}\n"
    out += "{%- for m in turns -%}\n{%- if m.role == 'user' -%}\n"
    if rounds is not None:
        out += "{{- '[Round ' + (turns[:loop.index0] | selectattr('role', 'equalto', 'user') | list | length + %d) | string + ']' -}}\n" % rounds
    out += put(user[0]) + "{{- m.content -}}" + put(user[1]) + "\n"
    out += "{%- elif m.role == 'assistant' -%}\n{%- set text = m.content -%}\n"
    if hermes:
        out += TOOL_CALLS
    if thinking is not None:
        history = literal(thinking.get("history", ""))
        out += ("{%- if loop.index0 < ns.last -%}\n{%- set text = " + history + " + text.split('</think>')[-1].lstrip('\\n') -%}\n"
                "{%- elif m.reasoning_content -%}\n{%- set text = '<think>\\n' + m.reasoning_content + '\\n</think>\\n\\n' + text -%}\n"
                "{%- elif '</think>' not in text -%}\n{%- set text = " + literal(thinking.get("off", "")) + " + text -%}\n"
                "{%- endif -%}\n")
    stripped = sep.rstrip("\n ")
    out += put(head) + "{%- generation -%}{{- text -}}"
    if stripped == end.rstrip("\n "):
        out += put(stripped) + "{%- endgeneration -%}"
    else:
        out += "{%- if loop.last -%}" + put(end.rstrip("\n ")) + "{%- else -%}" + put(stripped) + "{%- endif -%}{%- endgeneration -%}"
    after, tail = sep[len(stripped):], end[len(end.rstrip("\n ")):]
    if after == tail:
        out += put(after)
    else:
        out += "{%- if loop.last -%}" + put(tail) + "{%- else -%}" + put(after) + "{%- endif -%}"
    out += "\n"
    if hermes:
        out += ("{%- elif m.role == 'tool' -%}\n{%- if loop.first or turns[loop.index0 - 1].role != 'tool' -%}" + put(user[0].rstrip("\n"))
                + "{%- endif -%}{{- '\\n<tool_response>\\n' + m.content + '\\n</tool_response>' -}}"
                "{%- if loop.last or turns[loop.index0 + 1].role != 'tool' -%}" + put(user[1]) + "{%- endif -%}\n")
    # A system message in the middle of a talk, where the format can hold one anywhere.
    if system[0] and system[1] and not system_always and bos not in system[0]:
        out += "{%- elif m.role == 'system' -%}\n" + put(system[0]) + "{{- m.content -}}" + put(system[1]) + "\n"
    out += "{%- else -%}\n{{- raise_exception('this chat format has no role ' + m.role) -}}\n{%- endif -%}\n{%- endfor -%}\n"
    out += "{%- if add_generation_prompt -%}\n" + put(head)
    if thinking is not None:
        on, off = thinking.get("on", ""), thinking.get("off", "")
        out += ("{%- if enable_thinking is defined and enable_thinking is false -%}" + put(off) + "{%- else -%}" + put(on) + "{%- endif -%}")
    return out + "\n{%- endif -%}\n"


def chatml(**changes):
    fields = dict(bos=AUTO, system=("<|im_start|>system\n", "<|im_end|>\n"), user=("<|im_start|>user\n", "<|im_end|>\n"),
                  head="<|im_start|>assistant\n", end="<|im_end|>\n")
    return scheme(**(fields | changes))


def llama3(prefix=""):
    head = "<|start_header_id|>{}<|end_header_id|>\n\n"
    return scheme(bos="<|begin_of_text|>", system=(head.format("system") + prefix, "<|eot_id|>"), end="<|eot_id|>",
                  user=(head.format("user"), "<|eot_id|>"), head=head.format("assistant"), system_always=bool(prefix))


def deepseek(**thinking):
    return scheme(bos="<｜begin▁of▁sentence｜>", user=("<｜User｜>", ""), head="<｜Assistant｜>", end="<｜end▁of▁sentence｜>",
                  thinking=thinking or None)


def glm(break_="\n", **thinking):
    # The next turn's own tag ends an answer; after the last one the model writes <|user|>.
    return scheme(bos="[gMASK]<sop>", system=("<|system|>" + break_, ""), user=("<|user|>" + break_, ""),
                  head="<|assistant|>" + break_, end="<|user|>", sep="", thinking=thinking or None)


# Formats that do more than surround texts.
LLAMA2 = HEAD + """{%- for m in turns -%}
{%- if m.role == 'user' -%}
{{- '<s>[INST] ' -}}
{%- if loop.first and system -%}{{- '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' -}}{%- endif -%}
{{- m.content + ' [/INST]' -}}
{%- elif m.role == 'assistant' -%}
{%- generation -%}{{- ' ' + m.content + ' </s>' -}}{%- endgeneration -%}
{%- else -%}
{{- raise_exception('this chat format has no role ' + m.role) -}}
{%- endif -%}
{%- endfor -%}
"""
GEMMA3 = HEAD + """{{- '<bos>' -}}
{%- for m in turns -%}
{%- if m.role == 'user' -%}
{{- '<start_of_turn>user\\n' + (system + '\\n\\n' if loop.first and system else '') + m.content | trim + '<end_of_turn>\\n' -}}
{%- elif m.role == 'assistant' -%}
{{- '<start_of_turn>model\\n' -}}{%- generation -%}{{- m.content | trim + '<end_of_turn>' -}}{%- endgeneration -%}{{- '\\n' -}}
{%- else -%}
{{- raise_exception('this chat format has no role ' + m.role) -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\\n' -}}{%- endif -%}
"""
# The system message goes before the last question.
MISTRAL_NEMO = HEAD + """{%- if tools -%}{{- raise_exception('this chat format has no place for tools') -}}{%- endif -%}
{%- set ns = namespace(last=-1) -%}
{%- for m in turns -%}{%- if m.role == 'user' -%}{%- set ns.last = loop.index0 -%}{%- endif -%}{%- endfor -%}
{{- '<s>' -}}
{%- for m in turns -%}
{%- if m.role == 'user' -%}
{{- '[INST]' + (system + '\\n\\n' if loop.index0 == ns.last and system else '') + m.content + '[/INST]' -}}
{%- elif m.role == 'assistant' -%}
{%- generation -%}{{- m.content + '</s>' -}}{%- endgeneration -%}
{%- else -%}
{{- raise_exception('this chat format has no role ' + m.role) -}}
{%- endif -%}
{%- endfor -%}
"""
GPT_OSS = HEAD + """{{- '<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\\nKnowledge cutoff: 2024-06\\nCurrent date: ' + strftime_now('%Y-%m-%d') + '\\n\\nReasoning: ' + reasoning_effort | default('medium') + '\\n\\n# Valid channels: analysis, commentary, final. Channel must be included for every message.<|end|>' -}}
{%- if tools -%}{{- raise_exception('this chat format has no place for tools') -}}{%- endif -%}
{%- if system -%}{{- '<|start|>developer<|message|># Instructions\\n\\n' + system + '\\n\\n<|end|>' -}}{%- endif -%}
{%- for m in turns -%}
{%- if m.role == 'user' -%}
{{- '<|start|>user<|message|>' + m.content + '<|end|>' -}}
{%- elif m.role == 'assistant' -%}
{{- '<|start|>assistant' -}}
{%- generation -%}
{%- if m.reasoning_content and loop.last -%}{{- '<|channel|>analysis<|message|>' + m.reasoning_content + '<|end|><|start|>assistant' -}}{%- endif -%}
{{- '<|channel|>final<|message|>' + m.content + ('<|return|>' if loop.last else '<|end|>') -}}
{%- endgeneration -%}
{%- else -%}
{{- raise_exception('this chat format has no role ' + m.role) -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start|>assistant' -}}{%- endif -%}
"""
ALPACA = HEAD + """{{- auto_bos | default('', true) -}}
{%- if system -%}{{- system + '\\n\\n' -}}{%- endif -%}
{%- for m in turns -%}
{%- if m.role == 'user' -%}
{{- '### Instruction:\\n' + m.content + '\\n\\n### Response:\\n' -}}
{%- elif m.role == 'assistant' -%}
{%- generation -%}{{- m.content + eos_token -}}{%- endgeneration -%}{{- '\\n\\n' if not loop.last -}}
{%- else -%}
{{- raise_exception('this chat format has no role ' + m.role) -}}
{%- endif -%}
{%- endfor -%}
"""

QWEN2_5 = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
INTERNLM = ("You are an AI assistant whose name is InternLM (书生·浦语).\n- InternLM (书生·浦语) is a conversational language model "
            "that is developed by Shanghai AI Laboratory (上海人工智能实验室). It is designed to be helpful, honest, and harmless.\n"
            "- InternLM (书生·浦语) can understand and communicate fluently in the language chosen by the user such as English and 中文.")
VICUNA = ("A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
          "detailed, and polite answers to the user's questions.")
ALPACA_SYSTEM = ("Below is an instruction that describes a task. Write a response that appropriately completes the request.")
EMPTY = "<think>\n\n</think>\n\n"
IM = "<|im_end|>"
COHERE = ("<|START_OF_TURN_TOKEN|><|{}_TOKEN|>", "<|END_OF_TURN_TOKEN|>")
MOON = dict(system=("<|im_system|>system<|im_middle|>", IM), user=("<|im_user|>user<|im_middle|>", IM),
            head="<|im_assistant|>assistant<|im_middle|>", end=IM)
HUNYUAN = dict(bos="<｜hy_begin▁of▁sentence｜>", system=("", "<｜hy_place▁holder▁no▁3｜>"), user=("<｜hy_User｜>", ""),
               head="<｜hy_Assistant｜>", end="<｜hy_place▁holder▁no▁2｜>")
LING = dict(system=("<role>SYSTEM</role>", ""), user=("<role>HUMAN</role>", ""), head="<role>ASSISTANT</role>", end="<|endoftext|>", sep="")
LING2 = dict(system=("<role>SYSTEM</role>", "<|role_end|>"), user=("<role>HUMAN</role>", "<|role_end|>"),
             head="<role>ASSISTANT</role>", end="<|role_end|>")

# name: (Jinja text, default system, texts at which an answer ends; None is the tokenizer's own end token alone)
TEMPLATES = {
    "default": (scheme(bos=AUTO, system=("", "\n\n"), user=("### Human:\n", "\n\n"), head="### Assistant:\n", sep="\n\n"), HELPFUL, None),
    "dummy": (scheme(bos=AUTO, system=("", "")), None, None),
    "alpaca": (ALPACA, ALPACA_SYSTEM, None),
    "vicuna": (scheme(bos=AUTO, system=("", " "), user=("USER: ", " "), head="ASSISTANT:", end="</s>"), VICUNA, ["</s>"]),
    "chatml": (chatml(hermes=True), None, [IM]),
    "qwen": (chatml(hermes=True), HELPFUL, [IM]),
    "qwen2_5": (chatml(hermes=True), QWEN2_5, [IM]),
    "qwen2_5_math": (chatml(hermes=True), "Please reason step by step, and put your final answer within \\boxed{}.", [IM]),
    "qwen3": (chatml(hermes=True, thinking={"off": EMPTY}), None, [IM]),
    "qwen3_thinking": (chatml(hermes=True, thinking={"on": "<think>\n"}), None, [IM]),
    "qwen3_nothinking": (chatml(hermes=True), None, [IM]),
    "qwq": (chatml(hermes=True, thinking={"on": "<think>\n"}), None, [IM]),
    "qwq_preview": (chatml(), "You are a helpful and harmless assistant. You are Qwen developed by Alibaba. You should think step-by-step.", [IM]),
    "mimo_rl": (chatml(), "You are MiMo, an AI assistant developed by Xiaomi.", [IM]),
    "yi_coder": (chatml(), HELPFUL, [IM]),
    "dbrx": (chatml(), None, [IM]),
    "minimind": (chatml(), HELPFUL, [IM]),
    "internlm": (scheme(bos="<s>", system=("<|System|>:", "\n"), user=("<|User|>:", "\n"), head="<|Bot|>:", end="<eoa>\n"), INTERNLM, ["<eoa>"]),
    "internlm2": (chatml(), INTERNLM, [IM]),
    "minicpm5": (chatml(thinking={"on": "<think>\n", "off": EMPTY}), None, [IM]),
    "llama": (LLAMA2, None, ["</s>"]),
    "llama3": (llama3(), None, ["<|eot_id|>"]),
    "llama3_2": (llama3("Cutting Knowledge Date: December 2023\nToday Date: " + TODAY + "\n\n"), None, ["<|eot_id|>", "<|eom_id|>"]),
    "mistral_nemo": (MISTRAL_NEMO, None, ["</s>"]),
    "mistral_2501": (scheme(bos="<s>", system=("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"), user=("[INST]", "[/INST]"), end="</s>"), None, ["</s>"]),
    "devstral": (scheme(bos="<s>", system=("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"), user=("[INST]", "[/INST]"), end="</s>"), None, ["</s>"]),
    "zephyr": (scheme(system=("<|system|>\n", "</s>\n"), user=("<|user|>\n", "</s>\n"), head="<|assistant|>\n", end="</s>\n"), None, ["</s>"]),
    "gemma": (scheme(bos="<bos>", system=("<start_of_turn>system\n", "<end_of_turn>\n"), user=("<start_of_turn>user\n", "<end_of_turn>\n"),
                     head="<start_of_turn>model\n", end="<end_of_turn>\n"), None, ["<end_of_turn>"]),
    "gemma3_text": (GEMMA3, None, ["<end_of_turn>"]),
    "phi3": (scheme(bos=AUTO, system=("<|system|>\n", "<|end|>\n"), user=("<|user|>\n", "<|end|>\n"), head="<|assistant|>\n", end="<|end|>\n"), None, ["<|end|>"]),
    "phi4": (scheme(bos=AUTO, system=("<|im_start|>system<|im_sep|>", IM), user=("<|im_start|>user<|im_sep|>", IM),
                    head="<|im_start|>assistant<|im_sep|>", end=IM), None, [IM]),
    "chatglm2": (scheme(bos=AUTO, user=("\n\n问：", "\n\n"), head="答：", sep="\n\n", rounds=1), None, None),
    "chatglm4": (scheme(bos=AUTO, system=("<|system|>\n", ""), user=("<|user|>\n", ""), head="<|assistant|>\n", end="<|user|>", sep=""), None, ["<|user|>", "<|observation|>"]),
    "glm4": (glm(), None, ["<|user|>", "<|observation|>"]),
    "glm4_5": (glm(off="<think></think>\n", history="<think></think>\n"), None, ["<|user|>", "<|observation|>"]),
    "glm4_7": (glm("", off="<think></think>\n", history="<think></think>\n"), None, ["<|user|>", "<|observation|>"]),
    "deepseek": (scheme(bos=BOS, system=("", "\n\n"), user=("User: ", "\n\n"), head="Assistant:"), None, None),
    "deepseek_coder": (scheme(user=("### Instruction:\n", "\n"), head="### Response:\n", end="\n<|EOT|>\n"),
                       "You are an AI programming assistant, utilizing the Deepseek Coder model, developed by Deepseek Company, and you only "
                       "answer questions related to computer science. For politically sensitive questions, security and privacy issues, and "
                       "other non-computer science questions, you will refuse to answer\n", ["<|EOT|>"]),
    "deepseek_v2_5": (deepseek(), None, ["<｜end▁of▁sentence｜>"]),
    "deepseek_r1": (deepseek(on="<think>\n"), None, ["<｜end▁of▁sentence｜>"]),
    "deepseek_v3_1": (deepseek(on="<think>", off="</think>", history="</think>"), None, ["<｜end▁of▁sentence｜>"]),
    "baichuan": (scheme(user=("<reserved_106>", ""), head="<reserved_107>", end=EOS, sep=""), None, None),
    "baichuan_m1": (scheme(system=("<B_SYS>", ""), user=("<C_Q>", ""), head="<C_A>", end="<C_A>", sep=""), HELPFUL, ["<C_A>"]),
    "minicpm": (scheme(bos="<s>", user=("<用户>", ""), head="<AI>", end="</s>", sep=""), None, ["</s>"]),
    "c4ai": (scheme(bos="<BOS_TOKEN>", system=(COHERE[0].format("SYSTEM"), COHERE[1]), user=(COHERE[0].format("USER"), COHERE[1]),
                    head=COHERE[0].format("CHATBOT"), end=COHERE[1]), None, ["<|END_OF_TURN_TOKEN|>"]),
    "telechat": (scheme(bos=AUTO, system=("<_system>", "\n"), user=("<_user>", ""), head="<_bot>", end="<_end>"), None, ["<_end>"]),
    "hunyuan": (scheme(**HUNYUAN, thinking={"off": "<think>\n\n</think>\n"}), None, ["<｜hy_place▁holder▁no▁2｜>"]),
    "hunyuan_moe": (scheme(bos="<|startoftext|>", system=("", "<|extra_4|>"), user=("", "<|extra_0|>"), end="<|eos|>", sep="<|eos|><|startoftext|>"), None, ["<|eos|>"]),
    "xverse": (scheme(user=("Human: ", "\n\n"), head="Assistant: "), None, None),
    "yuan": (scheme(user=("", "<sep>"), end="<eod>"), None, ["<eod>"]),
    "ziya": (scheme(bos=BOS, user=("<human>:", "\n"), head="<bot>:", sep="\n"), None, None),
    "skywork": (scheme(bos="<s>", user=("</s><s>[USER]", "[SEP]"), head="[BOT]", end="[SEP]</s>"), None, ["[SEP]", "</s>"]),
    "bluelm": (scheme(bos=BOS, user=("[|Human|]:", ""), head="[|AI|]:", sep=""), None, None),
    "codefuse": (scheme(system=("<s>system\n", "\n"), user=("<s>human\n", "\n"), head="<s>bot\n", sep=EOS + "\n"), None, None),
    "sus": (scheme(user=("### Human: ", "\n\n"), head="### Assistant: ", end="<|endoftext|>"), None, ["<|endoftext|>"]),
    "orion": (scheme(bos="<s>", user=("Human: ", "\n\n"), head="Assistant: </s>", end="</s>"), None, ["</s>"]),
    "atom": (scheme(user=("<s>Human: ", "\n</s>"), head="<s>Assistant: ", end="</s>"), None, ["</s>"]),
    "wizardlm2": (scheme(user=("User:\n", "\n\n"), head="Assistant:\n", end="</s>", sep="\n\n"), None, ["</s>"]),
    "openbuddy": (scheme(bos=AUTO, system=("", "\n\n"), user=("User: ", "\n"), head="Assistant:", sep="\n"), None, None),
    "openbuddy2": (scheme(system=("<|role|>system<|says|>", "<|end|>\n"), user=("<|role|>user<|says|>", "<|end|>\n"),
                          head="<|role|>assistant<|says|>", end="<|end|>\n"), None, ["<|end|>"]),
    "ling": (scheme(**LING), None, ["<|endoftext|>"]),
    "ling2": (scheme(**LING2), "detailed thinking off", ["<|role_end|>"]),
    "dots1": (scheme(system=("<|system|>", "<|endofsystem|>"), user=("<|userprompt|>", "<|endofuserprompt|>"), head="<|response|>", end="<|endofresponse|>"), HELPFUL, ["<|endofresponse|>"]),
    "ernie": (scheme(bos="<|begin_of_sentence|>", system=("", "\n"), user=("User: ", "\n"), head="Assistant: ", end="</s>", sep="<|end_of_sentence|>"), None, ["</s>", "<|end_of_sentence|>"]),
    "seed_oss": (scheme(system=("<seed:bos>system\n", "<seed:eos>"), user=("<seed:bos>user\n", "<seed:eos>"), head="<seed:bos>assistant\n", end="<seed:eos>"), None, ["<seed:eos>"]),
    "minimax": (scheme(system=("<beginning_of_sentence>system ai_setting=assistant\n", "<end_of_sentence>\n"),
                       user=("<beginning_of_sentence>user name=user\n", "<end_of_sentence>\n"),
                       head="<beginning_of_sentence>ai name=assistant\n", end="<end_of_sentence>\n"), None, ["<end_of_sentence>"]),
    "moonlight": (scheme(**MOON), "You are a helpful assistant", [IM]),
    "kimi_k2": (scheme(**MOON), "You are Kimi, an AI assistant created by Moonshot AI.", [IM]),
    "olmoe": (scheme(bos="<|endoftext|>", system=("<|system|>\n", "\n"), user=("<|user|>\n", "\n"), head="<|assistant|>\n", end="<|endoftext|>", sep="<|endoftext|>\n"), None, ["<|endoftext|>"]),
    "modelscope_agent": (scheme(system=(" \n\n<|system|>:", ""), user=(" \n\n<|user|>:", ""), head=" \n\n<|assistant|>:", end=" \n\n</s>", sep=""), HELPFUL, ["</s>"]),
    "gpt_oss": (GPT_OSS, None, ["<|return|>", "<|call|>"]),
}
# Names of formats that are the same but for nothing that a text shows.
ALIASES = {
    "gemma2": "gemma", "gemma3": "gemma3_text", "llama2": "llama", "llama3_1": "llama3_2", "llama3_3": "llama3_2",
    "mistral": "llama", "mixtral": "llama", "mistral_small": "mistral_2501", "qwen2": "qwen", "deepseek_v3": "deepseek_v2_5",
    "chatglm3": "chatglm4", "cohere": "c4ai", "command_r": "c4ai", "aya": "c4ai", "telechat2": "telechat", "yi": "chatml",
    "baichuan2": "baichuan", "minimax_m1": "minimax", "olmoe_0924": "olmoe", "internlm3": "internlm2", "ring2": "ling2",
}


def main():
    templates = {}
    for name, (text, system, stop) in TEMPLATES.items():
        templates[name] = {"jinja": text, "default_system": system, "stop": stop or []}
    for name, other in ALIASES.items():
        templates[name] = {"same_as": other}
    target = pathlib.Path(__file__).resolve().parent.parent / "Resources/templates.json"
    target.write_text(json.dumps({"version": 1, "templates": dict(sorted(templates.items()))}, ensure_ascii=False, indent=1) + "\n")
    print(len(TEMPLATES), "formats,", len(ALIASES), "more names")


main()
