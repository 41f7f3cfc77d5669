import HubsHuggingFace
import HubsLocal
import HubsModelScope
import JSON
import PluginKit
import Testing

@Suite struct HubPluginTests {
    private func files(_ hub: any Hub, _ query: JSON, _ answer: String) throws -> JSON {
        try Array(answer.utf8).withUnsafeBytes { try hub.files(query, answer: $0) }
    }

    @Test func huggingFaceListsOneRevisionWithDigests() throws {
        let query: JSON = ["id": "hf:org/name", "endpoint": "mirror.example/", "token": "t", "revision": "v1/x"]
        let request = try HuggingFace().listing(query)
        #expect(request["url"] == "https://mirror.example/api/models/org/name/revision/v1%2Fx?blobs=true")
        #expect(request["headers"] == ["Authorization": "Bearer t"])
        let answer = try files(
            HuggingFace(), query,
            """
            {"sha": "c0ffee", "siblings": [{"rfilename": "config.json", "size": 7, "blobId": "aa"},
             {"rfilename": "a b/model.safetensors", "size": 9, "blobId": "bb", "lfs": {"sha256": "cc", "size": 9}}]}
            """)
        #expect(answer["revision"] == "c0ffee")
        let list = try #require(answer["files"]?.array)
        #expect(list[0]["git_sha1"] == "aa" && list[0]["sha256"] == nil && list[0]["size"] == 7)
        #expect(list[1]["sha256"] == "cc" && list[1]["git_sha1"] == nil)
        #expect(list[1]["url"] == "https://mirror.example/org/name/resolve/c0ffee/a%20b/model.safetensors")
    }

    @Test func huggingFaceDatasetsHaveTheirOwnAddresses() throws {
        let query: JSON = ["id": "org/name", "endpoint": "http://h", "kind": "dataset"]
        #expect(try HuggingFace().listing(query)["url"] == "http://h/api/datasets/org/name/revision/main?blobs=true")
        let answer = try files(HuggingFace(), query, #"{"sha": "1", "siblings": [{"rfilename": "a.json"}]}"#)
        #expect(answer["files"]?[0]?["url"] == "http://h/datasets/org/name/resolve/1/a.json")
    }

    @Test func modelScopeListsFilesAndNotFolders() throws {
        let query: JSON = ["id": "org/name", "endpoint": "http://h", "token": "t"]
        let request = try ModelScope().listing(query)
        #expect(request["url"] == "http://h/api/v1/models/org/name/repo/files?Recursive=True&Revision=master")
        #expect(request["headers"]?["Cookie"] == "m_session_id=t")
        let answer = try files(
            ModelScope(), query,
            #"{"Code": 200, "Data": {"Files": [{"Type": "tree", "Path": "d"}, {"Type": "blob", "Path": "d/x.bin", "Size": 5, "Sha256": "ee"}]}}"#
        )
        #expect(answer["files"]?.array?.count == 1 && answer["files"]?[0]?["sha256"] == "ee")
        #expect(
            answer["files"]?[0]?["url"] == "http://h/api/v1/models/org/name/repo?Revision=master&FilePath=d%2Fx.bin")
        let error = #expect(throws: PluginError.self) {
            try files(ModelScope(), query, #"{"Code": 404, "Message": "record not found"}"#)
        }
        #expect(error?.message.contains("record not found") == true)
    }

    @Test func answersThatAreNoListingAreRefused() {
        for answer in ["", "<html>", "[]", "{}", #"{"siblings": 3}"#, #"{"siblings": [{}]}"#] {
            #expect(throws: (any Error).self) { try files(HuggingFace(), ["id": "a/b"], answer) }
            #expect(throws: (any Error).self) { try files(ModelScope(), ["id": "a/b"], answer) }
        }
    }

    @Test(arguments: ["../x", "a", "a/b/c", "a/..", "/a/b", "a b/c", ""]) func otherNamesAreNotTheirs(id: String) {
        #expect(ModelScope().probe(id) == 0 && HuggingFace().probe(id) == 0)
    }

    @Test func pathsThatExistAreLocal() throws {
        #expect(Local().probe("/") == 100 && Local().probe("/no/such/thing") == 0 && Local().probe("") == 0)
        #expect(try Local().listing(["id": "file:///tmp"])["path"] == "/tmp")
    }
}
