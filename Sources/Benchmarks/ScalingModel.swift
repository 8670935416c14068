import Foundation

/// What a step would take on more ranks than there are at hand: measured times of one rank and one node, put together
/// by the α-β model of messages (a message of b bytes takes α + β·b; Thakur, Rabenseifner & Gropp 2005, §3; Chan et
/// al. 2007, §2).
///
/// With P ranks on p nodes, R on each, n samples a rank, and for each of the step's updates a gradient of b bytes:
///
///     compute    = a + c·n                                        what a rank computes in a step: ``Line``
///     optimiser  = as measured                                    every rank moves all parameters
///     within     = Σ (log₂R · w + (1 + 1/R) · b / m)      R ranks sum slices of each other's vectors in shared memory
///     latency    = Σ 2(p − 1)·⌈b/(P·segment)⌉ · α         reduce-scatter and allgather by pairs,
///                  + ⌈log₂P⌉ · α                          then the statistics
///     wire       = Σ 2·b·(p − 1)/p · β                    b: as little as an allreduce can send
///                  + (P − 1)·q · β                        q: a shard's statistics
///     step       = all of these one after another
///
/// The exchange is by pairs, reduce-scatter then allgather: Chan et al. 2007, §7 (there in p − 1 steps around a ring,
/// at the same cost); the statistics of a step (losses, batch normalisation) are gathered from every shard by every
/// rank: Thakur et al. 2005, §4.1. Not in the model: other traffic on the network, ranks of different speed, memory
/// that more ranks of a node than were measured share.
public struct ScalingModel: Sendable {
    /// fixed + each · n.
    public struct Line: Encodable, Sendable, Equatable {
        public var fixed: Double
        public var each: Double

        public func callAsFunction(_ count: Double) -> Double { fixed + each * count }

        /// Through `points` with the least sum of squared *relative* errors; neither coefficient is negative.
        public static func fit(_ points: [(count: Double, seconds: Double)]) -> Line {
            precondition(Set(points.map(\.count)).count >= 2, "a line through fewer than two points")
            var (w, x, y, xx, xy) = (0.0, 0.0, 0.0, 0.0, 0.0)
            for (count, seconds) in points {
                let weight = 1 / (seconds * seconds)
                w += weight
                x += weight * count
                y += weight * seconds
                xx += weight * count * count
                xy += weight * count * seconds
            }
            let each = (w * xy - x * y) / (w * xx - x * x), fixed = (y - each * x) / w
            if fixed < 0 { return Line(fixed: 0, each: xy / xx) }
            if each < 0 { return Line(fixed: y / w, each: 0) }
            return Line(fixed: fixed, each: each)
        }

        /// The largest relative distance of a point from the line.
        public func worstDeviation(_ points: [(count: Double, seconds: Double)]) -> Double {
            points.map { abs(self($0.count) / $0.seconds - 1) }.max() ?? 0
        }
    }

    /// A network between nodes, or the memory of one: α in seconds, and 1/β.
    public struct Link: Encodable, Sendable, Equatable {
        public let latency: Double
        public let bytesPerSecond: Double

        enum CodingKeys: String, CodingKey { case latency, bytesPerSecond = "bytes_per_second" }

        public init(latency: Double, bytesPerSecond: Double) {
            (self.latency, self.bytesPerSecond) = (latency, bytesPerSecond)
        }
    }

    public let compute: Line
    /// Seconds of a step's updates.
    public let optimiser: Double
    /// Bytes of the gradient of each update of a step.
    public let gradients: [Int]
    /// Bytes of one shard's statistics in a step.
    public let statistics: Int
    /// R.
    public var ranksOfNode: Int
    /// w and m; nil where a node has one rank.
    public let memory: Link?
    public var network: Link
    /// Bytes of a message at most, as in ``GradientSum``.
    private static let segment = 4 << 18

    /// What takes the time of a step; `samples` is c·n, `fixed` a.
    public enum Part: String, Encodable, Sendable, CaseIterable {
        case samples, fixed, optimizer, memory, latency, wire
    }

    /// One number of ranks.
    public struct Prediction: Encodable, Sendable {
        public let ranks: Int
        public let nodes: Int
        public let samplesOfRank: Int
        /// By the names of ``Part``.
        public let parts: [String: Double]
        public let secondsStep: Double
        /// The same if all of the exchange between nodes could run beside the computing: no step is faster.
        public let secondsStepOverlapped: Double
        /// Of this step, the exchange not overlapped: 1 where it takes what one rank's time promises.
        public let efficiency: Double
        /// The largest part of the step.
        public let limit: Part

        enum CodingKeys: String, CodingKey {
            case ranks, nodes, parts, efficiency, limit
            case samplesOfRank = "samples_of_rank", secondsStep = "seconds_step", secondsStepOverlapped =
                "seconds_step_overlapped"
        }
    }

    /// The same minibatch on more ranks: efficiency is T(1) / (P · T(P)). Nil where there are more ranks than samples.
    public func strong(ranks: Int, batch: Int) -> Prediction? {
        guard batch >= ranks else { return nil }
        // The rank with most samples keeps the others waiting.
        return predict(
            ranks: ranks, samples: (batch + ranks - 1) / ranks, ideal: step(ranks: 1, samples: batch) / Double(ranks))
    }

    /// As many samples on every rank: efficiency is T(1) / T(P).
    public func weak(ranks: Int, samples: Int) -> Prediction {
        predict(ranks: ranks, samples: samples, ideal: step(ranks: 1, samples: samples))
    }

    private func predict(ranks: Int, samples: Int, ideal: Double) -> Prediction {
        let times = parts(ranks: ranks, samples: samples), step = step(ranks: ranks, samples: samples)
        let messages = times[.latency]! + times[.wire]!, computing = times[.samples]! + times[.fixed]!
        return Prediction(
            ranks: ranks, nodes: nodes(ranks), samplesOfRank: samples,
            parts: Dictionary(uniqueKeysWithValues: times.map { ($0.key.rawValue, $0.value) }),
            secondsStep: step, secondsStepOverlapped: step - min(messages, computing), efficiency: ideal / step,
            limit: Part.allCases.max { times[$0]! < times[$1]! }!)
    }

    private func step(ranks: Int, samples: Int) -> Double {
        let times = parts(ranks: ranks, samples: samples)
        return Part.allCases.reduce(0) { $0 + times[$1]! }
    }

    public init(
        compute: Line, optimiser: Double, gradients: [Int], statistics: Int, ranksOfNode: Int, memory: Link?,
        network: Link
    ) {
        (self.compute, self.optimiser, self.gradients, self.statistics) = (compute, optimiser, gradients, statistics)
        (self.ranksOfNode, self.memory, self.network) = (ranksOfNode, memory, network)
    }

    private func nodes(_ ranks: Int) -> Int { (ranks + ranksOfNode - 1) / ranksOfNode }

    func parts(ranks: Int, samples: Int) -> [Part: Double] {
        let p = Double(nodes(ranks)), here = min(ranks, ranksOfNode)
        var times: [Part: Double] = [
            .samples: compute.each * Double(samples), .fixed: compute.fixed, .optimizer: optimiser,
            .memory: 0, .latency: 0, .wire: 0,
        ]
        if here > 1, let memory {
            times[.memory] = gradients.reduce(0) {
                $0 + log2(Double(here)) * memory.latency + (1 + 1 / Double(here)) * Double($1) / memory.bytesPerSecond
            }
        }
        if p > 1 {
            let messages = gradients.reduce(0) {
                $0 + 2 * (p - 1) * Double(max(($1 / ranks + Self.segment - 1) / Self.segment, 1))
            }
            let bytes = gradients.reduce(0) { $0 + 2 * Double($1) * (p - 1) / p } + Double((ranks - 1) * statistics)
            times[.latency] = (messages + log2(Double(ranks)).rounded(.up)) * network.latency
            times[.wire] = bytes / network.bytesPerSecond
        }
        return times
    }
}
