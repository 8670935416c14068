import Foundation
import Kernels
import Support
import Testing
@testable import Storage

@Suite struct MinibatchTests {
    /// Examples that are their own number.
    private func numbers(_ count: Int) -> SampleSource {
        SampleSource(vectors: (0 ..< count).map { Float($0) }, dimension: 1)
    }

    /// Epochs are permutations laid end to end, whatever the minibatch is cut out of them: also longer than an epoch.
    @Test(arguments: [(10, 3), (10, 10), (7, 16), (1, 4), (64, 2)]) func everyEpochIsAPermutation(
        _ count: Int, _ batch: Int
    ) {
        let order = MinibatchOrder(count: count, batch: batch, seed: 5)
        let stream = (0 ..< 40).flatMap { order.indices(minibatch: $0) }
        #expect(stream.count == 40 * batch)
        var epochs: [[Int]] = []
        for start in stride(from: 0, through: stream.count - count, by: count) {
            epochs.append(Array(stream[start ..< start + count]))
            #expect(epochs.last?.sorted() == Array(0 ..< count))
        }
        // Ten examples have 3.6 million orders: two equal ones among these few would be no chance.
        guard count >= 10 else { return }
        #expect(Set(epochs).count == epochs.count, "epochs repeat")
        #expect(
            MinibatchOrder(count: count, batch: batch, seed: 6).indices(minibatch: 0) != order.indices(minibatch: 0))
    }

    @Test func epochsAreCounted() {
        let order = MinibatchOrder(count: 10, batch: 4, seed: 1)
        #expect((0 ..< 6).map { order.epoch(minibatch: $0) } == [0, 0, 0, 1, 1, 2])
        #expect(order.epochs(minibatch: 5) == 2)
    }

    @Test func ranksTogetherReadTheMinibatch() throws {
        let source = numbers(23)
        let whole = try MinibatchReader(source, batch: 9, seed: 2, rows: 0 ..< 9)
        let parts = try [0 ..< 2, 2 ..< 5, 5 ..< 5, 5 ..< 9].map {
            try MinibatchReader(source, batch: 9, seed: 2, rows: $0)
        }
        for number in 0 ..< 12 {
            let expected = whole.indices(minibatch: number).map { Float($0) }
            #expect(try whole.minibatch(number).array == expected)
            #expect(try parts.flatMap { try $0.minibatch(number).array } == expected)
        }
    }

    /// What stands beside the examples comes with them, in any order of minibatches.
    @Test func conditionsStayBesideTheirExamples() throws {
        let table = ConditionTable(FloatBuffer((0 ..< 100).map { Float($0 / 2) }), width: 2)
        let reader = try MinibatchReader(numbers(50), batch: 8, seed: 3, rows: 2 ..< 7, conditions: table)
        for number in [0, 1, 2, 17, 3, 3, 100, 0] {
            let examples = try reader.minibatch(number).array
            #expect(reader.conditions.array == examples.flatMap { [$0, $0] })
        }
        let plain = try MinibatchReader(numbers(50), batch: 8, seed: 3, rows: 2 ..< 7)
        #expect(try plain.minibatch(0).count == 5 && plain.conditions.count == 0)
    }

    /// A resumed run asks for a later minibatch first; a test may ask for any.
    @Test func anyOrderWorks() throws {
        let reader = try MinibatchReader(numbers(50), batch: 8, seed: 3, rows: 2 ..< 7)
        for number in [17, 18, 3, 3, 4, 100, 0, 99, 1_000_000] {
            #expect(try reader.minibatch(number).array == reader.indices(minibatch: number)[2 ..< 7].map { Float($0) })
        }
    }

    /// The thread works on the next while the caller still reads the last.
    @Test func aMinibatchStaysUntilTheNextCall() throws {
        let reader = try MinibatchReader(numbers(1000), batch: 100, seed: 3, rows: 0 ..< 100)
        for number in 0 ..< 200 {
            let view = try reader.minibatch(number)
            let first = view.array
            for _ in 0 ..< 3 { #expect(view.array == first) }
            #expect(first == reader.indices(minibatch: number).map { Float($0) })
        }
    }

    @Test func anErrorOfTheThreadReachesTheCaller() throws {
        // The values become NaN when the file has been opened and looked at.
        let folder = TemporaryFolder(), path = folder.file("spoilt.h5"), rows = 100, size = 10_000
        let description = DatasetDescription(
            name: "spoilt", source: "test", license: "none", dimensions: [rows, size], element: .float32, range: nil)
        try DatasetWriter.write(path, description) { (writer) throws(Failure) in
            try writer.append([Float](repeating: 0.5, count: rows * size))
        }
        let source = try SampleSource(Dataset(path), range: nil, memoryLimit: 0)
        let reader = try MinibatchReader(source, batch: rows, seed: 1, rows: 0 ..< rows)
        let file = try #require(FileHandle(forWritingAtPath: path)), half = try file.seekToEnd() / 2
        try file.seek(toOffset: half)
        try file.write(contentsOf: Data(repeating: 0xFF, count: 1 << 20))
        for _ in 0 ..< 2 { expectError(.badData, "spoilt.h5", "nan") { _ = try reader.minibatch(0) } }
        let bytes = try SampleSource(Dataset(fixture("chunked.h5")), range: 0 ... 255, memoryLimit: 0)
        #expect(try MinibatchReader(bytes, batch: 6, seed: 1, rows: 0 ..< 6).minibatch(3).count == 24)
    }

    @Test func readersEndWithTheirThreads() throws {
        for number in 0 ..< 200 {
            let reader = try MinibatchReader(numbers(10), batch: 4, seed: 3, rows: 0 ..< 4)
            if number % 2 == 0 { _ = try reader.minibatch(number) }
        }
    }
}

@Suite struct SyntheticTests {
    @Test(arguments: SyntheticKind.allCases.filter { !$0.modes.isEmpty })
    func pointsLieAroundTheirModes(_ kind: SyntheticKind) throws {
        let count = 200 * kind.modes.count, dimension = kind.dimension
        let (samples, found) = kind.points(count: count, seed: 4), labels = try #require(found)
        #expect(samples.count == count * dimension && labels.count == count)
        #expect(Set(labels.map { label in labels.count { $0 == label } }) == [200])
        var squares = 0.0
        for (point, label) in labels.enumerated() {
            for axis in 0 ..< dimension {
                let offset = Double(samples[point * dimension + axis]) - kind.modes[label][axis]
                #expect(abs(offset) <= 7 * kind.deviation)
                squares += offset * offset
            }
        }
        #expect(kind.points(count: count, seed: 4).samples == samples)
        #expect(Array(kind.points(count: 3, seed: 4).samples) == Array(samples.prefix(3 * dimension)))
        guard kind != .point else { return }
        let deviation = (squares / Double(count * dimension)).squareRoot()
        // Five standard errors of a standard deviation.
        #expect(abs(deviation / kind.deviation - 1) < 5 / (2 * Double(count * dimension)).squareRoot())
        #expect(kind.points(count: count, seed: 5).samples != samples)
    }

    /// Each point's distance from the spiral is that of its noise, and the spiral is covered evenly in t: the three
    /// turns have equal shares. `make_swiss_roll` of scikit-learn draws t so.
    @Test func theSwissRollIsASpiralWithoutModes() {
        let count = 6000, kind = SyntheticKind.swissRoll
        let (samples, labels) = kind.points(count: count, seed: 4)
        #expect(samples.count == 2 * count && labels == nil && kind.mixture == nil && kind.dimension == 2)
        #expect(kind.points(count: count, seed: 4).samples == samples)
        #expect(kind.points(count: count, seed: 5).samples != samples)
        #expect(Array(kind.points(count: 3, seed: 4).samples) == Array(samples.prefix(6)))
        var turns = [0, 0, 0]
        var squares = 0.0
        for point in 0 ..< count {
            let (x, y) = (7.5 * Double(samples[2 * point]), 7.5 * Double(samples[2 * point + 1]))
            // The spiral's point nearest to it, by a search over t in each turn near the point's angle.
            var nearest = (t: 0.0, distance: Double.infinity)
            for turn in 0 ... 3 {
                for offset in -20 ... 20 {
                    let t = atan2(y, x) + 2 * .pi * Double(turn) + Double(offset) / 50
                    let distance = hypot(x - t * cos(t), y - t * sin(t))
                    if (1.5 * .pi ... 4.5 * .pi).contains(t), distance < nearest.distance { nearest = (t, distance) }
                }
            }
            #expect(nearest.distance < 7 * 0.25 * 2.0.squareRoot())
            squares += nearest.distance * nearest.distance
            turns[min(Int(nearest.t / .pi - 1.5), 2)] += 1
        }
        // Across the spiral lies one of the noise's two coordinates.
        #expect(abs((squares / Double(count)).squareRoot() / 0.25 - 1) < 0.05)
        #expect(turns.allSatisfy { abs($0 - count / 3) < 5 * Int(Double(count * 2 / 9).squareRoot()) })
    }

    @Test func aFileHoldsThem() throws {
        let folder = TemporaryFolder(), path = folder.file("ring.h5")
        try SyntheticKind.ring.write(to: path, count: 100, seed: 9)
        let dataset = try Dataset(path)
        let (samples, labels) = SyntheticKind.ring.points(count: 100, seed: 9)
        #expect(
            try dataset.shape == [2] && dataset.labels == labels && dataset.name == "/samples"
                && dataset.title == "ring")
        #expect(try read(SampleSource(dataset, range: nil), Array(0 ..< 100)) == samples)
        guard case .doubles(let modes)? = try HDF5File.openToRead(path).root.attribute("modes") else {
            Issue.record("no modes")
            return
        }
        #expect(modes.count == 16 && modes[4] == SyntheticKind.ring.modes[2][0])
        #expect(folder.names == ["ring.h5"])
        expectError(.cannotCreate, "exists") { try SyntheticKind.ring.write(to: path, count: 10, seed: 9) }
        try SyntheticKind.grid.write(to: path, count: 25, seed: 9, replacing: true)
        #expect(try Dataset(path).count == 25)
        expectError(.cannotCreate, "none/a.h5") {
            try SyntheticKind.ring.write(to: folder.file("none/a.h5"), count: 10, seed: 9)
        }
    }
}
