import Files

/// Checks on a shared library's file that give a better message than the dynamic linker's. ELF-64, little-endian
/// (System V ABI, chapters 4 and 5).
package enum ELFHeader {
    private static let headerSize = 64
    private static let programHeaderSize = 56

    /// Refuses a file that is no complete shared library for `architecture`.
    package static func check(_ path: String, plugin: String, architecture: String) throws(HostError) {
        func refuse(_ message: String, _ fix: String = "install the plugin again") -> HostError {
            HostError(.library, plugin, "\(path) \(message)", fix: fix)
        }
        let file: MappedFile
        do throws(FileError) {
            file = try MappedFile(path)
        } catch {
            throw refuse(
                "cannot be read: found \(error.found), wanted \(error.wanted)", "check the file and its permissions")
        }
        defer { withExtendedLifetime(file) {} }
        let header = file.bytes
        let size = UInt64(header.count)
        guard header.count >= headerSize else {
            throw refuse("is not a shared library: it has \(size) bytes, and an ELF header alone has \(headerSize)")
        }
        guard header.starts(with: [0x7F, 0x45, 0x4C, 0x46]) else {
            throw refuse("is not a shared library: it does not start with ELF's magic number")
        }
        let machine = header.u16(18)
        guard header[4] == 2, header[5] == 1, machine == Machine.elfMachine(architecture) else {
            throw refuse(
                "is built for \(Machine.name(ofELFMachine: machine)), and this machine is \(architecture)",
                "install the plugin's build for \(architecture)")
        }
        guard header.u16(16) == 3 else {
            throw refuse("is an ELF file and not a shared library (e_type \(header.u16(16)), wanted 3)")
        }
        func fits(_ offset: UInt64, _ count: UInt64) -> Bool {
            let (end, overflow) = offset.addingReportingOverflow(count)
            return !overflow && end <= size
        }
        let cut = "is truncated: its header describes more than its \(size) bytes"
        let table = header.u64(32)
        let count = Int(header.u16(56))
        guard Int(header.u16(54)) == programHeaderSize, fits(table, UInt64(count * programHeaderSize)),
            fits(header.u64(40), UInt64(header.u16(58)) * UInt64(header.u16(60)))
        else { throw refuse(cut) }
        for i in 0..<count {
            let at = Int(table) + i * programHeaderSize
            guard fits(header.u64(at + 8), header.u64(at + 32)) else { throw refuse(cut) }
        }
    }
}

extension UnsafeRawBufferPointer {
    fileprivate func u16(_ at: Int) -> UInt16 { UInt16(self[at]) | UInt16(self[at + 1]) << 8 }
    fileprivate func u64(_ at: Int) -> UInt64 {
        (0..<8).reduce(0) { $0 | UInt64(self[at + $1]) << UInt64(8 * $1) }
    }
}

extension ELFHeader {
    /// A name that a shared library offers to others.
    package struct Symbol {
        package let name: String
        /// STT_FUNC or STT_GNU_IFUNC, and no data.
        package let isFunction: Bool
    }

    /// What a shared library offers to others: defined, global or weak, of default visibility. The file must have passed
    /// `check`.
    package static func exports(_ path: String) throws(HostError) -> [Symbol] {
        let file: MappedFile
        do throws(FileError) {
            file = try MappedFile(path)
        } catch {
            throw HostError(error)
        }
        defer { withExtendedLifetime(file) {} }
        let bytes = file.bytes
        let table = bytes.u64(40)
        let (entrySize, count) = (Int(bytes.u16(58)), Int(bytes.u16(60)))
        guard entrySize >= 64 else { return [] }
        func section(_ index: Int) -> (type: UInt32, offset: Int, size: Int, link: Int)? {
            let at = Int(table) + index * entrySize
            guard index < count, at + 64 <= bytes.count else { return nil }
            let (offset, size) = (bytes.u64(at + 24), bytes.u64(at + 32))
            guard offset <= UInt64(bytes.count), size <= UInt64(bytes.count) - offset else { return nil }
            return (
                UInt32(truncatingIfNeeded: bytes.u64(at) >> 32), Int(offset), Int(size),
                Int(bytes.u64(at + 40) & 0xFFFF_FFFF)
            )
        }
        var found: [Symbol] = []
        for index in 0..<count {
            // 11 is SHT_DYNSYM.
            guard let symbols = section(index), symbols.type == 11, let texts = section(symbols.link) else { continue }
            for at in stride(from: symbols.offset, to: symbols.offset + symbols.size - 23, by: 24) {
                let (info, visibility, place) = (bytes[at + 4], bytes[at + 5] & 3, bytes.u16(at + 6))
                let name = Int(bytes.u64(at) & 0xFFFF_FFFF)
                guard info >> 4 == 1 || info >> 4 == 2, visibility == 0, place != 0, name < texts.size else { continue }
                let text = bytes[(texts.offset + name)..<(texts.offset + texts.size)].prefix { $0 != 0 }
                let isFunction = [2, 10].contains(info & 15)
                found.append(Symbol(name: String(decoding: text, as: UTF8.self), isFunction: isFunction))
            }
        }
        return found.sorted { $0.name < $1.name }
    }
}
