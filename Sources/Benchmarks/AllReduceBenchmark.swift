import Collectives
import Foundation
import Kernels
import Support

/// Times sums of a gradient over the ranks, each kind of exchange in turn at each size: what `gan-dist bench
/// allreduce` prints.
public struct AllReduceBenchmark: Encodable {
    public struct Row: Encodable {
        public let kind: String
        public let bytes: Int
        public let secondsMedian: Double
        public let secondsMin: Double
        public let secondsQuartiles: [Double]

        enum CodingKeys: String, CodingKey {
            case kind, bytes, secondsMedian = "seconds_median", secondsMin = "seconds_min", secondsQuartiles =
                "seconds_quartiles"
        }
    }

    public let ranks: Int
    public let rows: [Row]

    /// 48.8 MB is the DCGAN's generator.
    private static let counts = [1 << 10, 1 << 14, 1 << 18, 12_200_000]

    /// Every rank calls it.
    public init(repetitions: Int, communicator: any Communicator) throws {
        ranks = communicator.size
        let table = try ShardTable(shards: communicator.size, communicator: communicator)
        var rows: [Row] = []
        for count in Self.counts {
            let sums = try GradientSum.Kind.allCases.map {
                try GradientSum(count: count, table: table, communicator: communicator, kind: $0)
            }
            var times = [[Double]](repeating: [], count: sums.count)
            for repetition in 0 ..< repetitions + 2 {
                for (number, sum) in sums.enumerated() {
                    sum.beginShard()
                    sum.endShard()
                    try communicator.barrier()
                    let start = monotonicSeconds()
                    _ = try sum.finish()
                    // The slowest rank's time is the sum's.
                    let seconds = try communicator.gather(monotonicSeconds() - start).max()!
                    if repetition >= 2 { times[number].append(seconds) }
                }
            }
            for (number, sum) in sums.enumerated() {
                let spread = Spread(times[number])
                rows.append(
                    Row(
                        kind: sum.kind.rawValue, bytes: 4 * count,
                        secondsMedian: spread.median, secondsMin: spread.minimum, secondsQuartiles: spread.quartiles))
            }
        }
        self.rows = rows
    }

    public var table: String {
        (["\(ranks) ranks"]
            + rows.map { row in
                row.kind.padding(toLength: 20, withPad: " ", startingAt: 0)
                    + String(format: "%12d bytes   ", row.bytes)
                    + timesText(median: row.secondsMedian, minimum: row.secondsMin, quartiles: row.secondsQuartiles)
            }).joined(separator: "\n")
    }
}
