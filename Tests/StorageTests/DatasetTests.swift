import Foundation
import Kernels
import Support
import Testing
@testable import Storage

func read(_ source: SampleSource, _ indices: [Int]) throws -> [Float] {
    let buffer = FloatBuffer(count: indices.count * source.elements)
    try source.read(indices, into: buffer.values)
    return buffer.values.array
}

/// What the fixtures hold: 7 i mod 256.
func pixel(_ index: Int) -> Float { Float(7 * index % 256) }

@Suite struct DatasetTests {
    @Test(arguments: ["uint8.h5", "uint8_nhw.h5", "soft_link.h5", "labels.h5"]) func bytes(_ name: String) throws {
        let dataset = try Dataset(fixture(name))
        #expect(dataset.count == 5 && dataset.shape == [4, 3, 1] && dataset.layout == .channelsLast)
        #expect(dataset.declaredRange == 0 ... 255)
        for limit in [0, 1 << 20] {
            let source = try SampleSource(dataset, range: -1 ... 1, memoryLimit: limit)
            #expect(source.isResident == (limit > 0))
            let order = [4, 0, 2, 2, 1]
            let expected = order.flatMap { example in (0 ..< 12).map { pixel(12 * example + $0) / 127.5 - 1 } }
            for (value, wanted) in zip(try read(source, order), expected) { #expect(abs(value - wanted) < 1e-6) }
        }
    }

    /// Values that were read into somebody's memory are used there, and checked as others are.
    @Test(arguments: ["uint8.h5", "float_unit.h5", "uint8_nchw.h5"]) func residentValues(_ name: String) throws {
        let dataset = try Dataset(fixture(name))
        let memory = FloatBuffer(count: (dataset.storedBytes + 3) / 4)
        try dataset.read(into: memory.values)
        let own = try SampleSource(dataset, range: -1 ... 1)
        let resident = try SampleSource(dataset, range: -1 ... 1, resident: memory)
        let order = [1, 0, 2]
        #expect(try read(resident, order) == read(own, order))
        #expect(try read(resident.scaled(to: 0 ... 3), order) == read(own.scaled(to: 0 ... 3), order))
        memory.values.fill(dataset.isBytes ? 0 : .nan)
        if dataset.isBytes {
            #expect(try read(resident, order) != read(own, order))
        } else {
            #expect(throws: Failure.self) { try SampleSource(dataset, range: -1 ... 1, resident: memory) }
        }
    }

    @Test func endsOfTheRangeAreExact() throws {
        let folder = TemporaryFolder(), path = folder.file("a.h5")
        let description = DatasetDescription(
            name: "a", source: "", license: "", dimensions: [1, 1, 2, 1], element: .uint8, range: nil)
        try DatasetWriter.write(path, description) { (writer) throws(Failure) in
            try writer.append([0, 255] as [UInt8])
        }
        #expect(try read(SampleSource(Dataset(path), range: -1 ... 1), [0]) == [-1, 1])
        #expect(try read(SampleSource(Dataset(path), range: 0 ... 1), [0]) == [0, 1])
        #expect(try read(SampleSource(Dataset(path), range: nil), [0]) == [0, 255])
    }

    @Test(arguments: ["uint8_nchw.h5", "uint8_nchw_bytes.h5"]) func channelsFirstBecomeLast(_ name: String) throws {
        let dataset = try Dataset(fixture(name))
        #expect(dataset.shape == [4, 5, 3] && dataset.count == 3)
        for limit in [0, 1 << 20] {
            let values = try read(SampleSource(dataset, range: 0 ... 255, memoryLimit: limit), [2, 1])
            for y in 0 ..< 4 {
                for x in 0 ..< 5 {
                    for c in 0 ..< 3 {
                        #expect(values[(y * 5 + x) * 3 + c] == pixel(((2 * 3 + c) * 4 + y) * 5 + x))
                    }
                }
            }
        }
    }

    @Test(arguments: [
        ("float_unit.h5", 0.0, 1.0), ("float_big_endian.h5", -1.0, 1.0), ("float_range.h5", -50.0, 150.0),
        ("float16.h5", 0.0, 1.0),
    ]) func floats(_ name: String, _ low: Double, _ high: Double) throws {
        for limit in [0, 1 << 20] {
            let source = try SampleSource(Dataset(fixture(name)), range: -1 ... 1, memoryLimit: limit)
            #expect(source.valueRange?.bounds == low ... high)
            let values = try read(source, [0, 1, 2, 3, 4, 5])
            for (index, value) in values.enumerated() { #expect(abs(value - (2 * Float(index) / 71 - 1)) < 1e-3) }
            let tolerance: Float = name == "float16.h5" ? 1e-3 : 1e-6
            #expect(abs(values[0] + 1) < tolerance && abs(values[71] - 1) < tolerance)
        }
    }

    @Test func vectorsStayAsTheyAre() throws {
        let dataset = try Dataset(fixture("samples.h5"))
        #expect(dataset.shape == [2] && dataset.layout == .vector)
        let values = try read(SampleSource(dataset, range: nil), [5, 0])
        #expect(values[1] == 8 && values[2] == -3)
    }

    @Test func anotherPathByName() throws {
        for name in ["train/pixels", "/train/pixels"] {
            let dataset = try Dataset(fixture("elsewhere.h5"), dataset: name)
            #expect(dataset.shape == [4, 3, 1] && dataset.name == "/train/pixels")
        }
        expectError(.badData, "elsewhere.h5", "/images", "/train") { _ = try Dataset(fixture("elsewhere.h5")) }
    }

    /// Runs of neighbours, jumps, repetitions and blocks longer than the buffer give what memory gives.
    @Test func hyperslabsGiveWhatMemoryGives() throws {
        let dataset = try Dataset(fixture("chunked.h5"))
        let resident = try SampleSource(dataset, range: -1 ... 1)
        let streaming = try SampleSource(dataset, range: -1 ... 1, memoryLimit: 0)
        var orders = [Array(0 ..< 100), Array((0 ..< 100).reversed()), [99, 0, 50, 50, 51, 49], []]
        orders.append(Draws(seed: 3, purpose: .shuffle, step: 0).permutation(count: 100).map { Int($0) })
        for order in orders { #expect(try read(resident, order) == read(streaming, order)) }
    }

    /// In the same memory, and after the source itself is gone.
    @Test(arguments: ["uint8.h5", "uint8_nchw.h5", "float_range.h5", "float16.h5", "samples.h5"])
    func anotherRangeIsAsIfReadWithIt(_ name: String) throws {
        let dataset = try Dataset(fixture(name)), order = [2, 0, 0, 1]
        for limit in [0, 1 << 20] {
            let isVector = dataset.layout == .vector, size = dataset.shape
            let shape = isVector ? size : [size[0] + 2, size[1] + 1, size[2]]
            func source(_ range: ClosedRange<Float>) throws -> SampleSource {
                try SampleSource(
                    dataset, shape: shape, fit: .pad, range: isVector ? nil : range, memoryLimit: limit)
            }
            let scaled = try source(-1 ... 1).scaled(to: 0 ... 1), expected = try read(source(0 ... 1), order)
            #expect(try read(scaled, order) == expected)
            #expect(try isVector || read(source(-1 ... 1), order) != expected)
        }
    }

    @Test func labelsAndInformation() throws {
        let info = try DatasetInfo(fixture("labels.h5"))
        #expect(info.count == 5 && info.shape == [4, 3, 1] && info.type == "uint8" && info.range?.bounds == 0 ... 255)
        #expect(info.name == "five" && info.license == "CC0-1.0" && info.source == nil)
        #expect(info.minimum == 0 && info.maximum == 252)
        #expect(abs(info.mean - (0 ..< 60).map { Double(pixel($0)) }.reduce(0, +) / 60) < 1e-9)
        #expect(try #require(info.labels).map(\.label) == [0, 1, 3])
        #expect(try #require(info.labels).map(\.count) == [1, 2, 2])
        #expect(try Dataset(fixture("labels.h5")).labels == [3, 1, 3, 0, 1])
    }

    @Test func fingerprintsTellFilesApart() throws {
        let first = try Dataset(fixture("uint8.h5")).fingerprint()
        #expect(try Dataset(fixture("uint8.h5")).fingerprint() == first)
        #expect(try Dataset(fixture("float_unit.h5")).fingerprint() != first)
    }

    @Test func meansAreOfWhatIsRead() throws {
        let source = try SampleSource(Dataset(fixture("uint8.h5")), range: 0 ... 255)
        let means = try source.means()
        #expect(means.count == 12)
        #expect(abs(means[5] - (0 ..< 5).map { pixel(12 * $0 + 5) }.reduce(0, +) / 5) < 1e-4)
    }

    // MARK: Another size

    @Test(arguments: [[9, 4], [3, 5], [12, 10]]) func resizingIsPyTorchs(_ size: [Int]) throws {
        let path = try fixture("resize.h5")
        let source = try SampleSource(Dataset(path), shape: size + [3], fit: .resize, range: 0 ... 1)
        let expected: [Float] = try HDF5File.openToRead(path).dataset("/expected/\(size[0])x\(size[1])").readAll()
        for (value, wanted) in zip(try read(source, [0, 1]), expected) { #expect(abs(value - wanted) < 1e-6) }
    }

    @Test func paddingIsCentredAndDark() throws {
        let source = try SampleSource(Dataset(fixture("uint8.h5")), shape: [7, 6, 1], fit: .pad, range: -1 ... 1)
        let values = try read(source, [1])
        for y in 0 ..< 7 {
            for x in 0 ..< 6 {
                let inside = (1 ..< 5).contains(y) && (1 ..< 4).contains(x)
                let wanted = inside ? pixel(12 + (y - 1) * 3 + x - 1) / 127.5 - 1 : -1
                #expect(abs(values[y * 6 + x] - wanted) < 1e-6, "at \(y), \(x)")
            }
        }
    }

    @Test func anotherSizeIsRefusedWithARemedy() throws {
        let bytes = try Dataset(fixture("uint8.h5"))
        expectError(.badData, "uint8.h5", "pad or resize") {
            _ = try SampleSource(bytes, shape: [8, 8, 1], range: 0 ... 1)
        }
        expectError(.badData, "resize") { _ = try SampleSource(bytes, shape: [2, 8, 1], fit: .pad, range: 0 ... 1) }
        expectError(.badData, "channels") { _ = try SampleSource(bytes, shape: [4, 3, 3], fit: .pad, range: 0 ... 1) }
        expectError(.badData, "[784]") { _ = try SampleSource(bytes, shape: [784], fit: .pad, range: 0 ... 1) }
    }

    // MARK: Bad files

    @Test(arguments: [
        ("layout.h5", "NHWC"), ("range_reversed.h5", "range"), ("compound.h5", "compound"), ("text.h5", "text;"),
        ("vlen.h5", "varying"), ("rank1.h5", "[60]"),
        ("rank5.h5", "[2, 2, 2, 2, 2]"), ("scalar.h5", "[]"), ("no_examples.h5", "empty"), ("no_space.h5", "shape"),
        ("zero_height.h5", "empty"), ("overflow.h5", "more than any memory"), ("never_filled.h5", "never filled"),
        ("mostly_empty.h5", "never filled"), ("lzf.h5", "32000"), ("huge_chunk.h5", "huge_chunk.h5"),
        ("group.h5", "group"),
        ("nothing.h5", "no dataset"),
        ("external_link.h5", "another file"), ("soft_to_external.h5", "soft_to_external.h5"),
        ("soft_loop.h5", "soft_loop.h5"),
        ("external_storage.h5", "another file"), ("virtual.h5", "virtual"),
    ]) func isRefusedAtOpening(_ name: String, _ text: String) {
        expectError(.badData, name, text) { _ = try Dataset(fixture(name)) }
    }

    @Test(arguments: [
        ("nan.h5", "example 3"), ("infinite.h5", "example 5"), ("outside_range.h5", "example 5"),
        ("float_no_range.h5", "range"),
    ]) func isRefusedWhenRead(_ name: String, _ text: String) {
        for limit in [0, 1 << 20] {
            expectError(.badData, name, text, "/images") {
                let source = try SampleSource(Dataset(fixture(name)), range: -1 ... 1, memoryLimit: limit)
                _ = try read(source, Array(0 ..< 6))
            }
        }
        if name != "float_no_range.h5" { expectError(.badData, name, text) { _ = try DatasetInfo(fixture(name)) } }
    }

    @Test func labelsThatNothingUsesRefuseNothing() throws {
        let dataset = try Dataset(fixture("labels_wrong_count.h5"))
        expectError(.badData, "labels_wrong_count.h5", "/labels") { _ = try dataset.labels }
    }

    @Test(arguments: ["int8.h5", "int16.h5"]) func integersNeedARange(_ name: String) throws {
        let dataset = try Dataset(fixture(name))
        expectError(.badData, name, "int", "range") { _ = try SampleSource(dataset, range: 0 ... 1) }
        let high = name == "int8.h5" ? 126.0 : 252.0
        #expect(
            try read(SampleSource(dataset, range: 0 ... 1, given: 0 ... high), Array(0 ..< dataset.count)).max() == 1)
    }

    @Test func whatIsNoDatasetIsNamed() throws {
        let folder = TemporaryFolder()
        expectError(.missingInput, "nowhere.h5", "No such file") { _ = try Dataset(folder.file("nowhere.h5")) }
        expectError(.badData, "a folder") { _ = try Dataset(folder.path) }
        expectError(.badData, "empty.h5", "empty") { _ = try Dataset(folder.write("empty.h5", [])) }
        expectError(.badData, "text.h5", "not an HDF5 file") {
            _ = try Dataset(folder.write("text.h5", Array("hello".utf8)))
        }
        mkfifo(folder.file("pipe.h5"), 0o600)
        expectError(.badData, "pipe.h5", "not a regular file") { _ = try Dataset(folder.file("pipe.h5")) }
        symlink("gone", folder.file("link.h5"))
        expectError(.missingInput, "link.h5") { _ = try Dataset(folder.file("link.h5")) }
        expectError(.missingInput, "too long") { _ = try Dataset(folder.file(String(repeating: "x", count: 5000))) }
    }

    /// Changed bytes are not tried here: HDF5 1.10.8 itself can crash on them, and with it this process.
    @Test(.timeLimit(.minutes(2))) func filesCutAnywhereAreErrors() throws {
        let folder = TemporaryFolder()
        let whole = Array(try Data(contentsOf: URL(fileURLWithPath: fixture("float_big_endian.h5"))))
        for length in stride(from: 1, to: whole.count, by: 61) + [whole.count - 1] {
            expectError(.badData, "cut.h5") { _ = try DatasetInfo(folder.write("cut.h5", Array(whole[..<length]))) }
        }
    }

    @Test func namesWithSpacesAndLetters() throws {
        let folder = TemporaryFolder()
        let path = folder.file("zwei Wörter\n.h5")
        try FileManager.default.copyItem(atPath: fixture("uint8.h5"), toPath: path)
        #expect(try Dataset(path).count == 5)
    }
}
