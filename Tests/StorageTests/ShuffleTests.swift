import Testing
@testable import Storage

@Suite struct ShuffleTests {
    /// Every example once an epoch, whole blocks to a window, whatever the sizes; the short block of a file is in any
    /// window.
    @Test(arguments: [(1030, 100, 3), (10, 3, 2), (64, 8, 8), (7, 7, 1), (5, 2, 9)])
    func windowsOfBlocksCoverAnEpoch(_ count: Int, _ block: Int, _ window: Int) {
        let shuffle = Shuffle(block: block, window: window)
        for epoch in 0 ..< 3 {
            let order = shuffle.permutation(count: count, seed: 4, epoch: epoch).map { Int($0) }
            #expect(order.sorted() == Array(0 ..< count))
            let blocks = shuffle.blockOrder(count: count, seed: 4, epoch: epoch)
            var start = 0
            for (number, end) in shuffle.ends(blocks, count: count).enumerated() {
                #expect(
                    Set(order[start ..< end].map { $0 / block }) == Set(blocks[(number * window)...].prefix(window)))
                start = end
            }
            #expect(start == count)
        }
        #expect(
            shuffle.permutation(count: count, seed: 4, epoch: 0) == shuffle.permutation(count: count, seed: 4, epoch: 0)
        )
    }

    /// The order of runs that were begun before there were windows.
    @Test func singleExamplesAreInTheOrderOfOld() {
        #expect(Shuffle.samples.permutation(count: 12, seed: 1, epoch: 0) == [7, 5, 10, 2, 3, 1, 8, 9, 6, 11, 4, 0])
        #expect(Shuffle.samples.permutation(count: 12, seed: 1, epoch: 1) == [5, 1, 3, 10, 8, 11, 0, 9, 2, 4, 6, 7])
    }

    /// A reader of windows gives what the source gives, in any order of minibatches, and ends while it waits.
    @Test func windowsGiveTheValuesOfTheFile() throws {
        let dataset = try Dataset(fixture("chunked.h5"))
        let resident = try SampleSource(dataset, range: 0 ... 255)
        let streaming = try SampleSource(dataset, range: 0 ... 255, memoryLimit: 0)
        for shuffle in [Shuffle(block: 2, window: 2), Shuffle(block: 3, window: 1), Shuffle(block: 4, window: 9)] {
            let one = try MinibatchReader(resident, batch: 5, seed: 3, rows: 1 ..< 5, shuffle: shuffle)
            let other = try MinibatchReader(streaming, batch: 5, seed: 3, rows: 1 ..< 5, shuffle: shuffle)
            for number in [0, 1, 2, 3, 40, 41, 0, 7, 7] {
                #expect(try one.minibatch(number).array == other.minibatch(number).array)
            }
        }
    }
}
