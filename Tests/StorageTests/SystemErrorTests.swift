import Foundation
import Support
import Testing
@testable import Storage

@Suite struct SystemErrorTests {
    /// Each number has advice of its own, which fits what went wrong.
    @Test(
        arguments: [
            (EMFILE, "ulimit -n"), (ENFILE, "file-max"), (ENAMETOOLONG, "shorter"), (ENOSPC, "room"), (EDQUOT, "quota"),
            (EROFS, "reading only"), (ELOOP, "links"),
            (ENOTDIR, "not a folder"), (EISDIR, "folder"), (EIO, "dmesg"), (ESTALE, "server"), (EACCES, "right"),
            (EPERM, "right"), (EFBIG, "ulimit -f"), (ETXTBSY, "running"),
            (ENOENT, "path"), (ENOMEM, "memory"),
        ] as [(Int32, String)])
    func remediesFit(number: Int32, word: String) {
        for writing in [false, true] { #expect(SystemError.remedy(number, "file", writing: writing).contains(word)) }
        let foundation = CocoaError(
            .fileWriteUnknown, userInfo: [NSUnderlyingErrorKey: POSIXError(POSIXErrorCode(rawValue: number)!)])
        #expect(SystemError.text(of: foundation) == String(cString: strerror(number)))
        #expect(SystemError.remedy(of: foundation, "file", writing: true).contains(word))
    }

    @Test func pathsThatCannotBeOpened() {
        let folder = TemporaryFolder()
        let loop = folder.path + "/loop"
        #expect(symlink("loop", loop) == 0)
        for (path, word) in [
            (loop, "links"), (folder.path + "/" + String(repeating: "x", count: 300), "255"), ("~/nowhere", "$HOME"),
            (folder.path + "/none", "working folder"),
        ] {
            #expect { _ = try TextFile.read(path, limit: 10) } throws: {
                ($0 as? Failure)?.code == .missingInput && "\($0)".contains(word)
            }
            #expect(throws: Failure.self) { try WholeFile.write([1], to: path + "/file") }
        }
    }

    @Test func textsAreReadInTheirEncodings() throws {
        let folder = TemporaryFolder()
        let file = folder.path + "/text"
        func read(_ bytes: [UInt8]) throws -> String {
            try WholeFile.write(bytes, to: file, replacing: true)
            return try TextFile.read(file, limit: 20)
        }
        #expect(try read(Array("aü🎲".utf8)) == "aü🎲")
        #expect(try read([0xFF, 0xFE] + Array("aü🎲".data(using: .utf16LittleEndian)!)) == "aü🎲")
        #expect(try read([0xFE, 0xFF] + Array("aü🎲".data(using: .utf16BigEndian)!)) == "aü🎲")
        for bad in [
            [0xFF], [0xC3, 0x28], [0xFF, 0xFE, 0x00], [0xFF, 0xFE, 0x00, 0xD8, 0x41, 0x00],
            Array(repeating: 0x41, count: 21),
        ] as [[UInt8]] {
            #expect { _ = try read(bad) } throws: { ($0 as? Failure)?.code == .badData }
        }
    }
}
