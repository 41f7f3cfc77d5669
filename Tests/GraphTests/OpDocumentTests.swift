import Glibc
import Testing

import Graph

@Suite struct OpDocumentTests {
    /// To write it anew: MARTLET_WRITE_DOCUMENTS=1 swift test --filter OpDocumentTests
    @Test func theDocumentationIsThatOfTheTable() throws {
        let path = "\(Goldens.root)/../../Documentation/Ops.md"
        if getenv("MARTLET_WRITE_DOCUMENTS") != nil {
            let file = try #require(fopen(path, "w"))
            fputs(OpDocument.text, file)
            fclose(file)
        }
        let written = String(decoding: try Goldens.bytes("../../Documentation/Ops.md"), as: UTF8.self)
        #expect(written == OpDocument.text, "Documentation/Ops.md is not of this table of ops")
    }
}
