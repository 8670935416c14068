import Foundation
import Kernels
import Support
import Testing
@testable import Storage

/// A small checkpoint like a trainer's.
func exampleContents(step: Int = 12, shift: Float = 0, config: String = "name: test\n") -> CheckpointContents {
    CheckpointContents(
        attributes: [
            ("step", .integer(step)), ("epoch", .integer(2)), ("samples_seen", .integer(1200)), ("seed", .integer(1)),
            ("shards", .integer(2)), ("ranks", .integer(2)), ("config", .string(config)),
            ("program_version", .string("0.1")),
            ("blas", .string("OpenBLAS")), ("created", .string("2026-01-01T00:00:00Z")),
        ],
        arrays: [
            CheckpointArray(
                path: "generator/0.dense/weight", dimensions: [2, 3], layout: "in,out",
                values: [1, -2, 3.5, 1e-30 + shift, .infinity, -0.0]),
            CheckpointArray(
                path: "generator/0.dense/bias", dimensions: [3], layout: "out", values: [0.1, 0.2, 0.3 + shift]),
            CheckpointArray(
                path: "optimizer/generator/first/0.dense/bias", dimensions: [3], layout: "out", values: [0, 0, 1]),
            CheckpointArray(
                path: "discriminator/statistics/1.norm/mean", dimensions: [1], layout: "channels", values: [7]),
        ])
}

@Suite struct CheckpointFileTests {
    let folder = TemporaryFolder()

    @Test func everythingComesBack() throws {
        let path = folder.file("a.h5")
        let written = exampleContents(config: "text: grün\n" + String(repeating: "x", count: 100_000))
        try CheckpointImage(written).write(to: path)
        let read = try CheckpointFile.read(path)
        for (name, value) in written.attributes { #expect(read.attribute(name) == value) }
        #expect(read.string("format") == "gan-dist-checkpoint")
        #expect(read.integer("format_version") == 1)
        #expect(read.arrays.count == written.arrays.count)
        for array in written.arrays {
            let other = try #require(read.array(array.path))
            #expect(other.dimensions == array.dimensions && other.layout == array.layout)
            #expect(other.array.map(\.bitPattern) == array.array.map(\.bitPattern))
            let buffer = FloatBuffer(count: array.count)
            other.copy(to: buffer.values)
            #expect(buffer.values.array.map(\.bitPattern) == array.array.map(\.bitPattern))
        }
        #expect(folder.names == ["a.h5"])
    }

    @Test func viewsAndArraysMakeTheSameBytes() throws {
        let buffer = FloatBuffer([1, 2, 3, 4])
        let make = { (array: CheckpointArray) in
            try CheckpointImage(CheckpointContents(attributes: [("step", .integer(3))], arrays: [array])).sha256
        }
        let view = try make(CheckpointArray(path: "a/b", dimensions: [2, 2], layout: "x", values: buffer.values))
        let array = try make(CheckpointArray(path: "a/b", dimensions: [2, 2], layout: "x", values: [1, 2, 3, 4]))
        #expect(view == array)
        let other = try make(CheckpointArray(path: "a/b", dimensions: [2, 2], layout: "x", values: [1, 2, 3, 5]))
        #expect(view != other)
    }

    /// Each bit of a small checkpoint, the trailer's too, is checked: no flipped one is accepted.
    @Test func anyFlippedBitIsRefused() throws {
        let contents = CheckpointContents(
            attributes: [("step", .integer(1))],
            arrays: [
                CheckpointArray(path: "w", dimensions: [1], layout: "out", values: [1])
            ])
        let image = try CheckpointImage(contents)
        var bytes = Array(image.bytes)
        let path = folder.write("flip.h5", bytes)
        _ = try CheckpointFile.read(path)
        let descriptor = open(path, O_WRONLY)
        defer { close(descriptor) }
        var accepted: [Int] = []
        for bit in 0 ..< 8 * bytes.count {
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            pwrite(descriptor, &bytes[bit / 8], 1, off_t(bit / 8))
            if (try? CheckpointFile.read(path)) != nil { accepted.append(bit) }
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            pwrite(descriptor, &bytes[bit / 8], 1, off_t(bit / 8))
        }
        #expect(accepted.isEmpty, "flipped bits accepted: \(accepted.prefix(10)) of \(8 * bytes.count)")
        _ = try CheckpointFile.read(path)
    }

    @Test func anyLengthButTheWrittenIsRefused() throws {
        let image = try CheckpointImage(exampleContents())
        let bytes = Array(image.bytes)
        for length in stride(from: 0, to: bytes.count, by: 97) + [bytes.count - 1] {
            let path = folder.write("cut.h5", Array(bytes[..<length]))
            expectError(.badData, "cut.h5") { _ = try CheckpointFile.read(path) }
        }
        let path = folder.write("long.h5", bytes + [0])
        expectError(.badData, "long.h5") { _ = try CheckpointFile.read(path) }
        let zeroed = folder.write(
            "zero.h5", Array(bytes[..<2000]) + [UInt8](repeating: 0, count: bytes.count - 2064) + bytes.suffix(64))
        expectError(.badData, "zero.h5", "SHA-256") { _ = try CheckpointFile.read(zeroed) }
    }

    @Test func otherThingsAreNamed() {
        expectError(.missingInput, "nowhere.h5") { _ = try CheckpointFile.read(folder.file("nowhere.h5")) }
        expectError(.badData, "folder") { _ = try CheckpointFile.read(folder.path) }
        let text = folder.write("text.h5", Array(String(repeating: "no checkpoint ", count: 100).utf8))
        expectError(.badData, "text.h5", "not a checkpoint") { _ = try CheckpointFile.verify(text) }
    }
}

@Suite struct CheckpointFolderTests {
    let temporary = TemporaryFolder()
    var path: String { temporary.file("checkpoints") }

    private func commit(_ folder: CheckpointFolder, _ step: Int, isBest: Bool = false) throws {
        try folder.commit(CheckpointImage(exampleContents(step: step, shift: Float(step))), isBest: isBest)
    }

    private var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path))?.sorted() ?? [] }

    @Test func keepsTheNewestAndPointsToIt() throws {
        let folder = CheckpointFolder(path, keep: 2)
        try folder.create()
        for step in [5, 10, 100_000_000, 20] where step < 1000 { try commit(folder, step) }
        #expect(names == ["latest", "step-00000010.h5", "step-00000020.h5"])
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: path + "/latest") == "step-00000020.h5")
        #expect(try #require(try folder.newestValid { _ in }).contents.step == 20)
        #expect(CheckpointFolder.name(step: 123_456_789) == "step-123456789.h5")
    }

    @Test func theBestStaysUntilThereIsABetter() throws {
        let folder = CheckpointFolder(path, keep: 1)
        try folder.create()
        for step in [1, 2, 3, 4] { try commit(folder, step, isBest: step == 2) }
        #expect(names == ["best", "latest", "step-00000002.h5", "step-00000004.h5"])
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: path + "/best") == "step-00000002.h5")
        // The next job is told, and takes the newest.
        let next = CheckpointFolder(path, keep: 1)
        #expect(try #require(try next.newestValid { _ in }).contents.step == 4)
        next.keepBest(step: 2)
        try commit(next, 5)
        #expect(names == ["best", "latest", "step-00000002.h5", "step-00000005.h5"])
        try commit(next, 6, isBest: true)
        #expect(names == ["best", "latest", "step-00000006.h5"])
    }

    @Test func skipsBadOnesWithAWarning() throws {
        let folder = CheckpointFolder(path, keep: 3)
        try folder.create()
        for step in [1, 2, 3] { try commit(folder, step) }
        let handle = try #require(FileHandle(forUpdatingAtPath: folder.file(step: 3)))
        try handle.seek(toOffset: 1000)
        try handle.write(contentsOf: Data([0x55, 0x66, 0x77]))
        try FileManager.default.removeItem(atPath: path + "/latest")
        try FileManager.default.createSymbolicLink(atPath: path + "/latest", withDestinationPath: "/etc/passwd")
        var warnings: [String] = []
        let found = try #require(try folder.newestValid { warnings.append($0) })
        #expect(found.contents.step == 2 && found.path.hasSuffix("step-00000002.h5"))
        #expect(warnings.count == 1 && warnings[0].contains("step-00000003.h5") && warnings[0].contains("SHA-256"))
    }

    @Test func noneIsNilAndOnlyBadOnesIsAnError() throws {
        let folder = CheckpointFolder(path, keep: 3)
        #expect(try folder.newestValid { _ in } == nil)
        try folder.create()
        #expect(try folder.newestValid { _ in } == nil)
        _ = FileManager.default.createFile(atPath: folder.file(step: 7), contents: Data("junk".utf8))
        expectError(.badData, "step-00000007.h5") { _ = try folder.newestValid { _ in } }
    }

    @Test func aWrongNameIsFound() throws {
        let folder = CheckpointFolder(path, keep: 3)
        try folder.create()
        try commit(folder, 1)
        try FileManager.default.copyItem(atPath: folder.file(step: 1), toPath: folder.file(step: 9))
        #expect(try #require(try folder.newestValid { _ in }).contents.step == 1)
    }

    /// A run resumed from an older checkpoint, with newer ones of another future beside it, keeps what it writes.
    @Test func pruningCountsGoodOnesUpToTheNewOne() throws {
        let folder = CheckpointFolder(path, keep: 2)
        try folder.create()
        for step in [10, 20] { try commit(folder, step) }
        _ = FileManager.default.createFile(atPath: folder.file(step: 30), contents: Data("junk".utf8))
        for step in [11, 35] { try commit(folder, step) }
        #expect(names.contains("step-00000035.h5") && names.contains("step-00000020.h5"))
        #expect(!names.contains("step-00000011.h5"))
    }

    @Test func leftoversAreRemoved() throws {
        let folder = CheckpointFolder(path, keep: 2)
        try folder.create()
        try commit(folder, 1)
        _ = FileManager.default.createFile(atPath: path + "/.step-00000002.h5.host.17.tmp", contents: Data())
        folder.removeLeftovers()
        #expect(names == ["latest", "step-00000001.h5"])
    }

    @Test func aFolderThatCannotBeMade() {
        temporary.write("file", [1])
        expectError(.cannotCreate, "file") {
            try CheckpointFolder(temporary.file("file/checkpoints"), keep: 1).create()
        }
    }

    // MARK: Each call fails once

    static let faults: [(String, SystemCalls)] = [
        ("room", SystemCalls(allocate: { _, _ in ENOSPC })),
        (
            "written",
            SystemCalls(write: { _, _, _ in
                errno = ENOSPC; return -1
            })
        ),
        (
            "written",
            SystemCalls(write: { _, _, _ in
                errno = EIO; return -1
            })
        ),
        (
            "disk",
            SystemCalls(fsync: { _ in
                errno = EIO; return -1
            })
        ),
        (
            "closed",
            SystemCalls(close: {
                close($0); errno = EDQUOT; return -1
            })
        ),
        (
            "renamed",
            SystemCalls(rename: { _, _ in
                errno = EROFS; return -1
            })
        ),
        // A disk that says it wrote what it did not.
        (
            "reads back",
            SystemCalls(write: { descriptor, _, count in
                let zeros = [UInt8](repeating: 0, count: count)
                return write(descriptor, zeros, count)
            })
        ),
    ]

    @Test(arguments: 0 ..< faults.count) func anyFailureLeavesTheOldOnes(_ index: Int) throws {
        let (text, calls) = Self.faults[index]
        try CheckpointFolder(path, keep: 1).create()
        try commit(CheckpointFolder(path, keep: 1), 1)
        let before = temporary.read("checkpoints/step-00000001.h5")
        do {
            try commit(CheckpointFolder(path, keep: 1, calls: calls), 2)
            Issue.record("no error: \(text)")
        } catch let error as Failure {
            #expect(error.code == .inputOutput)
            #expect(error.message.contains("step-00000002.h5"))
        }
        #expect(names == ["latest", "step-00000001.h5"])
        #expect(temporary.read("checkpoints/step-00000001.h5") == before)
    }

    @Test func shortAndInterruptedWritesAreContinued() throws {
        nonisolated(unsafe) var count = 0
        let calls = SystemCalls(write: { descriptor, bytes, size in
            count += 1
            if count % 3 == 0 { errno = EINTR; return -1 }
            return write(descriptor, bytes, min(size, 100))
        })
        let folder = CheckpointFolder(path, keep: 1, calls: calls)
        try folder.create()
        try commit(folder, 4)
        #expect(count > 10)
        #expect(try #require(try folder.newestValid { _ in }).contents.step == 4)
    }
}
