import CZlib
import Foundation
import Testing
@testable import Storage

@Suite struct ImportTests {
    let folder = TemporaryFolder()

    private func idx(_ dimensions: [Int], _ values: [UInt8], type: UInt8 = 8) -> [UInt8] {
        [0, 0, type, UInt8(dimensions.count)]
            + dimensions.flatMap { size in (0 ..< 4).map { UInt8(truncatingIfNeeded: size >> (24 - 8 * $0)) } } + values
    }

    @discardableResult private func writeGzip(_ name: String, _ bytes: [UInt8]) throws -> String {
        let file = try #require(gzopen(folder.file(name), "wb"))
        #expect(gzwrite(file, bytes, UInt32(bytes.count)) == Int32(bytes.count))
        gzclose(file)
        return folder.file(name)
    }

    private let images: [UInt8] = (0 ..< 3 * 4 * 2).map { UInt8($0 * 10) }

    private func run(_ images: String, _ labels: String? = nil, size: Int? = nil) throws {
        try IDXImport.run(
            images: images, labels: labels, size: size, name: "test", source: "here", license: "none",
            to: folder.file("out.h5"))
    }

    @Test(arguments: [false, true]) func imagesAndLabels(_ gzip: Bool) throws {
        let bytes = idx([3, 4, 2], images), labels = idx([3], [7, 0, 255])
        if gzip {
            try run(writeGzip("i.gz", bytes), writeGzip("l.gz", labels))
        } else {
            try run(folder.write("i", bytes), folder.write("l", labels))
        }
        let dataset = try Dataset(folder.file("out.h5"))
        #expect(
            try dataset.shape == [4, 2, 1] && dataset.labels == [7, 0, 255] && dataset.source == "here"
                && dataset.storedType == "uint8")
        #expect(try read(SampleSource(dataset, range: 0 ... 255), [0, 1, 2]) == images.map { Float($0) })
        #expect(!folder.names.contains { $0.hasSuffix(".tmp") })
    }

    @Test func imagesAreCentredInZeros() throws {
        try run(folder.write("i", idx([3, 4, 2], images)), size: 7)
        let dataset = try Dataset(folder.file("out.h5"))
        #expect(dataset.shape == [7, 7, 1])
        // The same as padding when it is read.
        try run2(folder.write("i", idx([3, 4, 2], images)))
        let padded = try SampleSource(Dataset(folder.file("plain.h5")), shape: [7, 7, 1], fit: .pad, range: -1 ... 1)
        #expect(try read(SampleSource(dataset, range: -1 ... 1), [2, 0, 1]) == read(padded, [2, 0, 1]))
    }

    private func run2(_ images: String) throws {
        try IDXImport.run(
            images: images, labels: nil, size: nil, name: "", source: "", license: "", to: folder.file("plain.h5"))
    }

    @Test func badFilesLeaveNothing() throws {
        let good = idx([3, 4, 2], images)
        let cases: [(String, [UInt8], String)] = [
            ("cut", Array(good.dropLast()), "values"), ("long", good + [0], "longer"),
            ("head", Array(good.prefix(9)), "header"),
            ("empty", [], "header"), ("float", idx([3, 4, 2], images, type: 13), "IDX"),
            ("labels", idx([3], [1, 2, 3]), "IDX"),
            ("zero", idx([3, 0, 2], []), "dimensions"),
            ("huge", idx([0xffff_ffff, 0xffff_ffff, 0xffff_ffff], []), "dimensions"),
            ("many", idx([0xffff_ffff, 28, 28], images), "values"),
        ]
        for (name, bytes, text) in cases { expectError(.badData, name, text) { try run(folder.write(name, bytes)) } }
        let compressed = try FileManager.default.contents(
            atPath: writeGzip("g.gz", idx([1, 50, 50], (0 ..< 2500).map { UInt8(truncatingIfNeeded: $0 * $0) })))
        let whole = Array(try #require(compressed))
        expectError(.badData, "cut.gz") { try run(folder.write("cut.gz", Array(whole.dropLast(20)))) }
        var changed = whole
        changed[whole.count - 6] ^= 1
        expectError(.badData, "crc.gz") { try run(folder.write("crc.gz", changed)) }
        expectError(.missingInput, "none") { try run(folder.file("none")) }
        expectError(.missingInput, "none.gz") { try run(folder.write("i", good), folder.file("none.gz")) }
        expectError(.badData, "2 labels", "3 images") {
            try run(folder.write("i", good), folder.write("l", idx([2], [1, 2])))
        }
        expectError(.badData, "not to 3") { try run(folder.write("i", good), size: 3) }
        #expect(!folder.names.contains { $0.hasPrefix("out") || $0.hasPrefix(".") }, "\(folder.names)")
    }

    @Test(.enabled(if: FileManager.default.fileExists(atPath: FashionMNIST.defaultFolder))) func fashionMNIST() throws {
        try FashionMNIST.run(part: .test, size: 32, to: folder.file("f.h5"))
        let info = try DatasetInfo(folder.file("f.h5"))
        #expect(info.count == 10_000 && info.shape == [32, 32, 1] && info.license == "MIT")
        #expect(try #require(info.labels).allSatisfy { $0.count == 1000 })
        #expect(try #require(info.labels).map(\.label) == Array(0 ..< 10))
        // The mean of the test set's pixels, 0.2868, is in many programs' normalisation constants.
        #expect(abs(info.mean * 1024 / 784 / 255 - 0.2868) < 0.0002)
    }

    @Test func fashionMNISTSaysHowToGetIt() {
        expectError(.missingInput, "dataset-fashion-mnist", "--dir") {
            try FashionMNIST.run(folder: folder.path, to: folder.file("f.h5"))
        }
    }
}
