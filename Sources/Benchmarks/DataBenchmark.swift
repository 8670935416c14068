import Collectives
import Foundation
import Kernels
import Storage
import Support

/// Times how fast minibatches come from a dataset when nobody trains: what `gan-dist bench data` prints.
public struct DataBenchmark: Encodable {
    public struct Row: Encodable {
        /// `memory`; where the dataset does not fit, `file`: one by one, or `blocks`: whole chunks, mixed within
        /// windows.
        public let from: String
        public let secondsMedian: Double
        public let secondsMin: Double
        public let secondsQuartiles: [Double]
        /// Of global minibatches, over the whole time: a minibatch may have been made while the one before was awaited.
        public let samplesPerSecond: Double

        enum CodingKeys: String, CodingKey {
            case from, secondsMedian = "seconds_median", secondsMin = "seconds_min", secondsQuartiles =
                "seconds_quartiles"
            case samplesPerSecond = "samples_per_second"
        }
    }

    public let ranks: Int
    public let batch: Int
    public let rows: [Row]

    /// Every rank calls it and reads its rows of `minibatches` global minibatches of `batch` examples; the slowest
    /// rank's time counts. `memoryLimit` nil: once from memory and once one by one from the file; else as a new run
    /// with that `data.memory_limit` reads.
    public init(
        file: String, dataset name: String? = nil, batch: Int, minibatches: Int, memoryLimit: Int?,
        communicator: any Communicator
    ) throws {
        let table = try ShardTable(shards: communicator.size, communicator: communicator)
        try table.check(batch: batch)
        ranks = communicator.size
        self.batch = batch
        try communicator.inspect([(file, name)])
        let dataset = try communicator.agreed { try Dataset(file, dataset: name) }
        // Where the file says no range the values are read as they are: nobody trains on them.
        let range: ClosedRange<Float>? = dataset.layout == .vector || dataset.declaredRange == nil ? nil : 0 ... 1
        rows = try (memoryLimit.map { [$0] } ?? [Int.max, 0]).map { limit in
            let source = try communicator.agreed {
                try SampleSource(dataset, range: range, given: dataset.declaredRange, memoryLimit: limit)
            }
            let reader = try MinibatchReader(
                source, batch: batch, seed: 1, rows: table.rows(batch: batch), shuffle: source.shuffle)
            var times: [Double] = []
            try communicator.barrier()
            for number in 0 ..< minibatches + 2 {
                let start = monotonicSeconds()
                _ = try reader.minibatch(number)
                let seconds = try communicator.gather(monotonicSeconds() - start).max()!
                if number >= 2 { times.append(seconds) }
            }
            let spread = Spread(times)
            let from = source.isResident ? "memory" : source.shuffle.block > 1 ? "blocks" : "file"
            return Row(
                from: from, secondsMedian: spread.median, secondsMin: spread.minimum,
                secondsQuartiles: spread.quartiles,
                samplesPerSecond: Double(batch * minibatches) / times.reduce(0, +))
        }
    }

    public var table: String {
        (["\(ranks) rank\(ranks == 1 ? "" : "s"), minibatches of \(batch)"]
            + rows.map { row in
                row.from.padding(toLength: 10, withPad: " ", startingAt: 0)
                    + timesText(median: row.secondsMedian, minimum: row.secondsMin, quartiles: row.secondsQuartiles)
                    + String(format: " %12.0f samples/s", row.samplesPerSecond)
            }).joined(separator: "\n")
    }
}
