import CCurl
import Files
import Glibc

/// How far a download is.
package struct DownloadProgress: Sendable {
    package var files: Int
    package var totalFiles: Int
    package var bytes: Int
    /// What the listing promises; files of unknown size do not count until they are there.
    package var totalBytes: Int
    package var bytesPerSecond: Double
    /// The file in hand.
    package var current: String
}

/// Fetches files into a directory, many ranges at once; each appears under its name when it is whole and checked.
struct Downloader {
    let directory: String
    var connections = 8
    var chunk = 16 << 20
    var policy = RetryPolicy()
    /// Gets the progress some ten times a second; false stops the download, and what is there is kept.
    var progress: (DownloadProgress) -> Bool = { _ in true }

    /// Where files stand while they are fetched.
    private var workshop: String { System.join(directory, ".partial") }

    /// Bytes on the disk of files that are under way.
    var bytesPresent: Int {
        let names = (try? System.list(workshop)) ?? []
        return names.reduce(0) { sum, name in
            var status = stat()
            return stat(System.join(workshop, name), &status) == 0 ? sum + Int(status.st_blocks) * 512 : sum
        }
    }

    /// - Parameter placed: Called for each file that has got its name, with its size.
    func fetch(_ files: [RemoteFile], placed: (RemoteFile, Int) throws -> Void) throws {
        try makeDirectory(workshop)
        let client = try HTTPClient()
        var waiting = Array(files.reversed())
        var open: [FileDownload] = []
        var failure: (any Error)?
        var done = (files: 0, bytes: 0)
        let total = files.reduce(0) { $0 &+ ($1.size ?? 0) }
        let began = HTTPClient.now
        var lastReport = 0.0
        var before: Int?

        while failure == nil, !waiting.isEmpty || !open.isEmpty {
            do {
                // Whole files first: what a stopped process had finished needs no request.
                for (i, download) in open.enumerated().reversed() where download.isComplete {
                    if try finish(download, client) {
                        let size = System.size(of: System.join(directory, download.file.name)) ?? 0
                        try placed(download.file, size)
                        done = (done.files + 1, done.bytes + size)
                        open.remove(at: i)
                    }
                }
                startPieces(&open, &waiting, client) { failure = failure ?? $0 }
            } catch { failure = error }
            if client.count > 0 || !open.isEmpty { client.run(milliseconds: 100) }
            let now = HTTPClient.now
            if now - lastReport >= 0.1 || waiting.isEmpty && open.isEmpty {
                lastReport = now
                let bytes = done.bytes + open.reduce(0) { $0 + $1.received }
                let start = before ?? bytes
                before = start
                let report = DownloadProgress(
                    files: done.files, totalFiles: files.count, bytes: bytes, totalBytes: max(total, bytes),
                    bytesPerSecond: now > began ? Double(bytes - start) / (now - began) : 0,
                    current: open.first?.file.name ?? "")
                if !progress(report) {
                    failure =
                        failure
                        ?? HubError(
                            .cancelled, "stopped; what was fetched is kept and continued next time", at: directory)
                }
            }
        }
        if let failure { throw failure }
        rmdir(workshop)
    }

    /// Gives free connections to the pieces that are due, opening files as needed.
    private func startPieces(
        _ open: inout [FileDownload], _ waiting: inout [RemoteFile], _ client: HTTPClient,
        failed: @escaping (HubError) -> Void
    ) {
        while client.count < connections {
            let now = HTTPClient.now
            if let download = open.first(where: { $0.pieces.contains { $0.notBefore <= now } }),
                let index = download.pieces.firstIndex(where: { $0.notBefore <= now })
            {
                let piece = download.pieces.remove(at: index)
                download.start(piece, on: client) { result in
                    if case .failure(let error) = result { failed(error) }
                }
                continue
            }
            guard let file = waiting.popLast() else { return }
            do throws(HubError) {
                let download = try FileDownload(file, stem: stem(file), policy: policy, chunk: chunk)
                open.append(download)
                // Complete already: its pieces are none. The loop finishes it.
                if download.isComplete { return }
            } catch { return failed(error) }
        }
    }

    /// A name for a file's parts that no other file of the listing has.
    private func stem(_ file: RemoteFile) -> String {
        let digest = Digest(.sha256)
        Array(file.name.utf8).withUnsafeBytes(digest.add)
        return System.join(workshop, String(digest.hex().prefix(32)))
    }

    /// Checks and places a file; false if it has to be fetched once more.
    private func finish(_ download: FileDownload, _ client: HTTPClient) throws -> Bool {
        do {
            try download.verify()
        } catch {
            if download.wasDamaged {
                unlink(download.partial.path)
                throw error
            }
            download.wasDamaged = true
            try download.restart(client, onePiece: false, etag: nil)
            return false
        }
        let destination = System.join(directory, download.file.name)
        try makeDirectory(System.parent(of: destination) ?? "")
        try download.partial.place(destination)
        return true
    }

    /// Makes a directory inside ours, never through a link that could lead outside.
    private func makeDirectory(_ path: String) throws {
        do {
            try System.makeDirectories(directory)
            var at = directory
            for part in path.dropFirst(directory.count).split(separator: "/") {
                at = System.join(at, String(part))
                if mkdir(at, 0o777) == 0 { continue }
                var status = stat()
                guard lstat(at, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
                    throw HubError(.storage, "found a link or file, wanted a directory", at: at)
                }
            }
        } catch let error as FileError {
            throw HubError(.storage, error.description, at: path)
        }
    }
}
