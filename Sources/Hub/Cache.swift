import Files
import Glibc
import JSON

/// What to fetch, and how.
package struct DownloadOptions {
    package var revision: String?
    package var kind = "model"
    package var patterns = FilePatterns()
    package var token: String?
    package var endpoint: String?
    /// Fetch into this directory instead of the cache.
    package var directory: String?
    /// Ask the hub even if the cache has the revision.
    package var refresh = false
    /// Never use the network.
    /// What would be fetched is an error, though the network is not off.
    package var onlyLooks = false
    package var offline = ["MARTLET_OFFLINE", "HF_HUB_OFFLINE"].contains { Cache.isSet($0) }
    package var connections = 8
    package var chunkBytes = 16 << 20
    package var retries = RetryPolicy()
    package var progress: (DownloadProgress) -> Bool = { _ in true }
    /// Gets lines for a person, such as that another process is fetching the same.
    package var note: (String) -> Void = { _ in }

    package init() {}
}

/// The directory of fetched models and data sets that all processes of a user share.
package struct Cache {
    package let directory: String

    /// MARTLET_CACHE, or ~/.cache/martlet.
    package static var standard: Cache {
        let home = getenv("HOME").map { String(cString: $0) } ?? "/tmp"
        return Cache(directory: getenv("MARTLET_CACHE").map { String(cString: $0) } ?? home + "/.cache/martlet")
    }

    package init(directory: String) { self.directory = directory }

    static func isSet(_ variable: String) -> Bool {
        getenv(variable).map { !["", "0", "false", "no"].contains(String(cString: $0).lowercased()) } ?? false
    }

    /// The local path of `id`: fetched if it has to be, whole and checked.
    ///
    /// A revision that the cache has is used without a request; `refresh` asks the hub whether it has moved.
    package func fetch(_ id: String, from hub: any HubSource, _ options: DownloadOptions = DownloadOptions()) throws
        -> String
    {
        let query = query(id, options)
        let request = try hub.listing(query)
        if let path = request["path"]?.string { return path }
        do { try System.makeDirectories(directory) } catch {
            throw HubError(.storage, error.description, at: directory)
        }
        let index = try CacheIndex(System.join(directory, "index.sqlite"))
        let key = [
            hub.id, options.kind, id, options.revision ?? "",
            options.patterns.key + (options.endpoint ?? "") + (options.directory ?? ""),
        ]
        if !options.refresh, let path = try known(key, index) { return path }
        if options.offline {
            if let path = try known(key, index) { return path }
            throw HubError(
                .offline,
                "it is not in the cache \(directory), and the network is off (MARTLET_OFFLINE, HF_HUB_OFFLINE or --offline); with it, it would come from \(Self.origin(request))",
                at: id)
        }
        if options.onlyLooks {
            throw HubError(
                .absent, "it is not in the cache \(directory); it would be fetched from \(Self.origin(request))", at: id
            )
        }
        let lock = try ProcessLock(System.join(directory, Self.lockName(key))) {
            options.note("another process is fetching \(id); waiting for it")
        }
        defer { withExtendedLifetime(lock) {} }
        if !options.refresh, let path = try known(key, index) { return path }
        options.note("fetching \(id) from \(Self.origin(request))")
        do {
            return try fetch(hub, query, request, key, index, options)
        } catch let error as HubError where error.code == .network {
            throw HubError(
                .network,
                "it is not in the cache \(directory), and \(Self.origin(request)) cannot be reached (\(error.message)); give a path, or another --endpoint or proxy",
                at: id)
        }
    }

    /// The server of a request, such as "https://huggingface.co".
    private static func origin(_ request: JSON) -> String {
        let url = request["url"]?.string ?? ""
        guard let scheme = url.firstRange(of: "://") else { return url }
        return String(url[..<(url[scheme.upperBound...].firstIndex(of: "/") ?? url.endIndex)])
    }

    private func query(_ id: String, _ options: DownloadOptions) -> JSON {
        var query = JSONObject([("id", .string(id)), ("kind", .string(options.kind))])
        query["revision"] = options.revision.map { .string($0) }
        query["endpoint"] = options.endpoint.map { .string($0) }
        query["token"] = options.token.map { .string($0) }
        return .object(query)
    }

    /// The directory of a finished snapshot whose files are all still there.
    private func known(_ key: [String], _ index: CacheIndex) throws -> String? {
        guard let snapshot = try index.snapshot(key) else { return nil }
        let files = try index.files(in: snapshot.directory)
        let isWhole =
            !files.isEmpty
            && files.allSatisfy {
                System.size(of: System.join(snapshot.directory, $0.key)) == $0.value.size
            }
        return isWhole ? Unpacker.result(in: snapshot.directory) : nil
    }

    private func fetch(
        _ hub: any HubSource, _ query: JSON, _ request: JSON, _ key: [String], _ index: CacheIndex,
        _ options: DownloadOptions
    ) throws -> String {
        let (commit, listed) = try list(hub, query, request, options.retries)
        let files = options.patterns.select(listed.filter { !$0.isArchive }) + listed.filter(\.isArchive)
        guard !files.isEmpty else {
            throw HubError(
                .notFound, "found \(listed.count) files, none of which the patterns want", at: query["id"]?.string ?? ""
            )
        }
        let place = options.directory ?? snapshotDirectory(key, commit)
        let have = try index.files(in: place)
        let missing = files.filter { file in
            guard let known = have[file.name], known.digest == file.sha256 ?? file.gitSHA1 ?? "" else { return true }
            let path = System.join(place, file.name)
            return System.size(of: path) != known.size || file.size.map { $0 != known.size } ?? false
        }
        do { try System.makeDirectories(place) } catch { throw HubError(.storage, error.description, at: place) }
        try checkSpace(missing, place)
        var downloader = Downloader(directory: place)
        downloader.connections = max(1, options.connections)
        downloader.chunk = options.chunkBytes
        downloader.policy = options.retries
        downloader.progress = options.progress
        try downloader.fetch(missing) { file, size in
            try index.record(file: file.name, size: size, digest: file.sha256 ?? file.gitSHA1 ?? "", in: place)
        }
        for file in files where file.isArchive { try Unpacker(place, options.patterns).unpack(file.name) }
        try index.record(key, commit: commit, directory: place)
        return Unpacker.result(in: place)
    }

    private func list(
        _ hub: any HubSource, _ query: JSON, _ first: JSON, _ policy: RetryPolicy
    ) throws -> (commit: String, files: [RemoteFile]) {
        var files: [RemoteFile] = []
        var names: Set<String> = []
        var commit = ""
        var next: JSON? = first
        var pages = 0
        while let request = next, let url = request["url"]?.string {
            pages += 1
            guard pages <= 1000 else { throw HubError(.invalid, "found more than 1000 pages of files", at: url) }
            let headers = (request["headers"]?.object ?? JSONObject()).map { ($0.key, $0.value.string ?? "") }
            let body = try HTTPClient.fetch(HTTPTransfer.Request(url: url, headers: headers), policy: policy)
            let answer = try hub.files(query, answer: body)
            commit = answer["revision"]?.string ?? commit
            for entry in answer["files"]?.array ?? [] {
                let file = try RemoteFile(entry, at: RetryPolicy.withoutQuery(url))
                // A file system that knows no case would make one of two such files.
                guard names.insert(file.name.lowercased()).inserted else {
                    throw HubError(.invalid, "found the file \(FileError.quote(file.name)) twice", at: url)
                }
                files.append(file)
            }
            next = answer["next"]
        }
        return (commit, files)
    }

    private func snapshotDirectory(_ key: [String], _ commit: String) -> String {
        let id = key[2].split(separator: "/").map(Self.plain).joined(separator: "--")
        let revision = Self.plain(Substring(commit.isEmpty ? "latest" : commit))
        return System.join(directory, "\(key[1])s/\(Self.plain(Substring(key[0])))/\(id)/\(revision)")
    }

    /// `text` with all but letters, digits and ".-_=" as "_", so that it is a file name anywhere.
    private static func plain(_ text: Substring) -> String {
        let out = String(
            text.unicodeScalars.prefix(120).map { scalar -> Character in
                let isPlain =
                    scalar.isASCII
                    && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
                        || ".-_=".unicodeScalars.contains(scalar))
                return isPlain ? Character(scalar) : "_"
            })
        return out.allSatisfy { $0 == "." } ? "_" + out : out
    }

    private static func lockName(_ key: [String]) -> String {
        let digest = Digest(.sha256)
        Array(key.joined(separator: "\n").utf8).withUnsafeBytes(digest.add)
        return "lock-" + digest.hex().prefix(24)
    }

    private func checkSpace(_ files: [RemoteFile], _ place: String) throws(HubError) {
        var status = statvfs()
        guard statvfs(place, &status) == 0 else { return }
        let free = Int(status.f_bavail) &* Int(status.f_frsize)
        var needed = 0
        for file in files { needed = checkedSum(needed, file.size ?? 0) ?? .max }
        needed -= min(needed, Downloader(directory: place).bytesPresent)
        if needed > free {
            throw HubError(
                .noSpace,
                "found \(free >> 20) MiB free, wanted \(needed >> 20) MiB; free some, or set MARTLET_CACHE to another disk",
                at: place)
        }
    }
}
