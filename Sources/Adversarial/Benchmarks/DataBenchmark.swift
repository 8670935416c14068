import Collectives
import Foundation
import Kernels
import Storage

/// Times how fast minibatches come from a dataset when nobody trains: what `gan-dist bench data` prints.
public struct DataBenchmark: Encodable {
    public struct Row: Encodable {
        /// `memory`, or `file`: by hyperslabs, as where the dataset does not fit.
        public let from: String
        public let secondsMedian: Double
        public let secondsMin: Double
        public let secondsQuartiles: [Double]
        /// Of global minibatches, over the whole time: a minibatch may have been made while the one before was awaited.
        public let samplesPerSecond: Double

        enum CodingKeys: String, CodingKey {
            case from, secondsMedian = "seconds_median", secondsMin = "seconds_min", secondsQuartiles = "seconds_quartiles"
            case samplesPerSecond = "samples_per_second"
        }
    }

    public let ranks: Int
    public let batch: Int
    public let rows: [Row]

    /// Every rank calls it and reads its rows of `minibatches` global minibatches of `batch` examples; the slowest rank's time counts.
    public init(file: String, batch: Int, minibatches: Int, communicator: any Communicator) throws {
        let table = try ShardTable(shards: communicator.size, communicator: communicator)
        try table.check(batch: batch)
        ranks = communicator.size
        self.batch = batch
        try communicator.inspect([(file, nil)])
        let dataset = try communicator.agreed { try Dataset(file) }
        let range: ClosedRange<Float>? = dataset.layout == .vector ? nil : 0 ... 1
        rows = try [("memory", Int.max), ("file", 0)].map { from, limit in
            let source = try communicator.agreed { try SampleSource(dataset, range: range, memoryLimit: limit) }
            let reader = try MinibatchReader(source, batch: batch, seed: 1, rows: table.rows(batch: batch))
            var times: [Double] = []
            try communicator.barrier()
            for number in 0 ..< minibatches + 2 {
                let start = PhaseClock.now()
                _ = try reader.minibatch(number)
                let seconds = try communicator.gather(PhaseClock.now() - start).max()!
                if number >= 2 { times.append(seconds) }
            }
            let spread = Spread(times)
            return Row(from: from, secondsMedian: spread.median, secondsMin: spread.minimum, secondsQuartiles: spread.quartiles,
                       samplesPerSecond: Double(batch * minibatches) / times.reduce(0, +))
        }
    }

    public var table: String {
        (["\(ranks) ranks, minibatches of \(batch)"] + rows.map { row in
            row.from.padding(toLength: 10, withPad: " ", startingAt: 0)
                + timesText(median: row.secondsMedian, minimum: row.secondsMin, quartiles: row.secondsQuartiles) + String(format: " %12.0f samples/s", row.samplesPerSecond)
        }).joined(separator: "\n")
    }
}
