internal import JSON

/// Bytes as tokens, with the marks of ChatML: byte-level BPE without merges.
struct ByteTokenizer {
    private static let specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    var count: Int { 256 + Self.specials.count }

    /// The printable stand-ins of bytes in byte-level vocabularies (GPT-2, encoder.py): bytes that print are themselves, the
    /// others follow from U+0100 on.
    private static let alphabet: [String] = {
        var next: UInt32 = 256
        return (0..<256).map { (byte: UInt32) -> String in
            if 33...126 ~= byte || 161...172 ~= byte || 174...255 ~= byte {
                return Unicode.Scalar(byte).map { String($0) } ?? ""
            }
            defer { next += 1 }
            return Unicode.Scalar(next).map { String($0) } ?? ""
        }
    }()

    var document: JSON {
        let vocabulary = Self.alphabet.enumerated().map { ($1, JSON.int(Int64($0))) }
        let added = Self.specials.enumerated().map { i, text -> JSON in
            [
                "id": .int(Int64(256 + i)), "content": .string(text), "single_word": false, "lstrip": false,
                "rstrip": false,
                "normalized": false, "special": true,
            ]
        }
        let byteLevel: JSON = ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true]
        return [
            "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": .array(added), "normalizer": nil,
            "pre_tokenizer": byteLevel, "post_processor": byteLevel, "decoder": byteLevel,
            "model": [
                "type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil,
                "end_of_word_suffix": nil,
                "fuse_unk": false, "byte_fallback": false, "vocab": .object(JSONObject(vocabulary)), "merges": [],
            ],
        ]
    }

    var config: JSON {
        [
            "tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>",
            "chat_template":
                "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
        ]
    }
}
