import CPNG
import Foundation
import Kernels
import Testing
@testable import Storage

@Suite struct DiffTests {
    @Test func theSameStateIsTheSame() {
        #expect(CheckpointDiff.run(exampleContents(), exampleContents()).isEmpty)
        var other = exampleContents()
        for name in ["ranks", "created", "program_version", "blas"] {
            other.attributes.removeAll { $0.name == name }
        }
        #expect(CheckpointDiff.run(exampleContents(), other).isEmpty)
    }

    @Test func eachDifferenceIsNamed() throws {
        var other = exampleContents(step: 13, shift: 0.5)
        other.arrays.removeAll { $0.path.hasPrefix("optimizer") }
        other.arrays.append(CheckpointArray(path: "average/0.dense/bias", dimensions: [1], layout: "out", values: [0]))
        let folder = TemporaryFolder()
        try CheckpointImage(exampleContents()).write(to: folder.file("a.h5"))
        try CheckpointImage(other).write(to: folder.file("b.h5"))
        let found = try CheckpointDiff.run(folder.file("a.h5"), folder.file("b.h5"))
        let kinds = Dictionary(uniqueKeysWithValues: found.map { ($0.path, $0.kind) })
        #expect(kinds.count == 5)
        #expect(kinds["@step"] == .attribute("12", "13"))
        #expect(kinds["generator/0.dense/weight"] == .values(count: 1, largest: 0.5))
        #expect(kinds["optimizer/generator/first/0.dense/bias"] == .onlyInFirst)
        #expect(kinds["average/0.dense/bias"] == .onlyInSecond)
    }

    /// Bits, not values: −0 is not 0, and one NaN is the same as itself.
    @Test func bitsAreCompared() {
        let contents = { (values: [Float]) in
            CheckpointContents(
                attributes: [("step", .integer(1))],
                arrays: [CheckpointArray(path: "a", dimensions: [2], layout: "", values: values)])
        }
        #expect(CheckpointDiff.run(contents([0, .nan]), contents([0, .nan])).isEmpty)
        #expect(
            CheckpointDiff.run(contents([0, 1]), contents([-0.0, 1])).map(\.kind) == [.values(count: 1, largest: 0)])
        #expect(CheckpointDiff.run(contents([1, 1]), contents([1, 1.0.nextUp == 1 ? 1 : Float(1).nextUp])).count == 1)
    }
}

@Suite struct TraceTests {
    @Test func arraysAreAddedStepByStep() throws {
        let folder = TemporaryFolder(), path = folder.file("t.h5")
        let noise = FloatBuffer([0.25, 4])
        let trace = try TraceWriter(path, attributes: [("config", .string("name: x"))])
        for step in ["000000", "000001"] {
            try trace.append([
                TraceArray("/steps/\(step)/discriminator/0/loss_real", 0.5),
                TraceArray("steps/\(step)/discriminator/0/real_index", indices: [3, 1]),
                TraceArray("steps/\(step)/discriminator/0/noise", [2, 1], noise.values),
            ])
            // Closed between the steps: another may read it.
            let file = try HDF5File.openToRead(path)
            let stored: [Float] = try file.dataset("/steps/\(step)/discriminator/0/noise").readAll()
            let indices: [Int64] = try file.dataset("/steps/\(step)/discriminator/0/real_index").readAll()
            #expect(stored == [0.25, 4] && indices == [3, 1])
            #expect(try file.dataset("/steps/\(step)/discriminator/0/loss_real").dimensions == [])
        }
        #expect(try HDF5File.openToRead(path).root.attribute("config") == .string("name: x"))
        expectError(.cannotCreate, "exists") { _ = try TraceWriter(path, attributes: []) }
    }
}

@Suite struct PictureTests {
    /// Reads a PNG file back with libpng.
    private func decode(_ path: String, channels: Int) throws -> (pixels: [UInt8], width: Int, height: Int) {
        var image = png_image()
        image.version = UInt32(PNG_IMAGE_VERSION)
        try #require(png_image_begin_read_from_file(&image, path) != 0)
        #expect(image.format == (channels == 1 ? 0 : UInt32(PNG_FORMAT_FLAG_COLOR)))
        var pixels = [UInt8](repeating: 9, count: Int(image.width * image.height) * channels)
        try #require(png_image_finish_read(&image, nil, &pixels, 0, nil) != 0)
        return (pixels, Int(image.width), Int(image.height))
    }

    @Test(arguments: [1, 3]) func aGridIsReadBack(_ channels: Int) throws {
        let folder = TemporaryFolder(), path = folder.file("g.png")
        let count = 5, height = 3, width = 2, row = width * channels
        let buffer = FloatBuffer((0 ..< count * height * row).map { Float($0) / 40 - 1 })
        buffer.values[0] = .nan
        buffer.values[1] = 17
        try PNGGrid.write(buffer.values, shape: [height, width, channels], range: -1 ... 1, to: path)
        let read = try decode(path, channels: channels)
        #expect(read.width == 3 * 2 + 2 && read.height == 2 * 3 + 1)
        for index in 0 ..< count {
            for y in 0 ..< height {
                for x in 0 ..< row {
                    let value = buffer.values[(index * height + y) * row + x]
                    let wanted = value.isNaN ? 0 : UInt8(min(max((value + 1) * 127.5, 0), 255).rounded())
                    let at = ((index / 3 * 4 + y) * read.width + index % 3 * 3) * channels + x
                    #expect(read.pixels[at] == wanted)
                }
            }
        }
        // The gaps and the last, empty place are black.
        for y in 0 ..< read.height { #expect(read.pixels[(y * read.width + 2) * channels] == 0) }
        #expect(read.pixels.last == 0)
        #expect(folder.names == ["g.png"])
        try PNGGrid.write(buffer.values, shape: [height, width, channels], range: -1 ... 1, columns: 5, to: path)
        #expect(try decode(path, channels: channels).width == 14)
    }

    @Test func noiseFitsToo() throws {
        let folder = TemporaryFolder(), buffer = FloatBuffer(count: 64 * 32 * 32)
        Draws(seed: 1, purpose: .synthetic, step: 0).fillUniform(buffer.values, samples: 64, low: 0, high: 1)
        try PNGGrid.write(buffer.values, shape: [32, 32, 1], range: 0 ... 1, to: folder.file("n.png"))
        #expect(try decode(folder.file("n.png"), channels: 1).width == 8 * 33 - 1)
        expectError(.cannotCreate, "none/n.png") {
            try PNGGrid.write(buffer.values, shape: [32, 32, 1], range: 0 ... 1, to: folder.file("none/n.png"))
        }
    }
}

/// A file system of 1 MiB, where the tests may mount one.
@Suite(.serialized, .enabled(if: SmallDisk.isPossible, "mounting needs root")) struct FullDiskTests {
    @Test func aCheckpointThatDoesNotFit() throws {
        let disk = try SmallDisk()
        let folder = CheckpointFolder(disk.path + "/checkpoints", keep: 2)
        try folder.create()
        let contents = { (step: Int, count: Int) in
            CheckpointContents(
                attributes: [("step", .integer(step))],
                arrays: [
                    CheckpointArray(
                        path: "a", dimensions: [count], layout: "", values: [Float](repeating: 1, count: count))
                ])
        }
        try folder.commit(CheckpointImage(contents(1, 100_000)))
        expectError(.inputOutput, "step-00000002.h5", "No space left") {
            try folder.commit(CheckpointImage(contents(2, 200_000)))
        }
        #expect(try #require(try folder.newestValid { _ in }).contents.step == 1)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == ["latest", "step-00000001.h5"])
    }

    @Test func aDatasetThatDoesNotFit() throws {
        let disk = try SmallDisk()
        expectError(.inputOutput) { try SyntheticKind.grid.write(to: disk.path + "/grid.h5", count: 100_000, seed: 1) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: disk.path).isEmpty)
    }
}

final class SmallDisk {
    let path: String
    private let folder = TemporaryFolder()

    static let isPossible = geteuid() == 0 && (try? SmallDisk()) != nil

    init() throws {
        path = folder.path
        guard Self.call("/bin/mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path) else {
            throw CocoaError(.fileWriteUnknown)
        }
    }

    deinit { _ = Self.call("/bin/umount", path) }

    private static func call(_ arguments: String...) -> Bool {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: arguments[0])
        process.arguments = Array(arguments.dropFirst())
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return false }
        process.waitUntilExit()
        return process.terminationStatus == 0
    }
}
