import Testing

/// What a model sees or hears, from a file of features.
@Suite(.enabled(if: Program.isThere, "the product martlet is not built")) struct ScoreFeaturesTests {
    private let root = "Tests/Goldens/families"

    @Test func imagesAndTextsBecomeVectorsOfOneSpace() {
        let images = Program.run(
            "martlet score --model \(root)/clip --features \(root)/clip/features.safetensors --task embedding --json")
        #expect(images.status == 0, "\(images.text)")
        let lines = images.text.split(separator: "\n")
        #expect(lines.count == 2)
        for (i, line) in lines.enumerated() {
            #expect(line.hasPrefix("{\"index\":\(i),\"item\":\"\(i)\",\"embedding\":["), "\(line.prefix(60))")
            #expect(line.split(separator: ",").count == 22, "20 numbers")
        }
        let texts = Program.run(
            "echo '[5, 9, 95]' | martlet score --model \(root)/clip --ids - --task embedding --json")
        #expect(texts.status == 0 && texts.text.contains("\"embedding\":["), "\(texts.text)")
    }

    @Test func aTextIsScoredOverSound() {
        func score(_ ids: String, _ more: String = "") -> Program.Outcome {
            Program.run(
                "printf '\(ids)' | martlet score --model \(root)/whisper --ids - --features \(root)/whisper/features.safetensors \(more)"
            )
        }
        let both = score("[5, 9, 11]\\n[5, 8]")
        #expect(both.status == 0 && both.text.contains("all\t3 scored tokens"), "\(both.text)")
        let one = score("[5, 9, 11]")
        #expect(one.status != 0 && one.text.contains("2 items for 1 texts"), "\(one.text)")
        let vector = score("[5]", "--task embedding")
        #expect(vector.status != 0 && vector.text.contains("no vectors of images"), "\(vector.text)")
    }

    @Test func whatCannotHearSaysSo() {
        let deaf = Program.run("echo '[5, 9]' | martlet score --model \(root)/whisper --ids -")
        #expect(deaf.status != 0 && deaf.text.contains("--features"), "\(deaf.text)")
        let text = Program.run(
            "echo '[5, 9]' | martlet score --model \(root)/llama --ids - --features \(root)/clip/features.safetensors")
        #expect(text.status != 0 && text.text.contains("llama does not"), "\(text.text)")
        let check = Program.run("martlet score --model \(root)/whisper --check")
        #expect(check.status == 0 && check.text.contains("whisper: "), "\(check.text)")
    }
}
