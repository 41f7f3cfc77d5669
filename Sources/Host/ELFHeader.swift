import Files

/// Checks on a shared library's file that give a better message than the dynamic linker's. ELF-64, little-endian
/// (System V ABI, chapters 4 and 5).
enum ELFHeader {
    private static let headerSize = 64
    private static let programHeaderSize = 56

    /// Refuses a file that is no complete shared library for `architecture`.
    static func check(_ path: String, plugin: String, architecture: String) throws(HostError) {
        func refuse(_ message: String, _ fix: String = "install the plugin again") -> HostError {
            HostError(.library, plugin, "\(path) \(message)", fix: fix)
        }
        let file: MappedFile
        do throws(FileError) {
            file = try MappedFile(path)
        } catch {
            throw refuse("cannot be read: found \(error.found), wanted \(error.wanted)", "check the file and its permissions")
        }
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
        guard header.u16(16) == 3 else { throw refuse("is an ELF file and not a shared library (e_type \(header.u16(16)), wanted 3)") }
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
